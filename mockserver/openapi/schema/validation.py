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

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from mockserver.errors import Violation
from mockserver.lazy import lazy_module
from mockserver.openapi.references import resolve_ref, resolved, walk
from mockserver.openapi.regex import pattern_validator
from mockserver.openapi.schema.alternatives import BoundedValidator
from mockserver.openapi.schema.compilation import UNEVALUATED, SchemaLibrary, compile_schema, names_all, shorten
from mockserver.openapi.schema.formats import FORMATS
from mockserver.text import nearest

if TYPE_CHECKING:
    import jsonschema
    import jsonschema_rs
    from jsonschema import FormatChecker, ValidationError
    from jsonschema.protocols import Validator
else:
    jsonschema = lazy_module("jsonschema")
    jsonschema_rs = lazy_module("jsonschema_rs")

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_VIOLATIONS = 100
MAX_EXPLAINED_ITEMS = 10_000
MAX_SHOWN_VALUE = 100
MAX_COMBINED = 30_000
"""The most combinations (`anyOf`, `oneOf`, `allOf`, `$ref`) that are followed to explain one value."""
MAX_ERRORS = 5_000
"""The most errors that are found to explain one value, those of all alternatives included. Each takes 3 kB. Where two
alternatives contain the whole, their number doubles with each level of the value."""

_OTHER_REFERENCES = frozenset(("$id", "$anchor", "$dynamicAnchor", "$dynamicRef"))


class Schema:
    """A JSON Schema inside a document, whose `components` its references name."""

    needs: "Schema | None" = None
    """What the code behind an operation needs, where a served document may describe it otherwise."""

    def __init__(
        self,
        definition: Mapping[str, Any],
        document: Mapping[str, Any],
        *,
        pattern_bytes: int | None = None,
        library: "SchemaLibrary | None" = None,
    ) -> None:
        """`document` is the whole OpenAPI document; neither it nor `definition` may change afterwards.

        A pattern may compile to `pattern_bytes`, by default 10 MB. The `library` is that of the document.
        """
        self.definition = definition
        self.document = document
        self._pattern_bytes = pattern_bytes
        self._library = library

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
        if isinstance(self._fast, BoundedValidator) and self._fast.is_too_large(value):
            message = "has too many values for its schema, which combines many alternatives"
            return [Violation(location, "combinations", message)]
        _effort.combined, _effort.errors = 0, []
        try:
            errors = list(islice(self._slow.iter_errors(value), MAX_VIOLATIONS))
        except RecursionError:
            return [Violation(location, "depth", "is nested too deeply")]
        except _TooManyCombinations:
            _release(_effort.errors)
            message = "does not fit its schema, which combines too many others to say where"
            return [Violation(location, "combinations", message)]
        finally:
            _effort.errors = []
        found = [
            Violation(
                (*location, *error.absolute_path),
                str(error.validator),
                shorten(error.message) + _meant_names(error),
                error.schema,
                _format_schema(error.instance),
                self._names(error, value),
            )
            for error in errors
        ]
        _release(errors)
        if found or not (self._leaves_unevaluated or _is_wide(value)):
            return found
        return self._first_of_the_fast_validator(value, location)

    def _first_of_the_fast_validator(self, value: Any, location: tuple[str | int, ...]) -> list[Violation]:
        """A violation in a part that jsonschema skips. Only the first, since finding millions would take minutes."""
        try:
            self._fast.validate(value)
        except jsonschema_rs.ValidationError as error:
            code = next((str(step) for step in reversed(error.schema_path) if isinstance(step, str)), "invalid")
            where, kind = (*location, *error.instance_path), error.kind.as_dict()
            names = [kind["property"]] if error.kind.name == "required" else sorted(kind.get("unexpected", ()))
            return [Violation(where, code, shorten(error.message), names=_bounded_names(names))]
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
        if self._library is not None and self._library.registry is not None:
            for each in (self.definition, *others):
                self._library.check(each)
            return
        compile_schema({**self._whole, "allOf": [{}, *self._whole.get("allOf", ()), *others]}, FORMATS)

    @cached_property
    def _whole(self) -> dict[str, Any]:
        """The definition with the targets of its references. Both validators ignore unknown keywords."""
        beside = {key: self.document[key] for key in ("components", "paths") if key in self.document}
        return {**beside, **self.definition, "$schema": DIALECT}

    @cached_property
    def _fast(self) -> Any:
        # A validator with formats in Python is slower by half, even if no format is used.
        formats = FORMATS if _names_formats(self.definition, self.document) else {}
        if self._library is not None:
            return self._library.compile(self, formats)
        return compile_schema(self._whole, formats, self._pattern_bytes)

    def whole(self) -> dict[str, Any]:
        """The definition with the targets of its references."""
        return self._whole

    def forget(self) -> None:
        """Frees the compiled validator; it is compiled again when it is needed."""
        for name in ("_fast", "fast_accepts", "_slow", "_whole"):
            self.__dict__.pop(name, None)

    @cached_property
    def _slow(self) -> "Validator":
        kind = _explaining_validator(leaves_unevaluated=self._leaves_unevaluated)
        return kind(self._whole, format_checker=_format_checker())

    @cached_property
    def _leaves_unevaluated(self) -> bool:
        """Whether jsonschema skips unevaluatedProperties, since it would match names with Python's `re`."""
        if self._library is not None and not self._library.may_leave_unevaluated:
            return False
        return names_all(self._whole, UNEVALUATED)


class _TooManyCombinations(Exception):
    """An explanation would take too long."""


class _Effort(threading.local):
    """What the explanation that this thread makes has followed and found so far."""

    def __init__(self) -> None:
        self.combined = 0
        self.errors: list[ValidationError] = []


_effort = _Effort()
_COMBINING = frozenset(("anyOf", "oneOf", "allOf", "$ref"))
_PASSING = frozenset(("allOf", "$ref", "$dynamicRef", "if", "items", "prefixItems", "properties", "patternProperties",
                      "propertyNames", "dependentSchemas"))  # fmt: skip
"""Keywords whose errors are those of other keywords."""
Check = Callable[..., Iterable[Any] | None]


def _bounded(word: str, check: Check) -> Check:
    """The check of a keyword, which counts what it finds; it raises _TooManyCombinations."""

    def bounded(*given: Any) -> Iterator[Any]:
        _effort.combined += word in _COMBINING
        for error in check(*given) or ():
            if word not in _PASSING:
                _effort.errors.append(error)
            yield error
        if _effort.combined > MAX_COMBINED or len(_effort.errors) > MAX_ERRORS:
            raise _TooManyCombinations

    return bounded


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


def _is_wide(value: Any) -> bool:
    """Whether it contains an array that is too long for jsonschema's limit."""
    return any(isinstance(node, list) and len(node) > MAX_EXPLAINED_ITEMS for node in walk(value))


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
        if definition and isinstance(instance, list) and not _unique().is_valid(instance):
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
    keywords = {word: _bounded(word, check) for word, check in {**known, **keywords}.items()}
    extended: type[Validator] = jsonschema.validators.extend(jsonschema.Draft202012Validator, keywords)
    return extended


# jsonschema compares every item with every other, which takes minutes for a few thousand objects.
@cache
def _unique() -> Any:
    return jsonschema_rs.Draft202012Validator({"uniqueItems": True})


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
