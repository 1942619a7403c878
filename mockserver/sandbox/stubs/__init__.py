"""Stubs, standing faults, and the matchers they share with journal searches."""
