"""A sandbox as one JSON document: export and import."""
