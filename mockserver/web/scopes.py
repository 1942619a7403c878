"""Reads requests from ASGI scopes."""

from collections.abc import Collection
from functools import lru_cache
from typing import TYPE_CHECKING

from mockserver.http import Request
from mockserver.settings.table import url_of

if TYPE_CHECKING:
    from starlette.types import Scope

TRANSPORT = "mockserver.transport"
"""Key of the scope under which our server puts the connection's transport, a CoalescingTransport."""
KEPT_TEXTS, KEPT_LENGTH = 1024, 100
"""The most names and the most texts that are kept, and their greatest length in bytes."""


# The subclass of a dict with `__missing__` would be shorter, but takes five times as long for a key that it has.
_names: dict[bytes, str] = {}
_texts: dict[bytes, str] = {}
"""Header names in lower case, and decoded texts, by their bytes. Most requests have the same ones."""


def parse_fields(headers: Collection[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers by names in lower case; of a repeated one the last counts."""
    try:  # as most
        return {_names[name]: _texts[value] for name, value in headers}
    except KeyError:
        known_name, known_text = _names.get, _texts.get
    return {
        known_name(name) or _keep(_names, name, name.lower()): known_text(value) or _keep(_texts, value, value)
        for name, value in headers
    }


def decode_text(raw: bytes) -> str:
    """A text of a head."""
    return _texts.get(raw) or _keep(_texts, raw, raw)


def _keep(known: dict[bytes, str], raw: bytes, content: bytes) -> str:
    """The text of `content`, which is kept under `raw` if it is short."""
    text = content.decode("latin-1")
    if len(raw) <= KEPT_LENGTH:
        if len(known) >= KEPT_TEXTS:
            known.clear()
        known[raw] = text
    return text


def read_headers(scope: "Scope") -> dict[str, str]:
    """The headers; of a repeated one the last counts."""
    return parse_fields(scope["headers"])


def read_request(scope: "Scope", headers: dict[str, str], body: bytes) -> Request:
    """The request with its body, with its path relative to the mount point."""
    request = Request(
        scope["method"],
        scope["path"],
        scope["query_string"].decode("latin-1"),
        headers,
        body,
        origin_of(scope["scheme"], *(scope.get("server") or ("127.0.0.1", 4024))),
    )
    if not scope.get("root_path"):
        return request
    path = route_path(scope)
    return request._replace(path=path, prefix=scope["root_path"] if path != scope["path"] else "")


def route_path(scope: "Scope") -> str:
    """The path relative to the mount point (`root_path` in ASGI)."""
    path, root = scope["path"], scope.get("root_path", "")
    rest = path.removeprefix(root)
    return rest or "/" if path.startswith(root) and rest[:1] in {"", "/"} else path


@lru_cache(maxsize=64)
def origin_of(scheme: str, host: str, port: int) -> str:
    """Scheme and authority of a connection to this address."""
    return f"{scheme}://{url_of(host, port).partition('://')[2]}"
