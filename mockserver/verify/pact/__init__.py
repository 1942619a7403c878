"""Writes what clients sent, and which parts of the answers they were given, as Pact files (specification V4)."""
