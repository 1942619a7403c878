"""How often an account may ask AgileCloud: a bucket of requests that fills with sandbox time."""

from typing import NamedTuple

LEAST_BURST = 5
"""Requests that a full bucket holds at least; more where the limit's tenth is more."""


class Bucket(NamedTuple):
    """What is left of an account's requests."""

    limit: int
    """Requests per minute."""
    tokens: float
    at: float
    """Sandbox time, in Unix seconds."""


def filled(bucket: Bucket | None, limit: int, now: float) -> Bucket:
    """The bucket as it is now: full at first, and filled by the limit in a minute."""
    size = max(LEAST_BURST, limit / 10)
    if bucket is None or bucket.limit != limit:
        return Bucket(limit, size, now)
    gained = max(now - bucket.at, 0) * limit / 60
    return Bucket(limit, min(bucket.tokens + gained, size), now)
