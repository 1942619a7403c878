"""Regular expressions that match in linear time: one syntax for fixtures, documents and schemas in requests.

The engine is jsonschema-rs's linear one. It has no look-around and no backreferences, which cannot be matched in linear
time, and bounds the size of a compiled pattern. Python's `re` is never applied to a client's text.
"""

from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from mockserver.lazy import lazy_module, lazy_pattern

if TYPE_CHECKING:
    import jsonschema_rs
else:
    jsonschema_rs = lazy_module("jsonschema_rs")  # 3 MB, and the first request may be long after the start

MAX_LENGTH = 5_000
"""The most characters of a pattern."""
MAX_GROUPS = 100
"""The most groups of a pattern. The cost of matching grows with their number times the pattern's size."""
DFA_BYTES = 256 * 1024
"""The memory that the engine may use to speed up a compiled pattern."""
SIZES = tuple(size * 1024 for size in (16, 64, 256, 1024))
"""Bounds of a compiled pattern, in bytes. The smallest one that suffices determines the cost."""
_WEIGHT_BYTES = 4096

_LOOK_AROUND = lazy_pattern(r"\(\?<?[=!]")
_BACKREFERENCE = lazy_pattern(r"\\(?:[1-9]|k<)")
_COUNT = lazy_pattern(r"\{[0-9]+(?:,[0-9]*)?\}")


class PatternError(ValueError):
    """An invalid pattern; the message begins with the pattern and says why."""


class Pattern(NamedTuple):
    """A compiled regular expression."""

    text: str
    found_in: Callable[[str], bool]
    """Whether the pattern matches anywhere in a text, in linear time."""


class LazyPattern:
    """A regular expression that is known to be valid, compiled when it is first used."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def found_in(self) -> Callable[[str], bool]:
        """Whether the pattern matches anywhere in a text, in linear time."""
        return compile_pattern(self.text).found_in


def compile_pattern(text: str) -> Pattern:
    """The compiled pattern; raises PatternError if it is invalid, or takes too much memory or time."""
    size = pattern_size(text)
    return _small_pattern(text, size) if size <= SIZES[1] else _pattern(text, size)


@lru_cache(maxsize=1024)
def pattern_size(text: str) -> int:
    """An upper bound of the compiled pattern in bytes: one of SIZES; raises PatternError as compile_pattern does."""
    if len(text) > MAX_LENGTH:
        raise PatternError(f"{_shorten(text)} has {len(text)} characters; a pattern has at most {MAX_LENGTH}")
    groups = text.count("(")
    if groups > MAX_GROUPS:
        raise PatternError(f"{_shorten(text)} has {groups} groups; a pattern has at most {MAX_GROUPS}")
    for size in SIZES:
        if _compiled(text, size) is not None:
            return size
    raise PatternError(f"{_shorten(text)} {_reason(text)}")


def pattern_weight(text: str) -> int:
    """The steps for matching one character; raises PatternError as compile_pattern does."""
    return pattern_size(text) // _WEIGHT_BYTES


def linear_options(size: int | None = None) -> "jsonschema_rs.RegexOptions":
    """A validator's options for compiling patterns; each of at most that many bytes, by default the most of SIZES."""
    return jsonschema_rs.RegexOptions(size_limit=size or SIZES[-1], dfa_size_limit=size and DFA_BYTES)


def is_regular_expression(text: str) -> bool:
    """Whether a text is a regular expression in the syntax of JSON Schema (ECMA 262), which includes look-around."""
    if len(text) > MAX_LENGTH or text.count("(") > MAX_GROUPS:
        return False
    options = jsonschema_rs.FancyRegexOptions(size_limit=SIZES[-1], dfa_size_limit=DFA_BYTES)
    return _validator(text, options) is not None


@lru_cache(maxsize=256)
def pattern_validator(text: str) -> Any:
    """Accepts texts that match an expression in JSON Schema's syntax (ECMA 262), which differs from Python's."""
    return jsonschema_rs.Draft202012Validator({"pattern": text}, pattern_options=linear_options())


def is_pattern(text: str) -> bool:
    """Whether the text is a supported regular expression."""
    try:
        pattern_validator(text)
    except (jsonschema_rs.ValidationError, ValueError):
        return False
    return True


def why_unusable(text: str) -> str:
    """Why a text is no supported regular expression; begins with the text."""
    try:
        compile_pattern(text)
    except PatternError as problem:
        return str(problem)
    return f"{text!r} is not a regular expression"


def _pattern(text: str, size: int) -> Pattern:
    found_in = _compiled(text, size)
    assert found_in is not None, "it was compiled to find its size"
    return Pattern(text, found_in)


# Large ones are not cached: clients could fill the memory with them.
_small_pattern = lru_cache(maxsize=64)(_pattern)


def _compiled(text: str, size: int) -> Callable[[str], bool] | None:
    return _validator(text, linear_options(size))


def _validator(
    text: str, options: "jsonschema_rs.RegexOptions | jsonschema_rs.FancyRegexOptions"
) -> Callable[[str], bool] | None:
    try:
        return jsonschema_rs.Draft202012Validator({"pattern": text}, pattern_options=options).is_valid
    except (jsonschema_rs.ValidationError, ValueError):  # ValueError: a lone surrogate
        return None


def _reason(text: str) -> str:
    if _LOOK_AROUND.search(text):
        return "has a look-around, which is not supported: patterns match in linear time"
    if _BACKREFERENCE.search(text):
        return "has a backreference, which is not supported: patterns match in linear time"
    if _compiled(_COUNT.sub("{1}", text), SIZES[-1]) is not None:
        return f"is too large: with its counts it compiles to more than {SIZES[-1]} bytes"
    return "is not a regular expression, or is too large"


def _shorten(text: str) -> str:
    return repr(text if len(text) <= 100 else f"{text[:100]}…")
