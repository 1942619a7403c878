"""The rate limit as values: what a bucket has left at any instant, and what the headers show."""

import pytest
from builders import make_engine

from mockserver.providers.agilecloud.rate_limit import BUCKETS, Bucket, counted, limit_headers, refill, spend

NAMES = ("Limit-Requests", "Remaining-Requests", "Limit-Tokens", "Remaining-Tokens")


def shown(bucket: Bucket | None, limit: int, now: float, status: int = 200) -> list[int]:
    """The headers' values."""
    headers = limit_headers(bucket, limit, now, status)
    assert [name for name, _ in headers] == [f"X-RateLimit-{name}" for name in NAMES]
    return [int(value) for _, value in headers]


@pytest.mark.parametrize(("limit", "size"), [(1, 5), (49, 5), (50, 5), (51, 5.1), (600, 60)])
def test_a_bucket_is_full_at_first_with_a_tenth_of_the_limit_and_at_least_five(limit: int, size: float) -> None:
    assert refill(None, limit, 100.0) == Bucket(limit, size, 100.0)


@pytest.mark.parametrize(
    ("passed", "tokens"), [(0, 2.0), (0.5, 7.0), (1, 12.0), (5.8, 60.0), (6, 60.0), (1000, 60.0), (-5, 2.0)]
)
def test_a_bucket_is_refilled_at_the_rate_of_the_limit(passed: float, tokens: float) -> None:
    found = refill(Bucket(600, 2.0, 100.0), 600, 100.0 + passed)

    assert (found.limit, found.at) == (600, 100.0 + passed)
    assert found.tokens == pytest.approx(tokens)


def test_a_bucket_of_another_limit_begins_anew() -> None:
    assert refill(Bucket(600, 2.0, 100.0), 60, 100.0) == Bucket(60, 6.0, 100.0)


def test_a_request_takes_one_and_beyond_the_limit_none_is_left() -> None:
    bucket: Bucket | None = None
    for left in (4, 3, 2, 1, 0):
        bucket = counted(bucket, 5, 100.0)
        assert bucket is not None
        assert bucket.tokens == left

    assert bucket == Bucket(5, 0.0, 100.0, 100.0, 5, 0)
    assert counted(bucket, 5, 100.0) is None
    assert counted(bucket, 5, 111.9) is None
    assert counted(bucket, 5, 112.0) == Bucket(5, 0.0, 112.0, 100.0, 6, 0)


def test_exactly_one_is_enough_for_a_request() -> None:
    assert counted(Bucket(60, 1.0, 0.0), 60, 0.0) is not None
    assert counted(Bucket(60, 0.99, 0.0), 60, 0.0) is None


@pytest.mark.parametrize(
    ("now", "since", "asked", "spent"),
    [(100.0, 100.0, 8, 9), (159.9, 100.0, 8, 9), (160.0, 160.0, 1, 0), (99.0, 99.0, 1, 0)],
)
def test_a_minute_begins_with_the_first_request_after_the_last_one(
    now: float, since: float, asked: int, spent: int
) -> None:
    bucket = Bucket(0, 0.0, 100.0, 100.0, 7, 9)

    assert counted(bucket, 0, now) == Bucket(0, 0.0, now, since, asked, spent)


@pytest.mark.parametrize(
    ("bucket", "limit", "status", "values"),
    [
        (None, 0, 200, [10_000, 10_000, 10_000_000, 10_000_000]),
        (None, 60, 200, [60, 6, 10_000_000, 10_000_000]),
        (Bucket(0, 0.0, 100.0, 100.0, 7, 9), 0, 200, [10_000, 9_993, 10_000_000, 9_999_991]),
        (Bucket(0, 0.0, 100.0, 100.0, 7, 9), 0, 429, [10_000, 0, 10_000_000, 9_999_991]),
        (Bucket(0, 0.0, 100.0, 100.0, 20_000, 20_000_000), 0, 200, [10_000, 0, 10_000_000, 0]),
        (Bucket(60, 3.9, 100.0, 100.0, 7, 1), 60, 200, [60, 3, 10_000_000, 9_999_999]),
        (Bucket(60, 3.9, 100.0, 40.1, 7, 1), 60, 200, [60, 3, 10_000_000, 9_999_999]),
        (Bucket(60, 3.9, 100.0, 40.0, 7, 1), 60, 200, [60, 3, 10_000_000, 10_000_000]),
        (Bucket(60, 3.9, 100.0, 100.5, 7, 1), 60, 200, [60, 3, 10_000_000, 10_000_000]),
    ],
)
def test_headers_show_what_is_left_of_the_minute(
    bucket: Bucket | None, limit: int, status: int, values: list[int]
) -> None:
    assert shown(bucket, limit, 100.0, status) == values


def test_the_tokens_of_live_requests_are_counted_where_a_request_was() -> None:
    box = make_engine().sandboxes.open("test")
    buckets = box.collection(BUCKETS, Bucket)
    buckets.put("a", Bucket(5, 4.0, 1.0, 2.0, 3, 4))

    spend(box, "a", 10)
    spend(box, "unknown", 10)

    assert dict(buckets.items()) == {"a": Bucket(5, 4.0, 1.0, 2.0, 3, 14)}
