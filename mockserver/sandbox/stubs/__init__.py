"""Stubs, standing faults, and the matchers that journal searches use too."""
