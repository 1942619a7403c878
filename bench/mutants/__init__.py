"""Mutation testing: which seeded changes of the package do the tests not notice."""
