"""Generates a value that fits a JSON Schema: the same for the same key, with words that suit the names."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from math import ceil, floor, inf, lcm, nextafter
from typing import Any

from mockserver.openapi.generate.documented import NOTHING, as_list, discriminator, documented_value, suggested_name
from mockserver.openapi.generate.regex import text_matching
from mockserver.openapi.generate.steps import Budget, TooCostly
from mockserver.openapi.generate.words import WordGenerator, text_for
from mockserver.openapi.references import resolve_ref

__all__ = ["WordGenerator", "generate_value"]

Schema = Mapping[str, Any]

SHALLOW = 4
"""Below this depth optional parts are left out, since a schema may contain itself."""
MANY_PARTS = 400
"""Optional parts are left out once a value has this many parts."""
MAX_LOOKS = 3_000
"""The most schemas that are merged into one."""
BOTTOM = 24
"""The greatest depth. A schema that requires itself has no finite value; null is generated at this depth."""
TRIES = 60
LEAST = Fraction(-(2**63))
"""The least 64-bit integer."""
SPAN = 1000
"""The range of a number with only one bound."""
LONGEST = 1_000_000
"""The most characters of a text, regardless of the document."""
MOST = 10_000
"""The most items of an array, and properties of an object."""
COMBINING = frozenset(("$ref", "allOf", "anyOf", "oneOf"))
# A schema without `type` has the type that its other keywords apply to, else string.
TYPICAL = {
    "object": ("properties", "required", "additionalProperties", "minProperties"),
    "array": ("items", "prefixItems", "minItems", "maxItems", "contains"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}


def generate_value(
    schema: Schema | bool,
    *,
    root: Mapping[str, Any],
    key: bytes,
    budget: Budget | None = None,
    documents_values: bool = False,
) -> Any:
    """A value for the schema, the same for the same key; `$ref` is resolved in root.

    With `documents_values`, the examples and defaults of the schema and its parts are used where there are some.

    Raises TooCostly if the budget does not suffice. Without a budget, as for documents, parts that are too costly are
    null. Not supported are `not`, `if`, and branches of `oneOf` that exclude each other other than by
    required properties.
    """
    return _Generation(root, WordGenerator(key), budget, documents_values=documents_values).value(schema)


class _Generation:
    """The generation of one value."""

    def __init__(
        self, root: Mapping[str, Any], words: WordGenerator, budget: Budget | None, *, documents_values: bool
    ) -> None:
        self.root = root
        self.documents_values = documents_values
        self.budget = budget or Budget()
        self.is_lenient = budget is None
        self.words = words
        self.parts = 0
        self.looks = 0

    def value(self, schema: Schema | bool, name: str = "", depth: int = 0) -> Any:
        self.parts += 1
        if depth > BOTTOM or self.parts > 5 * MANY_PARTS:
            return None
        try:
            return self.made(schema, name, depth)
        except TooCostly:
            if not self.is_lenient:
                raise
            return None

    def made(self, schema: Schema | bool, name: str, depth: int) -> Any:
        self.budget.spend(10)
        is_enough = depth >= SHALLOW or self.parts > MANY_PARTS
        self.looks = 0
        flat = self.flattened(schema, is_enough=is_enough)
        if "const" in flat and flat["const"] in flat.get("enum", (flat["const"],)):
            return flat["const"]
        named = flat.get("x-mock-discriminator")
        if (
            named is not None
            and named in flat.get("enum", (named,))
            and "string" in as_list(flat.get("type", "string"))
        ):
            return named
        if self.documents_values and (found := documented_value(flat)) is not NOTHING:
            return found
        if "enum" in flat:
            self.budget.spend(len(flat["enum"]))
            return self.words.pick([value for value in flat["enum"] if value is not None] or [None])
        return self.typed(flat, name, depth, is_enough=is_enough)

    def typed(self, flat: Schema, name: str, depth: int, *, is_enough: bool) -> Any:
        type_ = _type_of(flat, is_enough=is_enough)
        if type_ == "object":
            return self.object(flat, depth, is_enough=is_enough)
        if type_ == "array":
            return self.array(flat, name, depth, is_enough=is_enough)
        if type_ in ("integer", "number"):
            return self.number(flat, is_whole=type_ == "integer")
        if type_ == "string":
            return self.string(flat, name)
        return self.words.chance(0.5) if type_ == "boolean" else None

    def flattened(self, schema: Schema | bool, *, is_enough: bool, hops: int = 0) -> Schema:
        """The schema with references and combinations merged into one."""
        self.looks += 1
        if isinstance(schema, bool) or hops > BOTTOM or self.looks > MAX_LOOKS:
            return {}
        self.budget.spend(2 + len(schema))
        parts = [*schema.get("allOf", ())]
        named = discriminator(schema)
        if "$ref" in schema:
            parts.append(resolve_ref(schema["$ref"], self.root))
        if schema.get("anyOf"):
            chosen = self.branch(schema["anyOf"], is_enough=is_enough)
            parts += [chosen, *named(chosen)]
        if schema.get("oneOf"):
            chosen = self.branch(schema["oneOf"], is_enough=is_enough)
            said = named(chosen)
            absent = {} if said else dict.fromkeys(self.required_elsewhere(schema["oneOf"], chosen), False)
            parts += [chosen, {"properties": absent}, *said]
        flat: Schema = {word: asked for word, asked in schema.items() if word not in COMBINING}
        for part in parts:
            other = self.flattened(part, is_enough=is_enough, hops=hops + 1)
            self.budget.spend(_merging_steps(flat, other))
            flat = _merge(flat, other)
        return flat

    def branch(self, branches: Sequence[Any], *, is_enough: bool) -> Any:
        """Prefers alternatives other than null while within the limits, and the simplest one beyond."""
        self.budget.spend(2 * len(branches))
        open_ones = [branch for branch in branches if branch is not False] or [True]
        if is_enough:
            return min(open_ones, key=_weight)
        return self.words.pick([branch for branch in open_ones if _weight(branch) > 0] or open_ones)

    def required_elsewhere(self, branches: Sequence[Any], chosen: Any) -> list[str]:
        """Names that only the other branches of a oneOf require; a value with these might fit two branches."""
        self.budget.spend(10 * len(branches))
        others = [self.flattened(branch, is_enough=True) for branch in branches if branch is not chosen]
        own = frozenset(self.flattened(chosen, is_enough=True).get("required", ()))
        return [name for other in others for name in other.get("required", ()) if name not in own]

    def object(self, schema: Schema, depth: int, *, is_enough: bool) -> dict[str, Any]:
        properties, extra = schema.get("properties", {}), schema.get("additionalProperties", True)
        least, most = min(int(schema.get("minProperties", 0)), MOST), int(schema.get("maxProperties", MANY_PARTS))
        # A dict, since it is ordered and fast to search.
        names = dict.fromkeys(schema.get("required", ()))
        self.budget.spend(len(properties) + len(names))
        optional = [name for name in properties if name not in names and properties[name] is not False]
        if not is_enough:
            shown = [name for name in optional if not _is_hidden(properties[name])]
            names |= dict.fromkeys(shown[: max(0, most - len(names))])
            if isinstance(extra, Mapping) and not properties:
                least = max(least, min(2, most))
        if len(names) < least:
            names |= dict.fromkeys([name for name in optional if name not in names][: least - len(names)])
        while len(names) < least and extra is not False:
            self.budget.spend(2)
            names[f"{self.words.word()}{len(names) or ''}"] = None
        return {name: self.value(properties.get(name, extra), name, depth + 1) for name in names}

    def array(self, schema: Schema, name: str, depth: int, *, is_enough: bool) -> list[Any]:
        first, rest = schema.get("prefixItems", []), schema.get("items", True)
        least = min(int(schema.get("minItems", 0)), MOST)
        most = min(int(schema.get("maxItems", MOST)), max(least, len(first), 1) + 2)
        size = least if is_enough else self.words.integer(min(max(least, len(first), 1), most), most)
        self.budget.spend(len(first) + size)
        kinds = [*first, *[rest] * max(0, size - len(first))][: len(first) if rest is False else size]
        if "contains" in schema:
            kinds = _with_contained(kinds, schema, len(first))
        made = [self.value(kind, name.removesuffix("s"), depth + 1) for kind in kinds]
        if not schema.get("uniqueItems"):
            return made
        different = {_identity(item): item for item in made}
        for _ in range(TRIES * least):
            if len(different) >= least:
                break
            self.budget.spend(10)
            item = self.value(rest, name.removesuffix("s"), depth + 1)
            different[_identity(item)] = item
        return list(different.values())

    def number(self, schema: Schema, *, is_whole: bool) -> int | float:
        if is_whole or "multipleOf" in schema:
            return self.multiple(schema, is_whole=is_whole)
        low, high = _bounds(schema, 1)
        exact = float(low + Fraction(self.words.fraction()) * (high - low))
        choices = (round(exact, 2), exact, float((low + high) / 2))
        return next((value for value in choices if low < value < high), float(low))

    def multiple(self, schema: Schema, *, is_whole: bool) -> int | float:
        steps = _steps(schema.get("multipleOf", 1))
        unit = _common_multiple(Fraction(str(step)) for step in steps)
        if is_whole:
            unit = Fraction(unit.numerator)  # the smallest integer multiple of a/b is a
        low, high = _bounds(schema, unit)
        least, most = ceil(low / unit), floor(high / unit)
        least += least * unit == low and _is_open(schema, "Minimum")
        most -= most * unit == high and _is_open(schema, "Maximum")
        for _ in range(TRIES):
            self.budget.spend(4)
            value = self.words.integer(least, max(least, most)) * unit
            # Validators divide floating-point numbers, and 0.3 / 0.1 is not 3.
            if all(_divides(step, value) for step in steps):
                break
        if value.denominator == 1 and LEAST <= value < 2**64:
            return value.numerator
        return float(value) if Fraction(float(value)) >= low else nextafter(float(value), inf)

    def string(self, schema: Schema, name: str) -> str:
        low, high = min(int(schema.get("minLength", 0)), LONGEST), schema.get("maxLength")
        high = None if high is None else int(high)
        for _ in range(TRIES):
            self.budget.spend(10)
            text = text_for(self.words, format_=schema.get("format", ""), name=suggested_name(schema, name))
            if "format" not in schema or low <= len(text) <= (len(text) if high is None else high):
                break
        self.budget.spend((low + len(text)) // 4)
        fitted = self.words.fitted(text, low, high)
        if "pattern" not in schema:
            return fitted
        return text_matching(schema["pattern"], fitted, low, high, seed=self.words.seed(), budget=self.budget)


def _with_contained(kinds: list[Any], schema: Schema, first: int) -> list[Any]:
    """The schemas of an array's items, with enough that fit `contains` after the first ones, which have their own."""
    least = min(int(schema.get("minContains", 1)), MOST)
    kinds += [schema.get("items", True)] * (first + least - len(kinds))
    for n in range(first, first + least):
        kinds[n] = _both(kinds[n], schema["contains"])
    return kinds


def _type_of(schema: Schema, *, is_enough: bool) -> str:
    types = as_list(schema.get("type", ()))
    if is_enough and "null" in types:
        return "null"
    said = next((type_ for type_ in types if type_ != "null"), "null" if types else "")
    return said or next((type_ for type_, words in TYPICAL.items() if any(word in schema for word in words)), "string")


def _weight(branch: Any) -> int:
    """0 for null, 1 for a scalar, 2 for a container."""
    types = as_list(branch.get("type", ())) if isinstance(branch, Mapping) else ()
    if "object" in types or "array" in types or not types:
        return 2
    return 0 if list(types) == ["null"] else 1


def _is_hidden(schema: Schema | bool) -> bool:
    """Whether the property is write-only."""
    return isinstance(schema, Mapping) and bool(schema.get("writeOnly"))


def _merge(one: Schema, other: Schema) -> Schema:
    return {**one, **other, **{word: _combine(word, one[word], other[word]) for word in one if word in other}}


def _merging_steps(one: Schema, other: Schema) -> int:
    enums = len(one.get("enum", ())) * len(other.get("enum", ()))
    return enums + sum(len(each.get(word, ())) for each in (one, other) for word in ("properties", "required", "enum"))


def _combine(word: str, one: Any, other: Any) -> Any:
    """The merged value of one keyword of two schemas that both apply."""
    if word in MEETINGS:
        return MEETINGS[word](one, other)
    if word.lower().startswith(("min", "exclusivemin")):
        return max(one, other)
    return min(one, other) if word.lower().startswith(("max", "exclusivemax")) else other


def _allows(types: str | Sequence[str], type_: str) -> bool:
    return type_ in as_list(types) or (type_ == "integer" and "number" in as_list(types))


def _both(one: Schema | bool, other: Schema | bool) -> Schema | bool:
    if isinstance(one, bool):
        return one and other
    return {"allOf": [one, other]} if not isinstance(other, bool) else other and one


def _common_types(one: str | Sequence[str], other: str | Sequence[str]) -> list[str]:
    both = dict.fromkeys([*as_list(one), *as_list(other)])
    return [type_ for type_ in both if _allows(one, type_) and _allows(other, type_)]


def _common_properties(one: Schema, other: Schema) -> Schema:
    return {**one, **other, **{name: _both(one[name], other[name]) for name in one if name in other}}


def _steps(multiple_of: Any) -> list[Any]:
    """What `multipleOf` says: a number, or several once schemas that have it were merged."""
    return multiple_of if isinstance(multiple_of, list) else [multiple_of]


def _common_multiple(units: Iterable[Fraction]) -> Fraction:
    """The least number above 0 that is a whole multiple of each."""
    found = list(units)
    scale = lcm(*(unit.denominator for unit in found))
    return Fraction(lcm(*(int(unit * scale) for unit in found)), scale)


def _divides(step: Any, value: Fraction) -> bool:
    """Whether validators, which divide floating-point numbers, agree that the value is a multiple."""
    return (value.denominator == 1 and isinstance(step, int)) or (float(value) / float(step)).is_integer()


MEETINGS: Mapping[str, Callable[[Any, Any], Any]] = {
    "required": lambda one, other: list(dict.fromkeys([*one, *other])),
    "properties": _common_properties,
    "items": _both,
    "additionalProperties": _both,
    "enum": lambda one, other: [value for value in one if value in other],
    "type": _common_types,
    "multipleOf": lambda one, other: [*_steps(one), *_steps(other)],
    "uniqueItems": max,
}


def _bounds(schema: Schema, unit: int | Fraction) -> tuple[Fraction, Fraction]:
    read = (lambda bound: Fraction(str(bound))) if unit != 1 else Fraction
    lows = [read(schema[word]) for word in ("minimum", "exclusiveMinimum") if _is_number(schema.get(word))]
    highs = [read(schema[word]) for word in ("maximum", "exclusiveMaximum") if _is_number(schema.get(word))]
    span = Fraction(SPAN * max(1, unit))
    if lows and not highs:
        low = max([*lows, LEAST])  # prefer a number that our JSON encoder supports
        return low, low + span
    if lows:
        return max(lows), min(highs)
    high = min(highs, default=span)
    return (Fraction(0) if high >= 1 else high - span), high


def _is_number(bound: Any) -> bool:
    """In OpenAPI 3.0 the keyword is a boolean, in 3.1 a number."""
    return isinstance(bound, int | float) and not isinstance(bound, bool)


def _is_open(schema: Schema, side: str) -> bool:
    """Whether the effective bound on this side is exclusive."""
    exclusive, inclusive = schema.get(f"exclusive{side}"), schema.get(side.lower())
    if exclusive is None or isinstance(exclusive, bool):
        return bool(exclusive)
    return inclusive is None or (exclusive >= inclusive if side == "Minimum" else exclusive <= inclusive)


def _identity(item: Any) -> str:
    """Equal for values that JSON Schema considers equal: 1 and 1.0, and objects with another order of names."""
    if isinstance(item, Mapping):
        return repr(sorted((name, _identity(value)) for name, value in item.items()))
    if isinstance(item, list):
        return repr([_identity(member) for member in item])
    return repr(int(item)) if isinstance(item, float) and item.is_integer() else repr(item)
