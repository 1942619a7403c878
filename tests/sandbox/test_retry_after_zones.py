"""`Retry-After` as a date: the same instant in every zone that a date may be written in."""

from datetime import UTC, datetime

import pytest

from mockserver.http import Response
from mockserver.sandbox.journal import retry_after_seconds

NOW = datetime(2026, 4, 12, 12, 0, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "date",
    [
        "Sun, 12 Apr 2026 12:02:00 GMT",
        "Sun, 12 Apr 2026 12:02:00 UTC",
        "Sun, 12 Apr 2026 12:02:00 +0000",
        "Sun, 12 Apr 2026 12:02:00 -0000",
        "Sun, 12 Apr 2026 12:02:00",
        "Sun, 12 Apr 2026 14:02:00 +0200",
        "Sun, 12 Apr 2026 07:02:00 -0500",
        "Sun, 12 Apr 2026 07:02:00 EST",
        "Sun, 12 Apr 2026 05:02:00 PDT",
        "Mon, 13 Apr 2026 01:47:00 +1345",
        "12 Apr 2026 12:02:00 GMT",
        "Sunday, 12-Apr-26 12:02:00 GMT",
        "Sun Apr 12 12:02:00 2026",
        "  Sun, 12 Apr 2026 12:02:00 GMT  ",
    ],
)
def test_a_retry_after_date_in_any_zone_asks_for_the_difference(date: str) -> None:
    assert retry_after_seconds(Response(503, headers=(("retry-AFTER", date),)), NOW) == 120


@pytest.mark.parametrize(
    "date", ["Sun, 12 Apr 2026 12:00:00 GMT", "Sun, 12 Apr 2026 13:59:59 +0200", "Sun, 12 Apr 2026 06:59:59 -0500"]
)
def test_a_retry_after_date_in_the_past_asks_for_no_wait(date: str) -> None:
    assert retry_after_seconds(Response(503, headers=(("Retry-After", date),)), NOW) == 0


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("1", 1), ("007", 7), ("999999999", 999_999_999), ("soon", 0)])
def test_retry_after_may_be_a_number_of_seconds(text: str, seconds: float) -> None:
    assert retry_after_seconds(Response(503, headers=(("Retry-After", text),)), NOW) == seconds


def test_the_first_of_two_headers_counts() -> None:
    assert (
        retry_after_seconds(Response(503, headers=(("X", "9"), ("Retry-After", "3"), ("Retry-After", "5"))), NOW) == 3
    )
