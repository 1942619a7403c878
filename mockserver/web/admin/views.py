"""JSON views of a sandbox's journal and times."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import orjson

from mockserver.errors import Reason
from mockserver.http import Response
from mockserver.openapi.responses import violation_json
from mockserver.sandbox.clock import LATEST
from mockserver.sandbox.journal import Exchange, without_secrets
from mockserver.sandbox.sandbox import Sandbox

MAX_UNEXPECTED = 100
MAX_CHARACTERS = 65_536
"""The most characters of a body that are shown; its size in bytes is always included."""
MAX_DETAIL = 1000
_READ_BYTES = 4 * MAX_CHARACTERS + 8192
"""The bytes of a body that are searched for credentials: what is shown, and some more, since one may be cut."""
_SHORT_BYTES = 8192
"""The bytes of a response body that are searched where only its detail is shown."""
_LOST = frozenset({Reason.NO_SUCH_PATH, Reason.METHOD_NOT_ALLOWED})


def exchanges_json(sandbox: Sandbox, found: Iterator[Exchange]) -> dict[str, Any]:
    """Exchanges as JSON, with the number of requests seen and dropped."""
    return {
        "requests": (_exchange(each, sandbox) for each in found),
        "seen": sandbox.journal.seen,
        "dropped": sandbox.journal.dropped,
    }


def unexpected(sandbox: Sandbox) -> list[dict[str, Any]]:
    """Summaries of the first unexpected requests."""
    found = sandbox.journal.find(lambda exchange: exchange.is_unexpected)
    return [exchange_summary(each, public_name(sandbox)) for each in islice(found, MAX_UNEXPECTED)]


def public_name(sandbox: Sandbox) -> str:
    """The sandbox's name if it is no secret, even if clients use it as their token; else empty."""
    return "" if sandbox.is_named_by_token else sandbox.name


def exchange_summary(exchange: Exchange, public: str = "") -> dict[str, Any]:
    """An exchange without its bodies and headers; `public` is a text that is no credential."""
    exchange = exchange._replace(request=exchange.request._replace(body=b""))
    if exchange.reason not in _LOST:  # only theirs has a detail, and a body would be searched for credentials
        exchange = exchange._replace(response=exchange.response._replace(body=b""))
    exchange = without_secrets(exchange, public, _SHORT_BYTES, has_headers=False)
    return {
        "number": exchange.number,
        "method": exchange.request.method,
        "path": exchange.request.path,
        "status": exchange.response.status,
        "reason": exchange.reason,
        "source": exchange.response.source,
        "violations": [violation_json(each) for each in exchange.violations[:MAX_UNEXPECTED]],
        "detail": _detail(exchange),
    }


def _detail(exchange: Exchange) -> str:
    """The detail of a response to an unknown path, such as the nearest path; empty for any other."""
    body = exchange.response.body
    if exchange.reason not in _LOST or not isinstance(body, bytes):
        return ""
    try:
        told = orjson.loads(body)
        return str(told["detail"] if "detail" in told else told["error"]["message"])[:MAX_DETAIL]
    except (orjson.JSONDecodeError, LookupError, TypeError):  # a fault may have broken it
        return ""


def _exchange(whole: Exchange, sandbox: Sandbox) -> dict[str, Any]:
    exchange = without_secrets(whole, public_name(sandbox), _READ_BYTES)
    request = exchange.request
    return {
        "number": exchange.number,
        "at": iso_instant(exchange.at),
        "operation": exchange.operation,
        "reason": exchange.reason,
        "violations": [violation_json(each) for each in exchange.violations],
        "detail": _detail(exchange),
        "request": {
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "headers": dict(request.headers),
            "body": _text(request.body),
            "bytes": len(whole.request.body),
        },
        "response": _response(exchange.response, whole.response.body),
    }


def _response(response: Response, whole: object) -> dict[str, Any]:
    body = response.body if isinstance(response.body, bytes) else b""
    return {
        "status": response.status,
        "media_type": response.media_type,
        "headers": [list(header) for header in response.headers],
        "source": response.source,
        "body": _text(body),
        "bytes": len(whole) if isinstance(whole, bytes) else None,
    }


def _text(body: bytes) -> str:
    return body[: 4 * MAX_CHARACTERS].decode("utf-8", "replace")[:MAX_CHARACTERS]


def iso_instant(unix: float) -> str:
    """Unix seconds as ISO 8601 with microseconds, in UTC; the end of the year 9999 for what is later."""
    return datetime.fromtimestamp(min(unix, LATEST), UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
