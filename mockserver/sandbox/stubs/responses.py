"""Responses of stubs: a documented status, example or message; or a body or text."""

from collections.abc import Mapping
from typing import Any

_HEADERS = {
    "type": "object",
    "maxProperties": 50,
    "propertyNames": {"pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}$"},
    "additionalProperties": {
        "type": ["string", "integer"],
        "pattern": "^[\\t -~]*$",
        "maxLength": 8192,
        "minimum": 0,
        "maximum": 2**53,
    },
}
_FRAMING = frozenset({"content-type", "content-length", "transfer-encoding", "connection"})
"""Headers that follow from `media_type`, the body and the connection."""
STATUS_SCHEMA = {"type": "integer", "minimum": 200, "maximum": 599}

REPLY_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": False,
    "properties": {
        "status": STATUS_SCHEMA,
        "example": {"type": "string", "minLength": 1, "maxLength": 200},
        "message": {"type": "string", "minLength": 1, "maxLength": 2000},
        "body": {},
        "text": {"type": "string"},
        "media_type": {"type": "string", "pattern": "^[ -~]+/[ -~]+$", "maxLength": 200},
        "headers": _HEADERS,
    },
    # A complete body excludes `example` and `message`.
    "allOf": [
        {"not": {"required": [one, other]}}
        for one, other in (
            ("body", "text"),
            ("body", "example"),
            ("body", "message"),
            ("text", "example"),
            ("text", "message"),
            ("example", "message"),
        )
    ],
}
"""JSON Schema of a stub's response: a documented status, example or message; or a body (JSON) or text."""


def check_headers(reply: Mapping[str, Any]) -> None:
    """Raises ValueError for a header that contradicts the body, which REPLY_SCHEMA cannot express."""
    for name in reply.get("headers", ()):
        if name.lower() in _FRAMING:
            raise ValueError(f"the reply has the header {name}; wanted media_type, and a fault for what is garbled")
