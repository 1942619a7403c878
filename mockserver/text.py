"""Suggestions: the known name that is nearest to an unknown one."""

from collections.abc import Iterable

MAX_COMPARED = 200
"""Characters of a word that are compared."""


def nearest(word: str, known: Iterable[str], *, by_beginning: bool = True) -> str:
    """The nearest known name; empty if none is similar. Ignores case, `-` and `_`.

    With `by_beginning` the shortest name that begins with the word comes first (`op` means `operation`).
    """
    from difflib import get_close_matches  # noqa: PLC0415  needed only after a mistake

    folded = {_folded(each): each for each in reversed(list(known))}
    wanted = _folded(word[:MAX_COMPARED])
    longer = [each for each in folded if each.startswith(wanted)] if by_beginning and len(wanted) > 1 else []
    near = [min(longer, key=len)] if longer else get_close_matches(wanted, folded, n=1)
    return folded[near[0]] if near else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A clause such as "; did you mean operation?"; empty if no known name is similar."""
    near = nearest(word, known)
    return f"; did you mean {near}?" if near else ""


def _folded(word: str) -> str:
    return word.lower().replace("-", "_")
