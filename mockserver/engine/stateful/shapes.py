"""Finds the resources of a document by the shape of its paths: a collection `/things`, and its items `/things/{id}`."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from mockserver.openapi.operations import Operation, is_json
from mockserver.openapi.schema import Schema
from mockserver.openapi.wire.typed import items_of, properties_of, types_of

_ITEM = re.compile(r"(?P<collection>/.*[^/]|)/\{(?P<id>[^{}/]+)\}/?")
_WORDS = re.compile(r"[^a-z0-9]")


class Resource(NamedTuple):
    """A kind of thing that can be created, listed, read, changed or deleted."""

    collection: str
    """The path of its collection, such as `/users/{user}/things`."""
    id_parameter: str
    """The last parameter of an item's path."""
    id_property: str
    """The property of an item that has this argument's value."""
    item: Schema
    """The schema of an item."""


class Role(NamedTuple):
    """What an operation does with a resource."""

    verb: str
    """`create`, `list`, `read`, `replace`, `update` or `delete`."""
    resource: Resource


ITEM_VERBS: Mapping[str, str] = {"GET": "read", "PUT": "replace", "PATCH": "update", "DELETE": "delete"}
COLLECTION_VERBS: Mapping[str, str] = {"POST": "create", "GET": "list"}


def find_roles(operations: Iterable[Operation]) -> dict[Operation, Role]:
    """What each operation does with a resource; others are left out.

    A resource needs an item that can be read, and a collection to which items can be added, or an item that a PUT adds.
    """
    by_place = {(each.method, each.path.rstrip("/")): each for each in operations}
    roles: dict[Operation, Role] = {}
    for (method, path), operation in by_place.items():
        found = _ITEM.fullmatch(path)
        if method != "GET" or found is None:
            continue
        resource = _resource(operation, found["collection"], found["id"], by_place)
        if resource is None:
            continue
        for verb_method, verb in ITEM_VERBS.items():
            if (verb_method, path) in by_place:
                roles[by_place[verb_method, path]] = Role(verb, resource)
        for verb_method, verb in COLLECTION_VERBS.items():
            if (verb_method, resource.collection) in by_place:
                roles.setdefault(by_place[verb_method, resource.collection], Role(verb, resource))
    return roles


def _resource(
    read: Operation, collection: str, parameter: str, by_place: Mapping[tuple[str, str], Operation]
) -> Resource | None:
    adds = ("POST", collection) in by_place or ("PUT", read.path.rstrip("/")) in by_place
    schema = success_schema(read)
    if not adds or schema is None:
        return None
    item = envelope_of(schema, parameter, collection)[1]
    name = _id_property(item, parameter)
    return Resource(collection, parameter, name, item) if name else None


def success_schema(operation: Operation) -> Schema | None:
    """The schema of the JSON body of an operation's success; None without one."""
    documented = operation.response(operation.success)
    contents = documented.content.values() if documented else ()
    return next((each.schema for each in contents if each.schema is not None and is_json(each.media_type)), None)


def envelope_of(schema: Schema, parameter: str, collection: str) -> tuple[str, Schema]:
    """The property that holds an item inside a response (`data`), empty if the response is the item; and its schema."""
    if _id_property(schema, parameter):
        return "", schema
    inner = {name: each for name, each in _object_properties(schema).items() if _id_property(each, parameter)}
    if not inner:
        return "", schema
    last = _words(collection.rpartition("/")[2])
    name = next((name for name in inner if name == "data" or last.startswith(_words(name))), next(iter(inner)))
    return name, inner[name]


def list_of(schema: Schema) -> str | None:
    """The property of a list response that holds the items: empty if the response is a list; None if it has none."""
    if "array" in types_of(schema.definition, schema.document):
        return ""
    arrays = [
        name
        for name, each in properties_of(schema.definition, schema.document).items()
        if "array" in types_of(each, schema.document)
        and "object" in types_of(items_of(each, schema.document), schema.document)
    ]
    preferred = ("data", "items", "results", "records", "value")
    return next((name for name in preferred if name in arrays), arrays[0] if arrays else None)


def _object_properties(schema: Schema) -> dict[str, Schema]:
    found = properties_of(schema.definition, schema.document)
    return {
        name: Schema(each, schema.document)
        for name, each in found.items()
        if "object" in types_of(each, schema.document)
    }


def _id_property(schema: Schema, parameter: str) -> str:
    """The property with the value of an item's path parameter; empty if there is none."""
    properties = properties_of(schema.definition, schema.document)
    return next((name for name in _id_names(parameter, properties) if name in properties), "")


def _id_names(parameter: str, properties: Iterable[str]) -> Iterator[str]:
    same = {_words(name): name for name in properties}
    yield parameter
    yield same.get(_words(parameter), "")
    yield from ("id", "ID", "Id", "_id", "uuid", "uid")
    last = re.split(r"[_\-.]|(?<=[a-z])(?=[A-Z])", parameter)[-1]
    yield same.get(_words(last), "")
    yield from (name for name in properties if _words(name).endswith("id") and _words(name) in _words(parameter))
    yield from ("slug", "key", "name", "code", "number")


def _words(name: str) -> str:
    return _WORDS.sub("", name.lower())


def known_properties(schema: Schema) -> Mapping[str, Any]:
    """The properties of an item."""
    return properties_of(schema.definition, schema.document)
