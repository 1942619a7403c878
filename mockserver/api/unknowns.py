"""What is unknown of an API, and which requests to the real one settle it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

OWN, OTHER, NO_CREDENTIAL = "own", "other", "none"
"""Credentials of a step: that of the run, that of a second account, or none."""


class Step(NamedTuple):
    """One request of an observation. Texts in braces (`{id}`) are values that earlier steps have kept."""

    operation: str
    """Its key."""
    path: Mapping[str, str] = {}
    query: Mapping[str, str] = {}
    body: Any = None
    """JSON; a text is sent as it is."""
    form: Mapping[str, str] = {}
    """The fields of a form; that called `file` is a file."""
    headers: Mapping[str, str] = {}
    credential: str = OWN
    keep: Mapping[str, str] = {}
    """Values to keep by their names: the places of members in the answer (`0.credits`)."""
    until: tuple[str, frozenset[str]] | None = None
    """A member and its final values: the step is repeated until the member has one of them."""
    may_fail: bool = False
    """Whether the observation goes on after an error."""


class Outcome(NamedTuple):
    """One answer to the question. All conditions that are given must hold for the last response."""

    says: str
    """The answer, in a few words."""
    setting: str = ""
    """The flags by which the sandbox answers so; empty if it does by default, or cannot."""
    status: int | None = None
    members: Mapping[str, Any] = {}
    """Members with their values; ANY is any value but null, MISSING is none, and PRESENT is any, null included."""
    text: str = ""
    """What the body contains."""
    media_type: str = ""


ANY, MISSING, PRESENT = object(), object(), object()


class Unknown(NamedTuple):
    """A question that no public document answers."""

    key: str
    """Its name, for `mockserver verify --unknown`."""
    question: str
    steps: Sequence[Step] = ()
    outcomes: Sequence[Outcome] = ()
    """The answers that are expected, the sandbox's among them; another one is reported as it is."""
    by_hand: str = ""
    """How to find out, where no request of ours settles it."""
    needs: tuple[str, float, float] | None = None
    """A kept number and its least and greatest value, without which the observation says nothing."""
