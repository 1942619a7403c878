"""Searches of the journal: matchers as in rules, and properties of the response."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from mockserver.sandbox.ids import canonical
from mockserver.sandbox.journal import Exchange
from mockserver.sandbox.stubs.matcher import ANY, MATCHER_PROPERTIES, Matcher, RequestView, read_matcher

_TEXT = {"type": "string", "maxLength": 2048}
_NUMBER = {"type": "integer", "minimum": 0}

SEARCH_PROPERTIES: Mapping[str, Any] = {
    **MATCHER_PROPERTIES,
    "operation": _TEXT,
    "status": {
        "description": "a status from 100 to 599, or a class such as 4XX",
        "anyOf": [
            {"type": "integer", "minimum": 100, "maximum": 599},
            {"type": "string", "pattern": "^[1-5][Xx][Xx]$"},
        ],
    },
    "reason": _TEXT,
    "source": _TEXT,
    "since": _NUMBER,
    "until": _NUMBER,
}
"""JSON Schemas of a search's properties. An empty operation selects requests without one."""


class Search(NamedTuple):
    """Conditions that an exchange must meet; None matches everything."""

    matcher: Matcher
    operation: str | None = None
    """The operation's key; empty for requests that matched none."""
    status: float | str | None = None
    """A number, or a class such as `4XX`."""
    reason: str | None = None
    source: str | None = None
    """A trailing `*` matches any rest."""
    since: int = 0
    until: int | None = None
    """The first and the last number in the journal."""

    def finds(self, exchange: Exchange) -> bool:
        """Whether the exchange matches."""
        response = exchange.response
        return (
            exchange.number >= self.since
            and (self.until is None or exchange.number <= self.until)
            and self.operation in {None, exchange.operation}
            and (self.status is None or _is_status(self.status, response.status))
            and self.reason in {None, exchange.reason}
            and (self.source is None or _is_source(self.source, response.source))
            and self.matcher.fits(RequestView(exchange.operation, exchange.request))
        )


def read_search(definition: Mapping[str, Any]) -> Search:
    """The search of a definition that fits SEARCH_PROPERTIES; raises ValueError if its body is nested too deeply."""
    try:
        canonical([definition.get("body"), definition.get("body_at")])
    except orjson.JSONEncodeError as error:
        raise ValueError("the body is nested too deeply to be compared") from error
    facts = {name: definition[name] for name in Search._fields if name in definition}
    return Search(read_matcher({name: each for name, each in definition.items() if name != "operation"}), **facts)


class Order(NamedTuple):
    """The result of a search for a sequence of requests."""

    numbers: tuple[int, ...]
    """The number of the exchange found for each search, until one failed."""
    missing: int | None
    """The index of the first search without a match; None if all matched."""


def find_order(searches: Sequence[Search], exchanges: Iterable[Exchange]) -> Order:
    """Whether the exchanges contain matches in this order; others may be in between."""
    numbers: list[int] = []
    for exchange in exchanges:
        if len(numbers) < len(searches) and searches[len(numbers)].finds(exchange):
            numbers.append(exchange.number)
    return Order(tuple(numbers), len(numbers) if len(numbers) < len(searches) else None)


def _is_status(wanted: float | str, status: int) -> bool:
    return f"{status // 100}XX" == wanted.upper() if isinstance(wanted, str) else status == wanted


def _is_source(wanted: str, source: str) -> bool:
    return source.startswith(wanted[:-1]) if wanted.endswith(ANY) else source == wanted
