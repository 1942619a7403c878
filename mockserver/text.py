"""Texts for people: locations of values, tables, counts, and the nearest known name."""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mockserver.lazy import lazy_module

if TYPE_CHECKING:
    import difflib
else:
    difflib = lazy_module("difflib")

_USER_INFO = r"(?<=://)\S*@"
MAX_COMPARED = 200
"""Characters of a word that are compared."""


def format_location(location: Iterable[str | int]) -> str:
    """A location in a JSON value: `completions[0].match`; empty for the whole value."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location).lstrip(".")


def without_passwords(text: str) -> str:
    """The text without what stands before the host in its URLs."""
    return re.sub(_USER_INFO, "[redacted]@", text) if "://" in text else text


def format_dotted(location: Iterable[str | int]) -> str:
    """A location with dots only: `body.messages.0.role`."""
    return ".".join(map(str, location))


def format_count(number: int, noun: str) -> str:
    """A number of things: `1 error`, `2 errors`."""
    return f"{number} {noun}{plural_ending(number)}"


def plural_ending(number: int) -> str:
    """The ending of a noun after a number: `s`, or nothing after 1."""
    return "" if number == 1 else "s"


def format_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """A line for each row, with columns as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def nearest(word: str, known: Iterable[str], *, by_beginning: bool = True) -> str:
    """The nearest known name; empty if none is similar. Ignores case, `-` and `_`.

    With `by_beginning` the shortest name that begins with the word comes first (`op` means `operation`).
    """
    folded = {_folded(each): each for each in reversed(list(known))}
    wanted = _folded(word[:MAX_COMPARED])
    longer = [each for each in folded if each.startswith(wanted)] if by_beginning and len(wanted) > 1 else []
    near = [min(longer, key=len)] if longer else difflib.get_close_matches(wanted, folded)
    return folded[near[0]] if near else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A clause such as "; did you mean operation?"; empty if no known name is similar."""
    near = nearest(word, known)
    return f"; did you mean {near}?" if near else ""


def _folded(word: str) -> str:
    return word.lower().replace("-", "_")
