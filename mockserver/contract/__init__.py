"""Compares documents with live APIs: a validating proxy, recordings, checks within a budget, and drift."""
