"""Answers requests: routing, overrides, credentials, validation, handlers, journal."""
