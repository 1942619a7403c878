"""Sandboxes in a store that several processes share: handles on values, without a state of their own."""
