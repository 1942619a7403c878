"""How exchanges and instants are shown by the admin API."""

from typing import Any

import orjson
import pytest

from mockserver.errors import Reason, Violation
from mockserver.http import Request, Response
from mockserver.sandbox.journal import Exchange
from mockserver.web.admin import views
from mockserver.web.admin.views import exchange_summary, iso_instant


def exchange(body: Any, reason: str = Reason.NO_SUCH_PATH, **changes: Any) -> Exchange:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    request = Request("GET", "/nowhere", "a=1", {"authorization": "Bearer s3cret-4711"}, b"x" * 20)
    made = Exchange(3, 0.0, "", request, Response(404, "application/json", content, source="upstream"), reason, ())
    return made._replace(**changes)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"detail": "Did you mean /user?"}, "Did you mean /user?"),
        ({"error": {"message": "Unknown request URL"}}, "Unknown request URL"),
        ({"detail": "d" * 1001}, "d" * 1000),
        ({"detail": 5}, "5"),
        ({"error": "gone"}, ""),
        ({"message": "gone"}, ""),
        ([], ""),
        (["detail"], ""),
        (5, ""),
        (b"{", ""),
        (b"", ""),
    ],
)
@pytest.mark.parametrize("reason", [Reason.NO_SUCH_PATH, Reason.METHOD_NOT_ALLOWED])
def test_the_detail_of_an_unknown_path_is_shown(body: Any, detail: str, reason: str) -> None:
    assert exchange_summary(exchange(body, reason))["detail"] == detail


def test_another_rejection_has_no_detail() -> None:
    assert exchange_summary(exchange({"detail": "why"}, Reason.INVALID))["detail"] == ""


def test_the_detail_of_a_streamed_body_is_not_read() -> None:
    streamed = exchange({}, response=Response(404, "application/json", iter(())))

    assert exchange_summary(streamed)["detail"] == ""


def test_a_summary_names_at_most_100_violations_and_no_secret() -> None:
    violations = tuple(Violation(("body", n), "type", "it is s3cret-4711") for n in range(101))

    shown = exchange_summary(exchange({}, violations=violations))

    assert len(shown.pop("violations")) == 100
    assert "s3cret-4711" not in str(shown)
    assert shown == {
        "number": 3, "method": "GET", "path": "/nowhere", "status": 404, "reason": "no-such-path", "source": "upstream",
        "detail": "",
    }  # fmt: skip


def test_the_bounds_of_what_is_shown() -> None:
    assert (views.MAX_UNEXPECTED, views.MAX_CHARACTERS, views.MAX_DETAIL) == (100, 65_536, 1000)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"x" * 65_536, "x" * 65_536),
        (b"x" * 65_537, "x" * 65_536),
        ("\U0001f600".encode() * 65_537, "\U0001f600" * 65_536),
        (b"a\xff", "a\ufffd"),
        (b"", ""),
    ],
)
def test_65536_characters_of_a_body_are_shown(body: bytes, text: str) -> None:
    assert views._text(body) == text


@pytest.mark.parametrize(
    ("unix", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1775952000.25, "2026-04-12T00:00:00.250000Z"),
        (253402300799.0, "9999-12-31T23:59:59.000000Z"),
        (1e300, "9999-12-31T23:59:59.000000Z"),
    ],
)
def test_an_instant_has_microseconds_in_utc(unix: float, text: str) -> None:
    assert iso_instant(unix) == text
