"""Checks on clients, computed from the journal: verdict, coverage, near misses, reports."""
