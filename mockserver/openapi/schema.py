"""Validates values against one JSON Schema, with two validators: a fast one to accept, a slow one to explain.

jsonschema-rs accepts valid values in microseconds, and most values are valid. What it rejects is validated again by
jsonschema, which has the last word and writes the violations, with messages and subschemas that error formatters use.

The two must agree, or a value could be rejected without a violation:

- Formats are defined once, in FORMATS; both validators call these functions.
- Patterns are matched in linear time by jsonschema-rs in both; Python's `re` would allow denial of service.
- jsonschema stops at MAX_EXPLAINED_ITEMS of an array, and leaves `unevaluatedProperties` with patterns to the fast
  validator. A violation only there is reported in the fast validator's words.

A property test compares the validators on every schema of `openapi.yaml`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

import jsonschema_rs

from mockserver.errors import SpecError, Violation
from mockserver.lazy import lazy_module
from mockserver.openapi.references import resolve_ref, resolved
from mockserver.openapi.regex import is_pattern, is_regular_expression, linear_options, pattern_validator, why_unusable
from mockserver.text import nearest

if TYPE_CHECKING:
    import jsonschema
    import pycountry
    from jsonschema import FormatChecker, ValidationError
    from jsonschema.protocols import Validator
else:
    jsonschema = lazy_module("jsonschema")
    pycountry = lazy_module("pycountry")

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_VIOLATIONS = 100
MAX_EXPLAINED_ITEMS = 10_000
MAX_SHOWN_VALUE = 100

_OTHER_REFERENCES = frozenset(("$id", "$anchor", "$dynamicAnchor", "$dynamicRef"))
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# Common English names that ISO 639 spells otherwise.
_ALSO_CALLED = {"castilian", "farsi", "flemish", "gaelic", "greek", "haitian creole", "mandarin", "punjabi"}
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s\x00-\x1f<>\"{}|\\^`]+")


class Schema:
    """A JSON Schema inside a document, whose `components` its references name."""

    needs: "Schema | None" = None
    """What the code behind an operation needs, where a served document may describe it otherwise."""

    def __init__(
        self, definition: Mapping[str, Any], document: Mapping[str, Any], *, pattern_bytes: int | None = None
    ) -> None:
        """`document` is the whole OpenAPI document; neither it nor `definition` may change afterwards.

        A pattern may compile to `pattern_bytes`, by default 10 MB.
        """
        self.definition = definition
        self.document = document
        self._pattern_bytes = pattern_bytes

    def accepts(self, value: Any) -> bool:
        """Whether the value is valid."""
        return self._fast.is_valid(value) or not self.violations(value)

    @cached_property
    def fast_accepts(self) -> Callable[[Any], bool]:
        """Whether the fast validator accepts a value; False is not final."""
        is_valid: Callable[[Any], bool] = self._fast.is_valid
        return is_valid

    def violations(self, value: Any, location: tuple[str | int, ...] = ()) -> list[Violation]:
        """All violations of the schema, at most MAX_VIOLATIONS; `location` is the value's own."""
        if self._fast.is_valid(value):
            return []
        try:
            errors = list(islice(self._slow.iter_errors(value), MAX_VIOLATIONS))
        except RecursionError:
            return [Violation(location, "depth", "is nested too deeply")]
        found = [
            Violation(
                (*location, *error.absolute_path),
                str(error.validator),
                _shorten(error.message) + _meant_names(error),
                error.schema,
                _format_schema(error.instance),
                self._names(error, value),
            )
            for error in errors
        ]
        _release(errors)
        is_partial = _is_wide(value) or self._leaves_unevaluated
        return found or (self._first_of_the_fast_validator(value, location) if is_partial else [])

    def _first_of_the_fast_validator(self, value: Any, location: tuple[str | int, ...]) -> list[Violation]:
        """A violation in a part that jsonschema skips. Only the first, since finding millions would take minutes."""
        try:
            self._fast.validate(value)
        except jsonschema_rs.ValidationError as error:
            code = next((str(step) for step in reversed(error.schema_path) if isinstance(step, str)), "invalid")
            where, kind = (*location, *error.instance_path), error.kind.as_dict()
            names = [kind["property"]] if error.kind.name == "required" else sorted(kind.get("unexpected", ()))
            return [Violation(where, code, _shorten(error.message), names=_bounded_names(names))]
        return []

    def _names(self, error: "ValidationError", value: Any) -> tuple[str, ...]:
        """The missing property, or the first unknown ones."""
        if error.validator == "required":
            return _bounded_names(error.validator_value)
        if error.validator == "unevaluatedProperties":
            # jsonschema has them only in its message.
            place = tuple(error.absolute_path)
            return next(
                (each.names for each in self._first_of_the_fast_validator(value, ()) if each.location == place), ()
            )
        if error.validator != "additionalProperties" or not isinstance(error.instance, dict):
            return ()
        known = error.schema.get("properties", {})
        patterns = [pattern_validator(text) for text in error.schema.get("patternProperties", ())]
        unknown = (name for name in error.instance if name not in known and not any(p.is_valid(name) for p in patterns))
        return _bounded_names(sorted(unknown))

    def resolved(self, definition: Any) -> Mapping[str, Any]:
        """What a part of the schema says: what its references lead to, and the keywords beside them.

        Empty for `true` and `false`, and for a reference that leads nowhere.
        """
        return resolved(definition, self.document)

    def check_usable(self, *others: Mapping[str, Any]) -> None:
        """Raises SpecError if this definition, or another one of the same document, is not a usable schema."""
        _compile({**self._whole, "allOf": [{}, *self._whole.get("allOf", ()), *others]}, FORMATS)

    @cached_property
    def _whole(self) -> dict[str, Any]:
        """The definition with the targets of its references. Both validators ignore unknown keywords."""
        beside = {key: self.document[key] for key in ("components", "paths") if key in self.document}
        return {**beside, **self.definition, "$schema": DIALECT}

    @cached_property
    def _fast(self) -> Any:
        # A validator with formats in Python is slower by half, even if no format is used.
        formats = FORMATS if _names_formats(self.definition, self.document) else {}
        return _compile(self._whole, formats, self._pattern_bytes)

    @cached_property
    def _slow(self) -> "Validator":
        kind = _explaining_validator(leaves_unevaluated=self._leaves_unevaluated)
        return kind(self._whole, format_checker=_format_checker())

    @cached_property
    def _leaves_unevaluated(self) -> bool:
        """Whether jsonschema skips unevaluatedProperties, since it would match names with Python's `re`."""
        return _names_all(self._whole, {"unevaluatedProperties", "patternProperties"})


def _release(errors: "Iterable[ValidationError]") -> None:
    """Break the references between errors and to the value, so that the value is freed at once."""
    waiting = list(errors)
    while waiting:
        error = waiting.pop()
        waiting += error.context or ()
        error.context, error.parent, error.instance, error.__traceback__ = [], None, None, None


def keyword_errors(definition: Any) -> Iterator[tuple[tuple[str | int, ...], Any, str]]:
    """Keywords of a schema and its subschemas with values that JSON Schema does not allow.

    Each with its location, its value and the reason; references are not followed.
    """
    for error in _metaschema().iter_errors(definition):
        yield tuple(error.instance_path), error.instance, error.message


def _names_all(node: Any, words: set[str]) -> bool:
    """Whether each of the words is a key somewhere in a value."""
    missing, waiting = set(words), [node]
    while waiting and missing:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            missing -= node.keys()
            waiting += node.values()
    return not missing


def _names_formats(definition: Any, document: Mapping[str, Any]) -> bool:
    """Whether the definition, or a target of its references, uses a format; True if that is unknown."""
    waiting, references = [definition], set[str]()
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            if isinstance(node.get("format"), str) or not _OTHER_REFERENCES.isdisjoint(node):
                return True
            waiting += node.values()
            reference = node.get("$ref")
            if isinstance(reference, str) and reference not in references:
                references.add(reference)
                try:
                    waiting.append(resolve_ref(reference, document))
                except (LookupError, ValueError, TypeError):
                    return True
    return False


def _compile(
    definition: dict[str, Any], formats: dict[str, Callable[[str], bool]], pattern_bytes: int | None = None
) -> Any:
    options = linear_options(pattern_bytes)
    try:
        return jsonschema_rs.Draft202012Validator(
            definition, validate_formats=True, formats=formats, offline=True, pattern_options=options
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as problem:
        why = _pattern_problem(definition) or " ".join(str(problem).split())
        raise SpecError(f"not a usable JSON Schema: {_shorten(why)}") from problem


def _pattern_problem(node: Any) -> str:
    """Why a pattern of a definition is invalid; empty if none is. The validator only says which one."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            waiting += node.values()
            named = node.get("patternProperties")
            for text in (node.get("pattern"), *(named if isinstance(named, dict) else ())):
                if isinstance(text, str) and not is_pattern(text):
                    return why_unusable(text)
    return ""


def _is_wide(value: Any) -> bool:
    """Whether it contains an array that is too long for jsonschema's limit."""
    children: Iterable[Any] = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return (isinstance(value, list) and len(value) > MAX_EXPLAINED_ITEMS) or any(map(_is_wide, children))


def _is_uuid(text: str) -> bool:
    return _UUID.fullmatch(text) is not None


def _is_uri(text: str) -> bool:
    return _URI.fullmatch(text) is not None


def _is_country(text: str) -> bool:
    return len(text) == 2 and text.isascii() and pycountry.countries.get(alpha_2=text.upper()) is not None


def _is_language(text: str) -> bool:
    """An ISO 639-1 code, or the English name of a language that has one, in any case."""
    return text.lower() in _languages()


@cache
def _languages() -> frozenset[str]:
    coded = [language for language in pycountry.languages if hasattr(language, "alpha_2")]
    spelled = {language.name.partition(" (")[0].lower() for language in coded}
    common = {language.common_name.lower() for language in coded if hasattr(language, "common_name")}
    return frozenset({language.alpha_2 for language in coded} | spelled | common | _ALSO_CALLED)


def _is_standard(name: str) -> Callable[[str], bool]:
    """A format of JSON Schema itself, checked for both validators by jsonschema's format checker."""

    def conforms(text: str) -> bool:
        return bool(jsonschema.FormatChecker().conforms(text, name))

    return conforms


_STANDARD = (
    "date", "date-time", "duration", "email", "hostname", "idn-email", "idn-hostname", "ipv4", "ipv6", "iri",
    "iri-reference", "json-pointer", "relative-json-pointer", "time", "uri-reference", "uri-template",
)  # fmt: skip

FORMATS: dict[str, Callable[[str], bool]] = {
    **{name: _is_standard(name) for name in _STANDARD},
    "regex": is_regular_expression,
    "uuid": _is_uuid,
    "uri": _is_uri,
    "iso-3166-1-alpha-2": _is_country,
    "language": _is_language,
}
"""The formats. Both validators use this table, so that they agree."""


@cache
def _format_checker() -> "FormatChecker":
    checker = jsonschema.FormatChecker(formats=())
    for name, conforms in FORMATS.items():
        checker.checks(name)(lambda value, conforms=conforms: not isinstance(value, str) or conforms(value))
    return checker


@cache
def _explaining_validator(*, leaves_unevaluated: bool) -> type["Validator"]:
    """jsonschema's validator, with a limit on array items, and with the fast validator's patterns."""
    known = jsonschema.Draft202012Validator.VALIDATORS

    def items(validator: Any, definition: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
        if isinstance(instance, list):
            instance = instance[: min(schema.get("maxItems", MAX_EXPLAINED_ITEMS), MAX_EXPLAINED_ITEMS)]
        yield from known["items"](validator, definition, instance, schema) or ()

    def pattern(_validator: Any, definition: str, instance: Any, _: Mapping[str, Any]) -> Iterator[Any]:
        if isinstance(instance, str) and not pattern_validator(definition).is_valid(instance):
            yield jsonschema.ValidationError(f"{instance!r} does not match {definition!r}")

    def named(validator: Any, definition: Any, instance: Any, _: Mapping[str, Any]) -> Iterator[Any]:
        for text, wanted in definition.items() if isinstance(instance, dict) else ():
            for name in [name for name in instance if pattern_validator(text).is_valid(name)]:
                yield from validator.descend(instance[name], wanted, path=name, schema_path=text)

    def additional(validator: Any, definition: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
        if isinstance(instance, dict) and schema.get("patternProperties"):
            # jsonschema would match the names with Python's `re`.
            patterns = [pattern_validator(text) for text in schema["patternProperties"]]
            schema = {name: each for name, each in schema.items() if name != "patternProperties"}
            instance = {name: each for name, each in instance.items() if not any(p.is_valid(name) for p in patterns)}
        yield from known["additionalProperties"](validator, definition, instance, schema) or ()

    def required(_validator: Any, definition: Any, instance: Any, _: Mapping[str, Any]) -> Iterator[Any]:
        for name in definition if isinstance(instance, dict) else ():
            if name not in instance:
                yield jsonschema.ValidationError(f"{name!r} is a required property", validator_value=[name])

    def unique(_validator: Any, definition: bool, instance: Any, _: Mapping[str, Any]) -> Iterator[Any]:
        if definition and isinstance(instance, list) and not _UNIQUE.is_valid(instance):
            yield jsonschema.ValidationError(f"{instance!r} has non-unique elements")

    keywords: dict[str, Any] = {
        "items": items,
        "pattern": pattern,
        "patternProperties": named,
        "additionalProperties": additional,
        "required": required,
        "uniqueItems": unique,
    }
    if leaves_unevaluated:
        keywords["unevaluatedProperties"] = lambda *_: ()
    extended: type[Validator] = jsonschema.validators.extend(jsonschema.Draft202012Validator, keywords)
    return extended


# jsonschema compares every item with every other, which takes minutes for a few thousand objects.
_UNIQUE = jsonschema_rs.Draft202012Validator({"uniqueItems": True})


_UNKNOWN_NAMES = frozenset({"additionalProperties", "unevaluatedProperties"})
MAX_NAMES = 3
"""The most unknown names of an object that a violation lists, and for which the nearest known name is suggested."""


def _meant_names(error: "ValidationError") -> str:
    """Suggestions for the unknown names of an object, from all of its alternatives."""
    meant: dict[str, None] = {}
    choices = error.context or () if error.validator in {"anyOf", "oneOf"} else ()
    for each in (error, *choices):
        if each.validator in _UNKNOWN_NAMES and isinstance(each.instance, dict):
            known = each.schema.get("properties", {})
            unknown = [name for name in islice(each.instance, MAX_NAMES + len(known)) if name not in known]
            free = [name for name in known if name not in each.instance]
            meant |= dict.fromkeys(filter(None, (nearest(name, free) for name in unknown[:MAX_NAMES])))
    return f"; did you mean {', '.join(meant)}?" if meant else ""


def _bounded_names(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name[:MAX_SHOWN_VALUE] for name in names[:MAX_NAMES])


@cache
def _metaschema() -> Any:
    return jsonschema_rs.Draft202012Validator({"$ref": DIALECT})


def _format_schema(value: Any) -> Any:
    """The value if it is small, since the journal keeps violations."""
    if isinstance(value, str):
        return value[:MAX_SHOWN_VALUE]
    return type(value)() if isinstance(value, (list, dict)) else value


def _shorten(message: str, limit: int = 300) -> str:
    return message if len(message) <= limit else f"{message[: limit // 2]} … {message[-limit // 3 :]}"
