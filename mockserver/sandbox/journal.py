"""The journal of a sandbox: every request with its response, within bounds."""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from itertools import islice
from threading import Lock
from typing import NamedTuple
from weakref import WeakSet

from mockserver.errors import Reason, Violation
from mockserver.http import FAULT_SOURCE, Request, Response
from mockserver.redaction import redacted_header, redacted_text, secrets_in
from mockserver.workers import checkpoint

MAX_BYTES = 16 * 1024 * 1024
"""The most bytes of one journal."""
EXCHANGE_BYTES, VIOLATION_BYTES, HEADER_BYTES = 1000, 300, 200
"""Memory that an exchange, a violation and an unusual header field take in addition to their texts and bodies."""
USUAL_HEADERS = 20
"""Header fields beyond which each counts by itself."""
UNWEIGHED, UNWEIGHED_BYTES = 64, 16 * 1024
"""The most exchanges that are not weighed yet, and the most bytes of their bodies."""
FREED_SHARE = 16
"""Beyond a journal's limit, one in so many exchanges is dropped at a time; beyond that of all journals, one in so many
bytes is freed, so that the search is rare.
"""

_UNEXPECTED = frozenset({Reason.NO_SUCH_PATH, Reason.METHOD_NOT_ALLOWED, Reason.INVALID, Reason.UNSUPPORTED_MEDIA_TYPE})
ON_DEMAND = frozenset({"stub", FAULT_SOURCE})
"""Sources of responses that the user's stubs produced, documented or not."""


class Exchange(NamedTuple):
    """One request with its response."""

    number: int
    """From 1, in the order of arrival in this sandbox."""
    at: float
    """Sandbox time, in Unix seconds."""
    operation: str
    """The operation's key; empty when the request matched none."""
    request: Request
    response: Response
    reason: str
    """The reason of a rejection; empty without one."""
    violations: tuple[Violation, ...]

    @property
    def is_unexpected(self) -> bool:
        """Whether the document does not allow the request. A request that a stub answered was intended."""
        return self.reason in _UNEXPECTED and self.response.source not in ON_DEMAND


def without_secrets(
    exchange: Exchange, public: str = "", most: int | None = None, *, has_headers: bool = True
) -> Exchange:
    """The exchange with its credentials redacted, as it is shown and exported.

    `public` is a text that is no secret even if used as a token, such as the name of the sandbox. Bodies are cut to
    `most` bytes. Headers are left out unless it `has_headers`.
    """
    request, response = exchange.request, exchange.response
    secrets = secrets_in((*request.headers.items(), *response.headers), request.query)
    secrets = [each for each in secrets if each != public]
    if not has_headers:
        request, response = request._replace(headers={}), response._replace(headers=())
    return exchange._replace(
        request=request._replace(
            path=redacted_text(request.path, secrets),
            query=redacted_text(request.query, secrets),
            headers={name: redacted_header(name, value, secrets) for name, value in request.headers.items()},
            body=_redacted_body(request.body[:most], secrets, is_answer=False),
        ),
        response=response._replace(
            headers=tuple((name, redacted_header(name, value, secrets)) for name, value in response.headers),
            body=response.body
            if not isinstance(response.body, bytes)
            else _redacted_body(response.body[:most], secrets, is_answer=True),
        ),
        violations=tuple(_redacted_violation(each, secrets) for each in exchange.violations),
    )


def _redacted_body(body: bytes, secrets: Sequence[str], *, is_answer: bool) -> bytes:
    text = body.decode("utf-8", "surrogateescape")
    redacted = redacted_text(text, secrets, is_answer=is_answer)
    return body if redacted == text else redacted.encode("utf-8", "surrogateescape")


def _redacted_violation(violation: Violation, secrets: Sequence[str]) -> Violation:
    location = tuple(redacted_text(step, secrets) if isinstance(step, str) else step for step in violation.location)
    value = (
        redacted_header(violation.name, violation.value, secrets)
        if isinstance(violation.value, str)
        else violation.value
    )
    names = tuple(redacted_text(name, secrets) for name in violation.names)
    message = redacted_text(violation.message, secrets)
    return violation._replace(location=location, message=message, value=value, names=names)


Row = tuple[int, float, str, Request, Response, str, tuple[Violation, ...], float]
"""The fields of an exchange, and the wall-clock seconds that answering took.

Creating an Exchange for every request would cost a third of recording; few are read.
"""


class JournalSpace:
    """Bounds the bytes that all journals of a server hold together.

    Exchanges are weighed, and dropped, a few at a time, so that this code and its data are in the processor's caches:
    one by one, they would take three times as long. Until then the journals may exceed their bounds.
    """

    def __init__(self, limit: int = sys.maxsize) -> None:
        self.limit = limit
        self.weighed = 0
        """Bytes in all journals, without `unweighed`; see `held`."""
        self.unweighed: deque[tuple[Journal, Row]] = deque()
        """The latest exchanges, each with its journal. Other threads add to it while it is weighed."""
        self.dropped = 0
        """Exchanges dropped because all journals together were too large."""
        self.lock = Lock()
        """Held by a thread that changes one of the journals."""
        self.records = 0
        """The number of exchanges recorded; orders the journals by use."""
        self.journals: WeakSet[Journal] = WeakSet()

    @property
    def held(self) -> int:
        """Bytes in all journals."""
        self.weigh()
        return self.weighed

    def weigh(self) -> None:
        """Weigh the latest exchanges, and bring the journals within their bounds."""
        with self.lock:
            latest: dict[Journal, list[Row]] = {}
            for _ in range(len(self.unweighed)):
                journal, row = self.unweighed.popleft()
                latest.setdefault(journal, []).append(row)
                self.records += 1
                journal.used = self.records
            for journal, rows in latest.items():
                journal.weigh(rows)
            if self.weighed > self.limit:
                self._make_room()

    def _make_room(self) -> None:
        """Drop exchanges until all journals together are within the limit; called with the lock held.

        Of the journals larger than average, the least recently used lose their oldest exchanges first.
        """
        target = self.limit - self.limit // FREED_SHARE
        while self.weighed > target and self.journals:
            average = self.weighed / len(self.journals)
            large = sorted((each for each in self.journals if each.weighed >= average), key=lambda each: each.used)
            for journal in large:
                while self.weighed > target and journal.weighed > average / 2:
                    journal.drop_oldest()
                    self.dropped += 1


class Journal:
    """The latest exchanges, bounded in number and size. Dropped ones are counted."""

    def __init__(self, limit: int, space: JournalSpace | None = None) -> None:
        """`limit` is the most exchanges; `space` is shared by all journals of the server."""
        self._limit = limit
        self._most = limit + limit // FREED_SHARE
        """The most exchanges before the oldest are dropped; readers see no more than the limit."""
        self._full_at = 0
        """The number of the exchange after which there are more."""
        self._space = space or JournalSpace()
        self._rows: deque[Row] = deque()
        """Without those that are not weighed yet."""
        self._weights: deque[int] = deque()
        self.weighed = 0
        """Bytes of memory that it takes, without what is not weighed yet; see `held`."""
        self.used = 0
        """When it was last added to; see JournalSpace.records."""
        self.clear()
        with self._space.lock:
            self._space.journals.add(self)

    def clear(self) -> deque[Row]:
        """Remove all exchanges and reset the counts; returns the removed ones."""
        self._space.weigh()
        with self._space.lock:
            self._space.weighed -= self.weighed
            forgotten, self._rows, self._weights, self.weighed = self._rows, deque(), deque(), 0
        self.seen, self._full_at = 0, self._most
        self.waits: dict[int, float] = {}
        """Wall-clock times of requests, by number; only recorded while a response asks to wait (`Retry-After`), since a
        frozen sandbox clock cannot show whether the client waited.
        """
        self.waits_end = 0.0
        """When the last of these waits is over, in wall-clock time; 0 without one."""
        return forgotten

    def detach(self) -> None:
        """Stop counting towards the server's space."""
        self._space.weigh()
        with self._space.lock:
            self._space.weighed -= self.weighed
            self._space.journals.discard(self)
        self._space = JournalSpace()
        self._space.weighed = self.weighed

    def fill(self, seen: int, exchanges: Iterable[Exchange]) -> None:
        """Take over another journal's count and exchanges."""
        self.clear()
        for exchange in exchanges:
            self.seen = exchange.number - 1
            self.record(*exchange[1:])
        self.seen = seen

    @property
    def held(self) -> int:
        """Bytes of memory that it takes."""
        self._space.weigh()
        return self.weighed

    @property
    def dropped(self) -> int:
        """Exchanges dropped because of the bounds."""
        self._space.weigh()
        return self.seen - len(self._rows)

    def record(  # noqa: PLR0917  called once, on the hot path
        self,
        at: float,
        operation: str,
        request: Request,
        response: Response,
        reason: str,
        violations: tuple[Violation, ...],
        seconds: float = 0.0,
    ) -> None:
        """Record an exchange; `seconds` is the wall-clock time that answering took, which no export contains."""
        self.seen = seen = self.seen + 1
        if request.form is not None:  # without a copy of the file, so that a deleted file does not stay in memory
            request = request._replace(form=None, form_parts=())
        unweighed, body = self._space.unweighed, response.body
        unweighed.append((self, (seen, at, operation, request, response, reason, violations, seconds)))
        if (
            len(unweighed) >= UNWEIGHED
            or seen > self._full_at
            or len(request.body) > UNWEIGHED_BYTES
            or not isinstance(body, bytes)
            or len(body) > UNWEIGHED_BYTES
        ):
            self._space.weigh()

    def weigh(self, latest: Sequence[Row]) -> None:
        """Add and weigh the latest exchanges, and drop the oldest beyond the bounds; called with the lock of the space
        held.
        """
        weights = self._weights
        self._rows.extend(latest)
        added = [EXCHANGE_BYTES + exchange_weight(row[3], row[4], row[6]) for row in latest]
        weights.extend(added)
        weight = sum(added)
        self.weighed += weight
        self._space.weighed += weight
        while len(weights) > self._limit or self.weighed - EXCHANGE_BYTES * len(weights) > MAX_BYTES:
            self.drop_oldest()
        self._full_at = self._last + self._most - len(weights)

    def drop_oldest(self) -> None:
        """Drop the oldest exchange; called with the lock of the space held."""
        number = self._rows.popleft()[0]
        weight = self._weights.popleft()
        self.weighed -= weight
        self._space.weighed -= weight
        if self.waits:
            self.waits.pop(number, None)

    def note_wait(self, at: float, response: Response, wall: float) -> None:
        """Record the latest exchange's wall-clock time if it asks the client to wait, or a wait is running."""
        seconds = retry_after_seconds(response, at) if response.status >= 400 else 0.0
        if self.waits_end < wall:
            self.waits_end = 0.0
        if seconds:
            self.waits_end = max(self.waits_end, wall + seconds)
        if self.waits_end:
            self._space.weigh()
            if self._rows:
                self.waits[self.seen] = wall

    @property
    def _last(self) -> int:
        """The number of the latest exchange that is weighed; 0 without one. Read with the lock of the space held."""
        return self._rows[-1][0] if self._rows else 0

    def find(self, matches: Callable[[Exchange], bool], after: int = 0) -> Iterator[Exchange]:
        """The exchanges with a larger number than `after` that match, oldest first."""
        self._space.weigh()
        with self._space.lock:  # another thread may drop the oldest
            rows = tuple(islice(self._rows, max(0, after - self._last + len(self._rows)), None))
        return _matching(rows, matches)

    def latest(self, before: int, most: int) -> Iterator[Exchange]:
        """At most so many exchanges with a smaller number than `before`, newest first."""
        self._space.weigh()
        with self._space.lock:
            start = max(0, self._last + 1 - before)
            rows = tuple(islice(reversed(self._rows), start, start + most))
        return (Exchange(*row[:-1]) for row in rows)

    def seconds(self, number: int) -> float:
        """The wall-clock time that answering the exchange of that number took; 0 if it is not kept."""
        self._space.weigh()
        with self._space.lock:
            place = number - 1 - self._last + len(self._rows)
            return self._rows[place][-1] if 0 <= place < len(self._rows) else 0.0


def _matching(rows: Sequence[Row], matches: Callable[[Exchange], bool]) -> Iterator[Exchange]:
    for row in rows:
        checkpoint()
        exchange = Exchange(*row[:-1])
        if matches(exchange):
            yield exchange


def exchange_weight(request: Request, response: Response, violations: tuple[Violation, ...]) -> int:
    """The bytes of an exchange's texts, bodies and violations."""
    path, headers = request.path, request.headers  # what is not in the path has one byte for each character
    weight = len(request.body) + len(request.query) + (len(path) if path.isascii() else 4 * len(path))
    for name, value in headers.items():  # twice as fast as `sum` for the few that most requests have
        weight += len(name) + len(value)
    if len(headers) > USUAL_HEADERS:
        weight += HEADER_BYTES * (len(headers) - USUAL_HEADERS)
    if isinstance(response.body, bytes):
        weight += len(response.body)
    for name, value in response.headers:
        weight += len(name) + len(value)
    for each in violations:
        parts = (each.message, each.value, *each.location, *each.names)
        weight += VIOLATION_BYTES + sum(map(sys.getsizeof, parts))
    return weight


def retry_after_seconds(response: Response, at: float) -> float:
    """The seconds that the response asks the client to wait; 0 if it does not."""
    text = next((value.strip() for name, value in response.headers if name.lower() == "retry-after"), "")
    if text.isascii() and text.isdigit():
        return float(text[:9])
    with suppress(ValueError, IndexError):
        date = parsedate_to_datetime(text)
        return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - at)
    return 0.0
