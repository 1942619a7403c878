"""Documents that replace the bundled one: which operations they replace, and what handlers require of them."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mockserver.errors import Violation
from mockserver.lazy import lazy_module
from mockserver.openapi.document import OpenApiDocument, Operation, Parameter, mistakes_error
from mockserver.openapi.operations import bare_media_type
from mockserver.openapi.schema import Schema, SchemaLibrary

if TYPE_CHECKING:
    from mockserver.openapi import mistakes
else:
    mistakes = lazy_module("mockserver.openapi.mistakes")

PARTIAL = "x-mock-partial"
"""At the top of a document: `true` keeps the bundled operations of an API that the document does not define."""
FARTHEST = 2**53
"""Integers are limited to what JSON can represent exactly."""
_KEPT = frozenset(("$ref", "type", "required", "const", "dependentRequired", "if"))
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_MAPS = ("properties", "patternProperties")


class GuardedSchema(Schema):
    """A served document's schema for a bundled handler: it accepts only values that also have the types the handler
    needs.

    The document's schema is checked first; `needs` only if it accepts.
    """

    def __init__(self, served: Schema, needs: Schema) -> None:
        super().__init__(served.definition, served.document, library=served._library)
        self.needs: Schema = needs

    def accepts(self, value: Any) -> bool:
        return super().accepts(value) and self.needs.accepts(value)

    @cached_property
    def fast_accepts(self) -> Callable[[Any], bool]:
        is_valid, needs = self._fast.is_valid, self.needs
        return lambda value: is_valid(value) and needs.fast_accepts(value)

    def violations(self, value: Any, location: tuple[str | int, ...] = ()) -> list[Violation]:
        return super().violations(value, location) or self.needs.violations(value, location)


class Needs:
    """What handlers need of requests: the bundled schemas without bounds, choices, formats and patterns."""

    def __init__(self, bundled: OpenApiDocument) -> None:
        self._bundled = bundled
        self._components: dict[tuple[str, str], Schema] = {}

    @cached_property
    def _document(self) -> Mapping[str, Any]:
        components = self._bundled.document.get("components", {}).get("schemas", {})
        return {"components": {"schemas": {name: _outline(each) for name, each in components.items()}}}

    @cached_property
    def _library(self) -> SchemaLibrary:
        return SchemaLibrary(self._document)

    def of(self, schema: Schema | None) -> Schema:
        """What a handler needs of a value with that bundled schema."""
        return Schema(_outline(schema.definition) if schema else {}, self._document, library=self._library)

    def component(self, spec: OpenApiDocument, name: str) -> Schema:
        """The document's component with that name, for a handler; else the bundled one."""
        if spec.name == self._bundled.name or not spec.has_component(name):
            return self._bundled.component(name)
        if (spec.name, name) not in self._components:
            self._components[spec.name, name] = self.guarded(spec.component(name), self._bundled.component(name))
        return self._components[spec.name, name]

    def guarded(self, schema: Schema | None, ours: Schema | None) -> GuardedSchema:
        """A served schema that replaces a bundled one."""
        served = schema or Schema({}, {})
        return GuardedSchema(served, self.of(ours))


def replace_bundled(
    spec: OpenApiDocument, bundled: OpenApiDocument, tags: Collection[str], *, only_sound: bool = False
) -> OpenApiDocument:
    """The document, in which operations that replace bundled ones are adapted to their handlers.

    They keep the bundled operationIds and tags. `tags` are those of providers. Raises SpecError, with each location in
    the file, for parts that a handler needs and that are missing; with `only_sound`, such operations are left out
    instead.
    """
    pairs = find_replaced(spec, bundled, tags)
    if not pairs:
        return spec
    needs = Needs(bundled)
    mistakes = {served: found for served, ours in pairs.items() if (found := [*_missing(served, ours)])}
    if mistakes and not only_sound:
        raise mistakes_error(Path(spec.name), [mistake for found in mistakes.values() for mistake in found])
    return spec.with_operations(
        _fitted(each, pairs[each], needs) if each in pairs else each for each in spec.operations if each not in mistakes
    )


def find_replaced(spec: OpenApiDocument, bundled: OpenApiDocument, tags: Collection[str]) -> dict[Operation, Operation]:
    """The bundled operation that each of the document's operations replaces.

    The one with its operationId, if the tag is a provider's; else the one with its method and path, if the tag is a
    provider's or the operationId is the same.
    """
    found: dict[Operation, Operation] = {}
    for served in spec.operations:
        ours = bundled.by_key.get(served.key)
        if ours is not None and (served.tag in tags or _is_like(served, ours)):
            found[served] = ours
    taken = set(found.values())
    by_place = {(each.method, each.path): each for each in bundled.operations}
    for served in spec.operations:
        ours = by_place.get((served.method, served.path))
        if served not in found and ours is not None and ours not in taken and served.tag in tags:
            found[served] = ours
    return found


def remaining(bundled: OpenApiDocument, others: Iterable[OpenApiDocument]) -> OpenApiDocument | None:
    """The bundled document without replaced operations; None if nothing remains.

    A document replaces all operations of an API, including those that it leaves out, unless it has `x-mock-partial:
    true`.
    """
    keys, tags = set[str](), set[str]()
    for spec in others:
        replaced = [bundled.by_key[each.key] for each in spec.operations if each.replaces]
        keys |= {each.key for each in replaced}
        if spec.document.get(PARTIAL) is not True:
            tags |= {each.tag for each in replaced}
    if not keys:
        return bundled
    left = [each for each in bundled.operations if each.key not in keys and each.tag not in tags]
    if not left:
        return None
    places = {(each.path, each.method.lower()) for each in left}
    paths = {
        path: kept
        for path, item in bundled.document["paths"].items()
        if (kept := {name: each for name, each in item.items() if (path, name) in places or name == "parameters"})
        and any((path, name) in places for name in kept)
    }
    pruned = OpenApiDocument({**bundled.document, "paths": paths}, bundled.name)
    return pruned.with_operations(left)


def _is_like(served: Operation, ours: Operation) -> bool:
    return (served.method, served.path) == (ours.method, ours.path)


def _missing(served: Operation, ours: Operation) -> Iterator["mistakes.Mistake"]:
    """What the handler of a bundled operation needs and the served operation does not guarantee."""
    there, name = served.location, ours.key
    declared = {(each.location, each.name) for each in served.parameters}
    for each in ours.parameters:
        if each.required and (each.location, each.name) not in declared:
            yield mistakes.Mistake(there, f"the handler of {name} needs the {each.location} parameter {each.name!r}")
    if served.is_open and not ours.is_open:
        wanted = "wanted a bearer token in its security"
        yield mistakes.Mistake(there, f"the handler of {name} needs to know who asks; {wanted}")
    if ours.body and not served.body:
        yield mistakes.Mistake(there, f"the handler of {name} needs a requestBody of {' or '.join(ours.body)}")
    known = {bare_media_type(media_type) for media_type in ours.body or {}}
    for media_type in served.body or {}:
        if bare_media_type(media_type) not in known:
            wanted = f"the handler of {name} reads {' or '.join(sorted(known)) or 'no body'}"
            yield mistakes.Mistake((*there, "requestBody"), f"the body is {media_type}; {wanted}")
    yield from _wrong_defaults(served)


def _wrong_defaults(served: Operation) -> Iterator["mistakes.Mistake"]:
    """Defaults that their own schema rejects: the handler would get a value that clients cannot send."""
    for n, parameter in enumerate(served.parameters):
        if "default" in parameter.definition and not parameter.schema.accepts(parameter.definition["default"]):
            came = parameter.definition["default"]
            told = f"the default of {parameter.name!r} is {came!r}, which its schema refuses"
            yield mistakes.Mistake((*served.location, "parameters", n), told)
    for media_type, content in (served.body or {}).items():
        schema = content.schema
        properties = schema.resolved(schema.definition).get("properties", {}) if schema else {}
        for name, each in properties.items():
            definition = schema.resolved(each) if schema else {}
            if "default" in definition and schema and not Schema(each, schema.document).accepts(definition["default"]):
                told = f"the default of {name!r} is {definition['default']!r}, which its schema refuses"
                yield mistakes.Mistake((*served.location, "requestBody", "content", media_type, "schema"), told)


def _fitted(served: Operation, ours: Operation, needs: Needs) -> Operation:
    parameters = {(each.location, each.name): each for each in ours.parameters}
    bodies = {bare_media_type(media_type): each for media_type, each in (ours.body or {}).items()}
    body = {
        media_type: each._replace(schema=needs.guarded(each.schema, bodies[bare_media_type(media_type)].schema))
        for media_type, each in (served.body or {}).items()
    }
    return served._replace(
        key=ours.key,
        tag=ours.tag,
        parameters=tuple(
            _fitted_parameter(each, parameters.get((each.location, each.name)), needs) for each in served.parameters
        ),
        body=body or None,
        body_required=served.body_required or ours.body_required,
        replaces=True,
    )


def _fitted_parameter(served: Parameter, ours: Parameter | None, needs: Needs) -> Parameter:
    if ours is None:
        return served
    return served._replace(required=served.required or ours.required, schema=needs.guarded(served.schema, ours.schema))


def _outline(definition: Any, *, chooses: bool = False) -> Any:
    """A schema's types and required properties. Alternatives are distinguished by constants."""
    if not isinstance(definition, dict):
        return definition
    found = {name: each for name, each in definition.items() if name in _KEPT}
    for name in _MAPS:
        if name in definition:
            found[name] = {key: _outline(each, chooses=chooses) for key, each in definition[name].items()}
    for name in _LISTS:
        if name in definition:
            kept = [_outline(each, chooses=chooses or name in {"anyOf", "oneOf"}) for each in definition[name]]
            found["anyOf" if name == "oneOf" else name] = kept
    for name in ("items", "additionalProperties", "then", "else"):
        if isinstance(definition.get(name), dict):
            found[name] = _outline(definition[name], chooses=chooses)
    if definition.get("format") == "binary":
        found["format"] = "binary"  # a file of a form
    if definition.get("minItems"):
        found["minItems"] = 1
    if chooses and len(definition.get("enum", ())) == 1:
        found["enum"] = definition["enum"]
    types = found.get("type", ())
    if not {"integer", "number"}.isdisjoint([types] if isinstance(types, str) else types):
        found |= {"minimum": 0 if definition.get("minimum", -1) >= 0 else -FARTHEST, "maximum": FARTHEST}
    return found
