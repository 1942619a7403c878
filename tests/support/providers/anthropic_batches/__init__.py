"""Anthropic's Message Batches in small: a provider that lives outside of mockserver."""
