"""Admin calls, routes and rejections."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from mockserver.engine.engine import Engine
from mockserver.errors import Violation
from mockserver.openapi.schema import Schema
from mockserver.sandbox.blobs import Blob
from mockserver.sandbox.sandbox import Sandbox

MAX_ROWS = 1000
MAX_NUMBER = 2**53
"""The largest number in a query: JavaScript has no larger exact integers."""
LARGE_JOURNAL = 256 * 1024
"""Bytes of a journal, or of stubs, that are not listed on the event loop."""
LARGE_COLLECTION = 200
"""Values of a collection, such as batches, that are not listed on the event loop."""
PAGE = frozenset({"limit", "after"})
Row = TypeVar("Row")


class AdminRefusal(Exception):
    """A rejected admin call; nothing was changed."""

    def __init__(self, status: int, detail: str, violations: Sequence[Violation] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.violations = violations


class AdminCall(NamedTuple):
    """An authorised and validated admin request, with its sandbox."""

    engine: Engine
    sandbox: Sandbox
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    keep: Callable[[Iterable[bytes]], Blob]
    """Keeps a large answer until the client has read it."""

    @property
    def now(self) -> float:
        return self.sandbox.clock.now()


class Step(NamedTuple):
    """A part of a route's work that runs in a sandbox's transaction; the result of `action` is sent back to the
    generator.
    """

    sandbox: str
    """The sandbox's name."""
    action: Callable[[], Any]


class AdminRoute(NamedTuple):
    """One method on one admin path."""

    method: str
    path: str
    answer: Callable[[AdminCall], Any]
    body: Schema | None = None
    """The schema of the body; None if the route takes none."""
    parameters: frozenset[str] = frozenset()
    opens: bool | None = None
    """Whether the call creates its sandbox if necessary, and pins it; None means every method except GET."""
    is_large: bool = False
    """Whether request or response body may be as large as an export."""
    in_steps: bool = False
    """Whether `answer` is a generator. It runs in a thread and outside any transaction, except for the steps it yields.
    """
    grows: bool = False
    """Whether the answer, or the work for it, grows with what the sandbox holds. Of a large sandbox it is made in a
    thread, one at a time.
    """

    @property
    def sets_up(self) -> bool:
        """Whether the call counts as set-up, which pins the sandbox."""
        return self.method != "GET" if self.opens is None else self.opens


def is_large_sandbox(sandbox: Sandbox) -> bool:
    """Whether listing all that the sandbox holds may take long."""
    rules = sandbox.rules.installed
    return (
        sandbox.journal.held > LARGE_JOURNAL
        or sandbox.largest_collection > LARGE_COLLECTION
        or sum(rule.size for rule in rules) + 1000 * len(rules) > LARGE_JOURNAL
        or (sandbox.outbox is not None and sum(sandbox.outbox.counts()) > LARGE_COLLECTION)
    )


def object_schema(*required: str, at_least: int = 0, **properties: Any) -> Schema:
    """The schema of a JSON object with these properties and no others."""
    definition = {"type": "object", "required": list(required), "properties": properties, "additionalProperties": False}
    return Schema({**definition, "minProperties": at_least}, {})


def or_422(change: Callable[[], None]) -> None:
    """Calls the function; a ValueError becomes a 422."""
    try:
        change()
    except ValueError as error:
        raise AdminRefusal(422, f"{error}.") from error


def read_count(call: AdminCall, name: str, default: int, most: int) -> int:
    """An integer in the query."""
    text = call.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 18 and int(text) <= most):
        raise AdminRefusal(400, f"{name} is {text[:100]!r}; wanted a whole number up to {most}.")
    return int(text)


def read_page(call: AdminCall, limit: int = 100, most: int = MAX_ROWS) -> tuple[int, int]:
    """`limit` and `after` in the query: how many rows a page has, and how many precede it."""
    return read_count(call, "limit", limit, most), read_count(call, "after", 0, MAX_NUMBER)


def page_of(rows: Iterable[Row], limit: int, after: int) -> tuple[list[Row], int | None]:
    """A page of the rows that follow the first `after`, and the `after` of the following page; None at the end."""
    found = list(islice(rows, limit + 1))
    return found[:limit], after + limit if len(found) > limit else None


def deduplicated(violations: Sequence[Violation]) -> list[Violation]:
    """The violations without repetitions, and with the schema's description for alternatives. If the type is wrong,
    only that.
    """
    mistyped = {each.location for each in violations if each.code == "type"}
    kept = [_with_ways(each) for each in violations if each.code == "type" or each.location not in mistyped]
    return list({(each.location, each.message): each for each in kept}.values())


_NO_ALTERNATIVE = " is not valid under any of the given schemas"
"""How jsonschema ends what it says of `anyOf` and `oneOf`."""


def _with_ways(violation: Violation) -> Violation:
    if violation.code not in {"anyOf", "oneOf"} or "description" not in violation.rule:
        return violation
    told = violation.message.replace(_NO_ALTERNATIVE, " fits no alternative")
    return violation._replace(message=f"{told} ({violation.rule['description']})")
