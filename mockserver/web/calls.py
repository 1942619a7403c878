"""What an admin call is: the request, the verb that answers it, and how it is refused."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from mockserver.contract.schema import Schema
from mockserver.engine import Engine
from mockserver.errors import Violation
from mockserver.state.sandbox import Sandbox


class AdminRefusal(Exception):  # noqa: N818  a glossary word
    """An admin call turned away; nothing was changed."""

    def __init__(self, status: int, detail: str, violations: Sequence[Violation] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.violations = violations


class AdminCall(NamedTuple):
    """An admin request, admitted and validated, with the sandbox it names."""

    engine: Engine
    sandbox: Sandbox
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any

    @property
    def now(self) -> float:
        return self.sandbox.clock.now()


class Verb(NamedTuple):
    """One method on one admin path."""

    method: str
    path: str
    answer: Callable[[AdminCall], Any]
    body: Schema | None = None
    """What the body may hold; None when there is none to send."""
    parameters: frozenset[str] = frozenset()


def body_of(*required: str, at_least: int = 0, **properties: Any) -> Schema:
    """A JSON object with these properties and no others."""
    definition = {"type": "object", "required": list(required), "properties": properties, "additionalProperties": False}
    return Schema({**definition, "minProperties": at_least}, {})
