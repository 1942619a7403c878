"""Chooses the media type of a response from those that are documented, by the request's `Accept` (RFC 9110, 12.5.1)."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

MAX_RANGES = 100
"""The most media ranges of an Accept header that are read."""
_QUALITY = re.compile(r"(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)")
MAX_CACHED = 200
"""The most characters of an Accept header whose result is kept."""
_PARTS = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.?)*+(?:"|\Z))++', re.DOTALL)
"""One media range. A quoted string without its end takes the rest, so that every text is read in linear time."""


class MediaRange(NamedTuple):
    """One media range of an Accept header."""

    type: str
    subtype: str
    parameters: tuple[tuple[str, str], ...]
    quality: float
    """From 0 (not acceptable) to 1."""


def negotiate(offered: tuple[str, ...], accept: str) -> str | None:
    """The offered media type that suits `accept` best; None if none is acceptable.

    The highest quality counts, then the more specific range, then the order of the offered types. An empty `accept`
    accepts everything.
    """
    return (_negotiate_short if len(accept) <= MAX_CACHED else _negotiate)(offered, accept)


def _negotiate(offered: tuple[str, ...], accept: str) -> str | None:
    ranges = list(_read_ranges(accept)) or [MediaRange("*", "*", (), 1.0)]
    rated = [(*_rate(each, ranges), -n, each) for n, each in enumerate(offered)]
    acceptable = [each for each in rated if each[0] > 0]
    return max(acceptable)[3] if acceptable else None


_negotiate_short = lru_cache(maxsize=1024)(_negotiate)


def _rate(offered: str, ranges: Sequence[MediaRange]) -> tuple[float, int]:
    """Quality and specificity of the most specific range that a media type fits; 0 if it fits none."""
    best = (-1, 0.0)
    for each in ranges:
        found = _specificity(offered, each)
        if found > best[0]:
            best = (found, each.quality)
    return (best[1], best[0]) if best[0] >= 0 else (0.0, 0)


def _specificity(offered: str, wanted: MediaRange) -> int:
    """How closely a range names a media type: from 0 (`*/*`) to 5; -1 if it does not name it."""
    type_, subtype, parameters = _split(offered)
    if wanted.type == "*" or type_ == "*":
        return 0
    if wanted.type != type_:
        return -1
    if wanted.subtype == "*" or subtype == "*":
        return 1
    if wanted.subtype == subtype:
        stated = dict(parameters)
        if all(stated.get(name) == value for name, value in wanted.parameters):
            return 5 if wanted.parameters else 4
        return 3  # the document seldom names parameters, such as a version or a charset
    return 2 if _suffix(subtype) == wanted.subtype or wanted.subtype == f"*+{_suffix(subtype)}" else -1


def _suffix(subtype: str) -> str:
    """`json` for `vnd.api+json`; empty without a structured suffix."""
    return subtype.rpartition("+")[2] if "+" in subtype else ""


def _read_ranges(accept: str) -> Iterator[MediaRange]:
    for part in islice(_PARTS.finditer(accept), MAX_RANGES):
        type_, subtype, parameters = _split(part[0])
        if not type_:
            continue
        quality = next((value for name, value in parameters if name == "q"), "1")
        own = tuple((name, value) for name, value in parameters if name != "q")
        yield MediaRange(type_, subtype, own, float(quality) if _QUALITY.fullmatch(quality) else 1.0)


def _split(media_type: str) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    """Type, subtype and parameters, in lower case."""
    whole, *parameters = media_type.lower().split(";")
    type_, _, subtype = whole.strip().partition("/")
    read = (each.partition("=") for each in parameters)
    return type_, subtype or "*", tuple((name.strip(), value.strip().strip('"')) for name, _, value in read if name)
