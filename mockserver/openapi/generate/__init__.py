"""Values that fit a schema, the same for the same seed."""
