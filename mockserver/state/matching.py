"""Which requests are meant: a matcher names what a request, and the answer to it, must have."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import orjson

from mockserver.messages import Request
from mockserver.state.journal import Exchange

WILDCARD = "*"


class Matcher(NamedTuple):
    """What is wanted of a request and of its answer. What is None, or not named, does not matter.

    In texts other than the names of operations, reasons and methods, `*` stands for any characters.
    """

    operation: str | None = None
    method: str | None = None
    path: str | None = None
    query: Mapping[str, str] = {}
    header: Mapping[str, str] = {}
    body: Any = None
    """What the JSON body must have at least: objects by their keys, lists item by item, everything else as it is."""
    wants_body: bool = False
    """Whether `body` counts: null can be wanted, too."""
    status: int | str | None = None
    """A number, or a class such as `4XX`."""
    reason: str | None = None
    source: str | None = None
    since: int = 0
    until: int | None = None
    """The first and the last number in the journal that count."""

    def fits(self, exchange: Exchange) -> bool:
        """Whether the exchange has everything that is wanted."""
        response = exchange.response
        return (
            exchange.number >= self.since
            and (self.until is None or exchange.number <= self.until)
            and (self.status is None or _is_status(self.status, response.status))
            and (self.reason is None or self.reason == exchange.reason)
            and (self.source is None or fits_pattern(self.source, response.source))
            and self.fits_request(exchange.operation, exchange.request)
        )

    def fits_request(self, operation: str, request: Request) -> bool:
        """Whether the request has everything that is wanted of one; the cheapest is looked at first."""
        return (
            (self.operation is None or self.operation == operation)
            and (self.method is None or self.method.upper() == request.method)
            and (self.path is None or fits_pattern(self.path, request.path))
            and all(fits_pattern(value, request.headers.get(name.lower())) for name, value in self.header.items())
            and (not self.query or _fits_query(self.query, request.query))
            and (not self.wants_body or _fits_body(self.body, request.body))
        )


def read_matcher(value: Mapping[str, Any]) -> Matcher:
    """The matcher that a JSON object describes; the object's keys are those of a matcher."""
    return Matcher(**value, wants_body="body" in value)


def fits_pattern(pattern: str, text: str | None) -> bool:
    """Whether the text is what the pattern says, in time that grows with their lengths only."""
    if text is None:
        return False
    first, *others = pattern.split(WILDCARD)
    if not others:
        return text == pattern
    *middle, last = others
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    place, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True


def is_part(wanted: Any, value: Any) -> bool:
    """Whether the value has at least what is wanted; however deeply both are nested."""
    open_pairs = [(wanted, value)]
    while open_pairs:
        part, whole = open_pairs.pop()
        if isinstance(part, Mapping):
            if not isinstance(whole, Mapping) or not part.keys() <= whole.keys():
                return False
            open_pairs += [(each, whole[key]) for key, each in part.items()]
        elif isinstance(part, list):
            if not isinstance(whole, list) or len(part) != len(whole):
                return False
            open_pairs += zip(part, whole, strict=True)
        elif isinstance(part, bool) != isinstance(whole, bool) or part != whole:
            return False
    return True


class Order(NamedTuple):
    """How far a sequence of requests was met."""

    numbers: tuple[int, ...]
    """The exchange that each matcher found, as far as they were found."""
    missing: int | None
    """The index of the first matcher that nothing fits after the others; None when all were met."""


def find_order(matchers: Sequence[Matcher], exchanges: Iterable[Exchange]) -> Order:
    """Whether the exchanges hold the requests in this order, whatever lies between them."""
    numbers: list[int] = []
    for exchange in exchanges:
        if len(numbers) < len(matchers) and matchers[len(numbers)].fits(exchange):
            numbers.append(exchange.number)
    return Order(tuple(numbers), len(numbers) if len(numbers) < len(matchers) else None)


def _is_status(wanted: int | str, status: int) -> bool:
    return status == wanted if isinstance(wanted, int) else f"{status // 100}XX" == wanted.upper()


def _fits_query(wanted: Mapping[str, str], query: str) -> bool:
    """Of a name that stands there more than once, one value has to fit."""
    given = parse_qsl(query, keep_blank_values=True)
    return all(any(name == key and fits_pattern(value, each) for key, each in given) for name, value in wanted.items())


def _fits_body(wanted: Any, body: bytes) -> bool:
    try:
        return is_part(wanted, orjson.loads(body))
    except orjson.JSONDecodeError:
        return False
