"""Prompts: templates, versions, A/B tests."""
