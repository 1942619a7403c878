"""Reads any published OpenAPI document: several files, Swagger 2.0, OpenAPI 3.0, documents with mistakes."""
