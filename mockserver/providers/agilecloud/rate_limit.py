"""AgileCloud's rate limit: a token bucket, enforced on request, and the counters of response headers."""

from typing import Annotated

from mockserver.records import Bounds, Record
from mockserver.sandbox.clock import Instant
from mockserver.sandbox.sandbox import Sandbox

BUCKETS = "agilecloud.buckets"
"""The collection of buckets, by account."""
LEAST_BURST = 5
"""The least capacity of a bucket, in requests; it is a tenth of the limit if that is more."""
REQUESTS, TOKENS = 10_000, 10_000_000
"""Limits per minute that are shown, and not enforced, without the setting `rate_limit`."""
MINUTE = 60.0
_LIMIT_REQUESTS, _LEFT_REQUESTS = "X-RateLimit-Limit-Requests", "X-RateLimit-Remaining-Requests"
_LIMIT_TOKENS, _LEFT_TOKENS = "X-RateLimit-Limit-Tokens", "X-RateLimit-Remaining-Tokens"
_REQUEST_LIMIT = (_LIMIT_REQUESTS, str(REQUESTS))
_TOKEN_LIMIT = (_LIMIT_TOKENS, str(TOKENS))
_UNUSED_TOKENS = (_LEFT_TOKENS, str(TOKENS))


class Bucket(Record, frozen=True, gc=False):
    """An account's remaining requests, and its usage in the current minute."""

    limit: Annotated[int, Bounds(ge=0)]
    """Requests per minute; 0 is unlimited."""
    tokens: Annotated[float, Bounds(ge=0, le=2**40)]
    """Requests left in the bucket."""
    at: Instant
    """Sandbox time."""
    since: Instant = 0.0
    """When the current minute began; it begins with the first request after the last minute."""
    asked: Annotated[int, Bounds(ge=0, le=2**40)] = 0
    """Requests in the current minute."""
    spent: Annotated[int, Bounds(ge=0, le=2**40)] = 0
    """Model tokens in the current minute."""


def counted(bucket: Bucket | None, limit: int, now: float) -> Bucket | None:
    """The bucket after one more request; None if that exceeds the limit."""
    left = 0.0
    if limit:
        left = refill(bucket, limit, now).tokens
        if left < 1:
            return None
        left -= 1
    if bucket is None or not 0 <= now - bucket.since < MINUTE:
        return Bucket(limit, left, now, now, 1, 0)
    return Bucket(limit, left, now, bucket.since, bucket.asked + 1, bucket.spent)


def spend(sandbox: Sandbox, account: str, tokens: int) -> None:
    """Count the tokens of a live request."""
    buckets = sandbox.collection(BUCKETS, Bucket)
    bucket = buckets.get(account)
    if bucket is not None:
        spent = bucket.spent + tokens  # `_replace` would take five times as long
        buckets.put(account, Bucket(bucket.limit, bucket.tokens, bucket.at, bucket.since, bucket.asked, spent))


def limit_headers(bucket: Bucket | None, limit: int, now: float, status: int) -> tuple[tuple[str, str], ...]:
    """The account's limits and what remains of them; after a 429 no request remains."""
    asked = spent = 0
    if bucket is not None and 0 <= now - bucket.since < MINUTE:
        asked, spent = bucket.asked, bucket.spent
    left = int(refill(bucket, limit, now).tokens) if limit else max(REQUESTS - asked, 0)
    return (
        (_LIMIT_REQUESTS, str(limit)) if limit else _REQUEST_LIMIT,
        (_LEFT_REQUESTS, str(left if status != 429 else 0)),
        _TOKEN_LIMIT,
        (_LEFT_TOKENS, str(max(TOKENS - spent, 0))) if spent else _UNUSED_TOKENS,
    )


def refill(bucket: Bucket | None, limit: int, now: float) -> Bucket:
    """The bucket as of now: full at first, and refilled at the rate of the limit."""
    size = max(LEAST_BURST, limit / 10)
    if bucket is None or bucket.limit != limit:
        return Bucket(limit, size, now)
    gained = max(now - bucket.at, 0) * limit / 60
    return Bucket(limit, min(bucket.tokens + gained, size), now)
