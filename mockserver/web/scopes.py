"""Reads requests from ASGI scopes."""

from functools import lru_cache
from typing import TYPE_CHECKING

from mockserver.http import Request
from mockserver.settings.table import url_of

if TYPE_CHECKING:
    from starlette.types import Scope

KEPT_TEXTS, KEPT_LENGTH = 1024, 100
"""The number of header texts that are cached, and their greatest length in bytes."""


class _Texts(dict[bytes, str]):
    """Decoded header names and values. Short ones are cached, since most requests have the same ones."""

    def __missing__(self, raw: bytes) -> str:
        text = raw.decode("latin-1")
        if len(raw) <= KEPT_LENGTH:
            if len(self) >= KEPT_TEXTS:
                self.clear()
            self[raw] = text
        return text


class _Names(_Texts):
    """Decoded header names, in lower case."""

    def __missing__(self, raw: bytes) -> str:
        text = super().__missing__(raw.lower())
        if len(raw) <= KEPT_LENGTH:
            self[raw] = text
        return text


texts = _Texts()
"""Header texts by their bytes."""
names = _Names()
"""Header names in lower case, by their bytes."""


def read_headers(scope: "Scope") -> dict[str, str]:
    """The headers; of a repeated one the last counts."""
    return {texts[name]: texts[value] for name, value in scope["headers"]}


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
