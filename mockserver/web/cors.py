"""CORS for the imitated APIs: which origins may call them from a browser."""

import ipaddress
from functools import lru_cache
from urllib.parse import urlsplit

from mockserver.http import Response
from mockserver.lazy import lazy_pattern
from mockserver.settings.parse import CORS_ANY, CORS_LOCAL, read_cors

MAX_AGE = 600
"""Seconds for which a browser may cache a preflight."""
MAX_REQUEST_HEADERS = 4096
"""The most characters of Access-Control-Request-Headers; a longer one is not repeated in the response."""
_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_NAMES = lazy_pattern(r"[A-Za-z0-9!#$%&'*+.^_`|~, -]*")
_SAFE = frozenset({"content-type", "content-length", "vary", "cache-control"})
"""Headers that every page may read, or that pages do not use."""
_PREFLIGHT_VARY = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


class CrossOrigin:
    """Answers preflights and adds CORS headers, for the origins that the setting `cors` allows."""

    def __init__(self, setting: str, *, shows_source: bool) -> None:
        """`shows_source` means that responses have X-Mock-Source, which pages may then read."""
        self._origins = read_cors(setting)
        self._shows_source = shows_source
        self.admits = lru_cache(maxsize=256)(self._admits)
        """Whether a page of that origin may read responses."""

    def preflight(self, origin: str, method: str, headers: dict[str, str]) -> Response | None:
        """The response to a preflight; None for any other request, and for a disallowed origin."""
        if method != "OPTIONS" or "access-control-request-method" not in headers or not self.admits(origin):
            return None
        answer = [
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Allow-Methods", _METHODS),
            ("Access-Control-Max-Age", str(MAX_AGE)),
            ("Vary", _PREFLIGHT_VARY),
        ]
        asked = headers.get("access-control-request-headers", "")
        if asked and len(asked) <= MAX_REQUEST_HEADERS and _NAMES.fullmatch(asked):
            answer.append(("Access-Control-Allow-Headers", asked))
        if headers.get("access-control-request-private-network") == "true":
            answer.append(("Access-Control-Allow-Private-Network", "true"))
        return Response(204, headers=tuple(answer))

    def with_origin(self, response: Response, origin: str) -> Response:
        """The response with CORS headers if the request's origin is allowed."""
        varies = [value for name, value in response.headers if name.lower() == "vary"]
        added = [("Vary", ", ".join([*varies, "Origin"]))]
        if self.admits(origin):
            added.append(("Access-Control-Allow-Origin", origin))
            named = [*(name for name, _ in response.headers), *(["X-Mock-Source"] if self._shows_source else [])]
            exposed = dict.fromkeys(name for name in named if name.lower() not in _SAFE)
            if exposed:
                added.append(("Access-Control-Expose-Headers", ", ".join(exposed)))
        return response.with_headers(*added)

    def _admits(self, origin: str) -> bool:
        if CORS_ANY in self._origins or origin in self._origins:
            return True
        return CORS_LOCAL in self._origins and _is_local(origin)


def _is_local(origin: str) -> bool:
    """Whether the origin is on this machine, on any port."""
    try:
        parts = urlsplit(origin)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme not in {"http", "https"} or origin != f"{parts.scheme}://{parts.netloc}" or "@" in parts.netloc:
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
