"""JSON Schemas of a document: validation, formats, and what is wrong with a schema."""

from mockserver.openapi.schema.compilation import SchemaLibrary
from mockserver.openapi.schema.formats import FORMATS
from mockserver.openapi.schema.validation import (
    DIALECT,
    MAX_EXPLAINED_ITEMS,
    MAX_NAMES,
    MAX_SHOWN_VALUE,
    MAX_VIOLATIONS,
    Schema,
    keyword_errors,
)

__all__ = [
    "DIALECT", "FORMATS", "MAX_EXPLAINED_ITEMS", "MAX_NAMES", "MAX_SHOWN_VALUE", "MAX_VIOLATIONS", "Schema",
    "SchemaLibrary", "keyword_errors",
]  # fmt: skip
