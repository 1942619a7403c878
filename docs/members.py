"""The page of what Python has: every public member of what the fixtures give, from its signature and docstring."""

import inspect
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, Never, get_type_hints

from mockserver.client.client import Client, Clock, SandboxClient
from mockserver.client.controls import SandboxControls
from mockserver.client.reads import SandboxReads
from mockserver.testing.pool import LeasedSandbox

_MODULES = re.compile(r"\b(?:[a-z_]+\.)+(?=\w)")
OPENING = (
    "# Python\n\n`sandbox`, what `make_sandbox()` gives, and `self.sandbox` under unittest have all that follows. So "
    "has `Client(url).sandbox(name)` of `mockserver.client`, but for the first part. What is assigned or called asks "
    "the [admin API](admin.md); what that refuses is an `AdminError` with `.status`, `.detail` and `.violations`."
)


class Part(NamedTuple):
    """The members of one class, under a title of their own."""

    kind: type
    title: str
    prefix: str
    """What stands before a member's name."""
    sentence: str


PARTS = (
    Part(LeasedSandbox, "A test's own", "sandbox.", "Of what pytest and unittest lend."),
    Part(SandboxClient, "Which one it is", "sandbox.", "How a program gets there, and the sandbox as a whole."),
    Part(Clock, "Its clock", "sandbox.clock.", "Sandbox time; see [time](../control/time.md)."),
    Part(
        SandboxControls,
        "What a test turns",
        "sandbox.",
        "See [answers](../control/answers.md) and [faults](../control/faults.md).",
    ),
    Part(SandboxReads, "What a test reads", "sandbox.", "See [verification](../control/verification.md)."),
    Part(
        Client,
        "The server",
        "mockserver.client.",
        "`mockserver.url` is its address; `mockserver.client` has these.",
    ),
)


def members_page() -> str:
    return "\n\n".join([OPENING, *(_section(part) for part in PARTS)])


def members_of(part: Part) -> Iterator[str]:
    """The public names that the class brings, and that none above it on the page has brought."""
    shown = {
        name for each in PARTS[: PARTS.index(part)] if issubclass(each.kind, part.kind) for name in vars(each.kind)
    }
    return (name for name in vars(part.kind) if not name.startswith("_") and name not in shown)


def anchor_of(part: Part, name: str) -> str:
    return f"{part.prefix}{name}".replace(".", "-").replace("_", "-")


def _section(part: Part) -> str:
    members = [_member(part, name) for name in members_of(part)]
    return "\n\n".join([f"## {part.title}\n\n{part.sentence}", *members])


def _member(part: Part, name: str) -> str:
    member = vars(part.kind)[name]
    told = inspect.getdoc(member) or ""
    head = f"### {name} {{ #{anchor_of(part, name)} }}"
    return f"{head}\n\n```python\n{part.prefix}{_look(name, member)}\n```\n\n{told}".rstrip()


def _look(name: str, member: Any) -> str:
    """How the member is written: a call with what it takes, or a value with its type and what else may be done."""
    if isinstance(member, property):
        ways = [word for word, can in (("assign", member.fset), ("delete", member.fdel)) if can]
        more = f"  # read, {', '.join(ways)}" if ways else ""
        return f"{name}: {_short(get_type_hints(member.fget)['return'])}{more}"
    if not callable(member):
        return name
    signature = inspect.signature(member)
    taken = [each for each in signature.parameters.values() if each.name != "self" and each.annotation is not Never]
    # Where a parameter that takes nothing stood, the others still go by name.
    text = str(signature.replace(parameters=taken, return_annotation=inspect.Signature.empty))
    return f"{name}{_short(text)} -> {_short(signature.return_annotation)}"


def _short(annotation: object) -> str:
    """A type as its room's imports call it."""
    text = annotation.__name__ if isinstance(annotation, type) and "[" not in str(annotation) else str(annotation)
    return _MODULES.sub("", text).replace("NoneType", "None").replace("'", '"')
