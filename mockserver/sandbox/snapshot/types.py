"""Checks values against type hints."""

from collections.abc import Iterator, Mapping, MutableMapping
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from mockserver.http import StoredBytes
from mockserver.sandbox.blobs import Blob

LEAST, MOST = -(2**63), 2**64 - 1
"""The range of integers in our JSON."""


def type_problem(value: Any, hint: Any) -> str:
    """Why the value is not of the type; empty if it is.

    An integer is accepted for a float, since some JSON encoders omit `.0`.
    """
    return "" if _fits(value, hint) else f"{repr(value)[:100]} is not {getattr(hint, '__name__', hint)}"


def _fits(value: Any, hint: Any) -> bool:  # noqa: PLR0911  one line for each kind of hint
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in {Union, UnionType}:
        return any(_fits(value, each) for each in args)
    if hint in {None, NoneType}:
        return value is None
    if hint in {int, float}:
        return isinstance(value, (int, hint)) and not isinstance(value, bool) and _can_be_shown(value)
    if hint is str:
        return isinstance(value, str) and is_unicode(value)
    if hint is StoredBytes:
        return isinstance(value, Blob)
    if origin is None:
        return isinstance(value, hint)
    if origin is tuple:
        return _fits_tuple(value, args)
    if origin in {dict, Mapping, MutableMapping}:
        return isinstance(value, dict) and all(_fits(k, args[0]) and _fits(v, args[1]) for k, v in value.items())
    if origin is list:
        return isinstance(value, list) and all(_fits(each, args[0]) for each in value)
    return origin is Iterator and isinstance(value, Iterator)


def is_unicode(text: str) -> bool:
    """Whether JSON can express the text: a lone surrogate cannot be encoded."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _can_be_shown(value: float) -> bool:
    return not isinstance(value, int) or LEAST <= value <= MOST


def _fits_tuple(value: Any, args: tuple[Any, ...]) -> bool:
    if not isinstance(value, tuple):
        return False
    if args[1:] == (...,):
        return all(_fits(each, args[0]) for each in value)
    return len(value) == len(args) and all(_fits(each, hint) for each, hint in zip(value, args, strict=True))
