"""What rendering a template may cost: a budget of steps, and what values, filters and methods take from it.

Steps are counted, not seconds, so that a template ends in the same way on every machine. A step is worth a microsecond
at most; what a filter costs beyond the size of its arguments is said in a table, before it runs.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from mockserver.providers.agilecloud_problems import TemplateProblem

STEPS = 700_000
"""For one rendering; under a second."""
CHARACTERS = 16
"""How many characters of text a step carries."""
MAX_CALLS = 30
"""Macros and recursive loops inside one another."""
MAX_LEVELS = 100
"""Lists and objects inside one another."""
MAX_BITS = 4096
"""Of a whole number."""
MAX_TEXT = 20_000
"""Characters of a text that is searched for tags, links or line ends."""
MAX_RANGE = 100_000
"""Numbers in one range, as in Jinja's own sandbox."""
MAX_DIGITS = 100
"""To round to, or to put in front of a line of JSON."""

Cost = Callable[..., float]
"""From the weight of all arguments, and the arguments themselves, to more steps."""


class Budget:
    """The steps that are left."""

    def __init__(self, check_opaque: Callable[[object], None], steps: int = STEPS) -> None:
        """`check_opaque` raises for a value that is not data."""
        self._left = steps
        self._check_opaque = check_opaque
        self.calls = 0

    def spend(self, steps: float) -> None:
        """Take steps; raises TemplateProblem when there are not so many left."""
        if not steps <= self._left:  # Written so that NaN is refused, too.
            raise TemplateProblem("too_much", "The template does too much: its loops or texts are too large.")
        self._left -= int(steps)

    def weigh(self, value: object) -> int:
        """Spend the size of a value with everything in it, and return it; so a look at the value is paid for."""
        if isinstance(value, str):
            weight = 1 + len(value) // CHARACTERS
            self.spend(weight)
            return weight
        total, level = 0, [value]
        for _ in range(MAX_LEVELS):
            deeper: list[object] = []
            total += sum(self._weigh_one(each, deeper) for each in level)
            if not deeper:
                return total
            level = deeper
        raise TemplateProblem("too_much", f"A value is nested deeper than {MAX_LEVELS} levels.")

    def _weigh_one(self, value: object, deeper: list[object]) -> int:
        weight = 1
        match value:
            case None | bool() | float():
                pass
            case str():
                weight += len(value) // CHARACTERS
            case int():
                if value.bit_length() > MAX_BITS:
                    raise TemplateProblem("too_much", f"A number has more than {MAX_BITS} bits.")
            case list() | tuple() | dict() | range():
                weight += len(value)
            case _:
                self._check_opaque(value)
        self.spend(weight)
        if isinstance(value, dict):
            deeper += value.keys()
            deeper += value.values()
        elif isinstance(value, (list, tuple)):
            deeper += value
        return weight


def text_cost(length: float) -> float:
    """The steps for a text of that many characters."""
    return length / CHARACTERS


def format_cost(weight: int, pattern: Any, /, *args: Any, **_: Any) -> float:
    """Of printf-style formatting: the widths and precisions in the pattern, and where it says `*`, in the arguments.

    What is named, as in `%(text)s`, can be used again and again.
    """
    text = str(pattern)
    widths = re.findall(r"[%).][#0\- +]*(\d+|\*)", text)
    # Ten digits are more than any budget, and reading many thousands of them is slow.
    total = sum(int(width[:10]) for width in widths if width != "*")
    if "*" in widths:
        total += len(widths) * sum(abs(each) for each in args if isinstance(each, int))
    return weight * (1 + text.count("%(")) + text_cost(total)


def power_cost(base: Any, exponent: Any) -> float:
    """Of `**`: none for numbers that stay small."""
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * max(exponent, 0) > MAX_BITS:
        raise TemplateProblem("too_much", f"A power has more than {MAX_BITS} bits.")
    return 1


def product_cost(weight: int, left: Any, right: Any) -> float:
    """Of `*`: the size of what is repeated, as often as it is."""
    for value, times in ((left, right), (right, left)):
        if isinstance(value, (str, list, tuple)) and isinstance(times, int):
            return float(weight * max(times, 0))
    return weight


def each_item(_: int, value: Any, *args: Any, **named: Any) -> float:
    """Of a filter that goes through items, perhaps by a path like `a.b.c` for each."""
    texts = [each for each in (*args, *named.values()) if isinstance(each, str)]
    return float(len(value) * (4 + sum(map(len, texts))))


def _sorting(weight: int, value: Any, *args: Any, **named: Any) -> float:
    return 20 * weight + each_item(weight, value, *args, **named)


def _adding(weight: int, value: Any, attribute: Any = None, start: Any = 0) -> float:
    if not isinstance(start, (int, float)):
        raise TypeError("sum adds numbers only")
    return each_item(weight, value, attribute)


def _joining(_: int, value: Any, d: Any = "", attribute: Any = None) -> float:
    return len(value) * (2 + text_cost(len(str(d))) + len(str(attribute or "")))


def _joining_text(_: int, text: Any, items: Any) -> float:
    return _joining(0, items, text)


def _replacing(_: int, text: Any, old: Any, new: Any, count: Any = None) -> float:
    del count
    return text_cost(str(text).count(str(old)) * len(str(new)))


def _indenting(_: int, text: Any, width: Any = 4, first: Any = False, blank: Any = False) -> float:
    del first, blank
    return text_cost((text.count("\n") + 1) * (len(width) if isinstance(width, str) else abs(width)))


def _searching(_: int, text: Any, *args: Any, **named: Any) -> float:
    others = sum(len(each) for each in (*args, *named.values()) if isinstance(each, str))
    if len(str(text)) + others > MAX_TEXT:
        raise TemplateProblem("too_much", f"A text has more than {MAX_TEXT} characters, too many for this filter.")
    return 2 * len(str(text))


def _linking(_: int, text: Any, *args: Any, **named: Any) -> float:
    return _searching(0, text) + sum(
        len(str(text)) * text_cost(len(each)) for each in (*args, *named.values()) if isinstance(each, str)
    )


def _wrapping(
    _: int, s: Any, width: Any = 79, break_long_words: Any = True, wrapstring: Any = None, **__: Any
) -> float:
    del break_long_words
    lines = len(s) / max(width, 1) + len(s)
    return _searching(0, s) + float(lines * text_cost(len(wrapstring or "")))


def _json(weight: int, _: Any, indent: Any = None) -> float:
    return weight * (4 + _digits(indent or 0) * MAX_LEVELS / CHARACTERS)


def _digits(number: int) -> int:
    if not -MAX_DIGITS <= number <= MAX_DIGITS:
        raise TemplateProblem("too_much", f"{number} is more than {MAX_DIGITS}.")
    return abs(number)


def _stripping(_: int, text: Any, chars: Any = None) -> float:
    return text_cost(len(str(text)) * len(chars or "")) / CHARACTERS


def _searching_back(_: int, text: Any, part: Any = None, *__: Any) -> float:
    return text_cost(len(text) * len(part or "")) / CHARACTERS


def _batching(weight: int, _: Any, linecount: Any, *__: Any, **___: Any) -> float:
    return weight + float(abs(linecount))


def _slicing(weight: int, _: Any, slices: Any, *__: Any, **___: Any) -> float:
    return weight + float(abs(slices))


def _widening(_: int, __: Any, width: Any = 80, *___: Any) -> float:
    return text_cost(abs(width))


def _rounding(_: int, __: Any, precision: Any = 0, *___: Any, **____: Any) -> float:
    return _digits(precision)


def _slow(weight: int, *_: Any, **__: Any) -> float:
    return 40 * weight


def _nothing(_: int, *__: Any, **___: Any) -> float:
    return 0


def _splitting(_: int, text: Any, *__: Any, **___: Any) -> float:
    return len(str(text)) / 4


FILTER_COSTS: Mapping[str, Cost] = {
    "batch": _batching,
    "center": _widening,
    "format": format_cost,
    "indent": _indenting,
    "join": _joining,
    "pprint": _slow,
    "replace": _replacing,
    "round": _rounding,
    "slice": _slicing,
    "striptags": _searching,
    "sum": _adding,
    "title": _splitting,
    "tojson": _json,
    "trim": _stripping,
    "urlencode": _slow,
    "urlize": _linking,
    "wordcount": _splitting,
    "wordwrap": _wrapping,
    "xmlattr": _slow,
    **dict.fromkeys(("groupby", "sort", "dictsort", "unique", "min", "max"), _sorting),
    **dict.fromkeys(("map", "select", "reject", "selectattr", "rejectattr"), each_item),
}

_PLAIN = {
    *(
        "capitalize",
        "casefold",
        "count",
        "endswith",
        "find",
        "index",
        "lower",
        "partition",
        "removeprefix",
        "removesuffix",
        "startswith",
        "swapcase",
        "title",
        "upper",
    ),
    *(name for name in dir(str) if name.startswith("is")),
}

TEXT_METHODS: Mapping[str, Cost] = {
    **dict.fromkeys(_PLAIN, _nothing),
    **dict.fromkeys(("split", "rsplit", "splitlines"), _splitting),
    **dict.fromkeys(("strip", "lstrip", "rstrip"), _stripping),
    **dict.fromkeys(("rfind", "rindex", "rpartition"), _searching_back),
    **dict.fromkeys(("center", "ljust", "rjust", "zfill"), _widening),
    "join": _joining_text,
    "replace": _replacing,
}
"""The methods of texts that a template may call."""

METHODS: Mapping[type, Mapping[str, Cost]] = {
    str: TEXT_METHODS,
    dict: dict.fromkeys(("items", "keys", "values", "get"), _nothing),
    list: dict.fromkeys(("count", "index"), _nothing),
    tuple: dict.fromkeys(("count", "index"), _nothing),
}
