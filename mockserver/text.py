"""Texts for people: which known name an unknown one was probably meant to be."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mockserver.lazy import lazy_module

if TYPE_CHECKING:
    import difflib
else:
    difflib = lazy_module("difflib")

MAX_COMPARED = 200
"""Characters of a word that are compared."""


def nearest(word: str, known: Iterable[str], *, by_beginning: bool = True) -> str:
    """The known name that was probably meant; empty when none is like the word. Case, `-` and `_` do not matter.

    With `by_beginning` a name that begins with the word comes first (`op` means `operation`), the shortest of several.
    """
    folded = {_folded(each): each for each in reversed(list(known))}
    wanted = _folded(word[:MAX_COMPARED])
    longer = [each for each in folded if each.startswith(wanted)] if by_beginning and len(wanted) > 1 else []
    near = [min(longer, key=len)] if longer else difflib.get_close_matches(wanted, folded, n=1)
    return folded[near[0]] if near else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown word; empty when no known name is like it."""
    near = nearest(word, known)
    return f"; did you mean {near}?" if near else ""


def _folded(word: str) -> str:
    return word.lower().replace("-", "_")
