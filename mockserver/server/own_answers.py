"""Answers of the server itself, as ASGI applications: to requests that are about it, and not about a path."""

from typing import Any

import orjson


async def server_options(_scope: Any, _receive: Any, send: Any) -> None:
    """`OPTIONS *` is about the server, not about a path."""
    allow = (b"allow", b"DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT")
    await send({"type": "http.response.start", "status": 204, "headers": [allow]})
    await send({"type": "http.response.body"})


async def expectation_failed(_scope: Any, _receive: Any, send: Any) -> None:
    """An expectation other than 100-continue cannot be met."""
    detail = "The server meets no expectation but 100-continue."
    body = orjson.dumps({"type": "about:blank", "title": "Expectation Failed", "status": 417, "detail": detail})
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 417, "headers": [*headers, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})
