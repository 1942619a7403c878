"""Recordings: what passes through the proxy becomes fixture files."""
