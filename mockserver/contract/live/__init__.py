"""Checks of a live API: planned requests within a budget, and reports of what was answered."""
