"""Answers requests to resources from the sandbox: create, list, read, replace, update, delete.

An item is what the operation would be answered without state (its documented example, or a generated value), with the
properties that clients sent. So every response has all required properties, and fits the schema.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from mockserver.api.call import Call
from mockserver.engine.canned import canned_response, find_canned, with_warnings
from mockserver.engine.stateful.paging import counts, filtered, page_of
from mockserver.engine.stateful.shapes import (
    Resource,
    Role,
    envelope_of,
    find_roles,
    known_properties,
    list_of,
    success_schema,
)
from mockserver.errors import NO_STORAGE, Reason, Refusal
from mockserver.fixtures.files import Fixtures
from mockserver.http import Response
from mockserver.lazy import lazy_module
from mockserver.openapi.operations import Operation
from mockserver.openapi.references import resolved
from mockserver.openapi.schema import Schema
from mockserver.openapi.wire.typed import parse_scalar, properties_of, types_of
from mockserver.stores.collection import Collection

if TYPE_CHECKING:
    from mockserver.openapi.generate import mend, values
else:
    mend = lazy_module("mockserver.openapi.generate.mend")
    values = lazy_module("mockserver.openapi.generate.values")

COLLECTION = "resources"
"""The collection of all items as JSON texts: their key is the path of their collection, a line feed, and their id."""
SEEDED = "\n"
"""The key under which the paths of the collections that were filled from fixtures are kept."""
COUNTED = "\r"
"""The key under which the greatest integer id of each collection is kept."""
MAX_ITEMS = 10_000
"""The most items of a sandbox, since a list reads all of them."""
MAX_CHARACTERS = 16_000_000
"""The most characters of a sandbox's items as JSON."""
TRIES = 20
Handler = Callable[[Call], Response]
Item = dict[str, Any]


def stateful_handlers(operations: tuple[Operation, ...]) -> dict[Operation, Handler]:
    """The handlers of all operations of a document that have to do with a resource."""
    return {operation: partial(_answer, role) for operation, role in find_roles(operations).items()}


def _answer(role: Role, call: Call) -> Response:
    if find_canned(call) is not None:
        return canned_response(call)
    return with_warnings(_VERBS[role.verb](call, role.resource), call)


def _create(call: Call, resource: Resource) -> Response:
    place, rows = _place(call, resource), _rows(call, resource)
    reply = canned_response(call)
    sent = call.body if isinstance(call.body, dict) else {}
    envelope, _ = _envelope(call.operation, resource)
    sent = sent[envelope] if envelope and isinstance(sent.get(envelope), dict) else sent
    known = known_properties(resource.item)
    drawn = _item_in(_value(reply), envelope)
    item = {**_drawn_item(call, resource, drawn), **_readable(sent, resource, known)}
    wanted = sent.get(resource.id_property)
    is_free = isinstance(wanted, str | int) and rows.get(_key(place, wanted)) is None
    if not is_free or _is_read_only(known.get(resource.id_property, {}), resource):
        wanted = _new_id(call, resource, drawn.get(resource.id_property), rows, place)
    item[resource.id_property] = wanted
    _add(rows, place, wanted, item)
    return _reply(call, resource, item, reply)


def _list(call: Call, resource: Resource) -> Response:
    schema, reply = success_schema(call.operation), canned_response(call)
    name = list_of(schema) if schema else None
    if schema is None or name is None:
        return reply
    properties = known_properties(resource.item)
    items = filtered(_items(call, resource), call.arguments, [each for each in call.arguments if each in properties])
    page = page_of(items, call.arguments, resource.id_property)
    found: Any = [*page.items]
    if name:
        value = _value(reply)
        found = {**(value if isinstance(value, dict) else {}), name: found}
        found |= counts(page, properties_of(schema.definition, schema.document))
    return reply._replace(body=orjson.dumps(_fitting(found, schema, call)), source="handler")


def _read(call: Call, resource: Resource) -> Response:
    return _reply(call, resource, _found(call, resource), canned_response(call))


def _replace(call: Call, resource: Resource) -> Response:
    place, rows = _place(call, resource), _rows(call, resource)
    asked = call.arguments[resource.id_parameter]
    old = rows.get(_key(place, asked))
    creates = old is None and (201 in call.operation.statuses or not _can_create(call, resource))
    if old is None and not creates:
        raise _missing(call, resource)
    reply = canned_response(call)
    drawn = _drawn_item(call, resource, {})
    kept = {name: each for name, each in orjson.loads(old).items() if _is_kept(name, resource)} if old else {}
    item = {**drawn, **kept, **_readable(call.body, resource, known_properties(resource.item))}
    item[resource.id_property] = _typed_id(asked, resource)
    _add(rows, place, item[resource.id_property], item)
    if creates and 201 in call.operation.statuses:
        reply = reply._replace(status=201)
    return _reply(call, resource, item, reply)


def _update(call: Call, resource: Resource) -> Response:
    item = _found(call, resource)
    identity = item[resource.id_property]
    changes = _readable(call.body, resource, known_properties(resource.item))
    item = {**_merged(item, changes), resource.id_property: identity}
    _put(_rows(call, resource), _key(_place(call, resource), identity), item)
    return _reply(call, resource, item, canned_response(call))


def _delete(call: Call, resource: Resource) -> Response:
    item = _found(call, resource)
    place, rows = _place(call, resource), _rows(call, resource)
    rows.delete(_key(place, item[resource.id_property]))
    inner = f"{place}/{item[resource.id_property]}/"
    for key, _ in [*rows.items()]:
        if key.startswith(inner):
            rows.delete(key)
    reply = canned_response(call)
    return _reply(call, resource, item, reply) if reply.body else reply


_VERBS: Mapping[str, Callable[[Call, Resource], Response]] = {
    "create": _create, "list": _list, "read": _read, "replace": _replace, "update": _update, "delete": _delete,
}  # fmt: skip


def _rows(call: Call, resource: Resource) -> Collection[str]:
    """All items of the sandbox; those of fixtures are there from the first request to their collection."""
    rows = call.sandbox.collection(COLLECTION, str)
    place = _place(call, resource)
    if rows.get(SEEDED + place) is None and (seeds := _seeds(call.world.fixtures, place)):
        rows.put(SEEDED + place, "")
        for n, seed in enumerate(seeds):
            item = {**_drawn_item(call, resource, {}, b"%d" % n), **seed}
            identity = seed.get(resource.id_property)
            if not isinstance(identity, str | int):
                identity = _new_id(call, resource, item.get(resource.id_property), rows, place)
            _add(rows, place, identity, {**item, resource.id_property: identity})
    return rows


def _add(rows: Collection[str], place: str, identity: Any, item: Item) -> None:
    """Keeps an item; raises Refusal if there is no room. The next integer id is greater than all that were given."""
    _put(rows, _key(place, identity), item)
    if isinstance(identity, int) and identity > int(rows.get(COUNTED + place) or 0):
        rows.put(COUNTED + place, str(identity))


def _put(rows: Collection[str], key: str, item: Item) -> None:
    text = _dumps(item)
    if len(rows) >= MAX_ITEMS and rows.get(key) is None:
        raise Refusal(Reason.FAILED, f"The sandbox has {MAX_ITEMS} items; delete some, or reset it.", status=NO_STORAGE)
    if len(text) + sum(map(len, rows.scan())) - len(rows.get(key) or "") > MAX_CHARACTERS:
        message = f"The sandbox's items have {MAX_CHARACTERS} characters in all; delete some, or reset it."
        raise Refusal(Reason.FAILED, message, status=NO_STORAGE)
    rows.put(key, text)


def _seeds(fixtures: Fixtures, place: str) -> list[Item]:
    return [item for each in fixtures.section("resources") for item in each.get(place, ())]


def _items(call: Call, resource: Resource) -> list[Item]:
    start = _place(call, resource) + "\n"
    return [orjson.loads(text) for key, text in _rows(call, resource).items() if key.startswith(start)]


def _found(call: Call, resource: Resource) -> Item:
    text = _rows(call, resource).get(_key(_place(call, resource), call.arguments[resource.id_parameter]))
    if text is None:
        raise _missing(call, resource)
    item: Item = orjson.loads(text)
    return item


def _missing(call: Call, resource: Resource) -> Refusal:
    asked = str(call.arguments[resource.id_parameter])[:100]
    return Refusal(Reason.NOT_FOUND, f"{_place(call, resource)[:200]} has no item {asked!r}.", status=404)


def _place(call: Call, resource: Resource) -> str:
    """The path of the collection with the arguments of the request."""
    path = resource.collection
    for name, value in call.arguments.items():
        path = path.replace(f"{{{name}}}", str(value))
    return path


def _key(place: str, identity: Any) -> str:
    return f"{place}\n{identity}"


def _dumps(item: Item) -> str:
    return orjson.dumps(item).decode()


def _drawn_item(call: Call, resource: Resource, drawn: Item, more: bytes = b"") -> Item:
    """A whole item: what a response shows of it, and generated values for what it does not."""
    key = call.sandbox.ids.salt + resource.collection.encode() + bytes(call.canonical) + more
    made = values.generate_value(resource.item.definition, root=resource.item.document, key=key, documents_values=True)
    known = known_properties(resource.item)
    return {**(made if isinstance(made, dict) else {}), **{name: each for name, each in drawn.items() if name in known}}


def _readable(sent: Any, resource: Resource, known: Mapping[str, Any]) -> Item:
    """The sent properties that become the item's: documented ones that are neither write-only nor read-only."""
    found: Item = dict(sent) if isinstance(sent, dict) else {}
    if not known:
        return found
    definitions = {name: resolved(known[name], resource.item.document) for name in found if name in known}
    return {
        name: found[name]
        for name, each in definitions.items()
        if not (each.get("writeOnly") is True or each.get("readOnly") is True)
    }


def _is_kept(name: str, resource: Resource) -> bool:
    """Whether a replaced item keeps a property: one that clients cannot send."""
    return _is_read_only(known_properties(resource.item).get(name, {}), resource)


def _is_read_only(definition: Any, resource: Resource) -> bool:
    return resolved(definition, resource.item.document).get("readOnly") is True


def _merged(item: Any, changes: Any) -> Any:
    """The item with changes as in a JSON merge patch (RFC 7396), except that null is a value."""
    if not (isinstance(item, dict) and isinstance(changes, dict)):
        return changes
    return {**item, **{name: _merged(item.get(name), each) for name, each in changes.items()}}


def _typed_id(asked: Any, resource: Resource) -> Any:
    definition = known_properties(resource.item).get(resource.id_property, {})
    return parse_scalar(asked, types_of(definition, resource.item.document)) if isinstance(asked, str) else asked


def _new_id(call: Call, resource: Resource, drawn: Any, rows: Collection[str], place: str) -> Any:
    """An id that fits the schema and is not taken: the next integer, or a text made from the request."""
    definition = known_properties(resource.item).get(resource.id_property, {})
    document = resource.item.document
    if types_of(definition, document) & {"integer", "number"}:
        least = resolved(definition, document).get("minimum", 1)
        return max(int(rows.get(COUNTED + place) or 0), int(max(least, 1)) - 1) + 1
    schema = Schema(definition, document)
    for n in range(TRIES):
        key = call.sandbox.ids.next(call.operation.key, bytes(call.canonical) + place.encode() + b"%d" % n)
        made = values.generate_value(definition, root=document, key=key)
        if isinstance(made, str) and made and "/" not in made and rows.get(_key(place, made)) is None:
            return made if schema.accepts(made) else drawn if drawn is not None else made
    return drawn


def _can_create(call: Call, resource: Resource) -> bool:
    return call.world.operation(f"POST {resource.collection}") is not None


def _envelope(operation: Operation, resource: Resource) -> tuple[str, Schema | None]:
    schema = success_schema(operation)
    if schema is None:
        return "", None
    return envelope_of(schema, resource.id_parameter, resource.collection)[0], schema


def _item_in(value: Any, envelope: str) -> Item:
    found = value.get(envelope) if envelope and isinstance(value, dict) else value
    return found if isinstance(found, dict) else {}


def _value(reply: Response) -> Any:
    try:
        return orjson.loads(reply.body) if isinstance(reply.body, bytes) and reply.body else None
    except orjson.JSONDecodeError:
        return None


def _reply(call: Call, resource: Resource, item: Item, reply: Response) -> Response:
    """The documented response with this item."""
    envelope, schema = _envelope(call.operation, resource)
    headers = tuple(
        (name, f"{_place(call, resource)}/{item[resource.id_property]}" if name.lower() == "location" else value)
        for name, value in reply.headers
    )
    value = _value(reply)
    if schema is None or not isinstance(value, dict):
        return reply._replace(headers=headers, source="handler")
    names = properties_of(schema.definition, schema.document)
    if envelope:
        found: Any = {**value, envelope: item}
    else:
        found = {name: each for name, each in item.items() if name in names} if names else item
    return reply._replace(body=orjson.dumps(_fitting(found, schema, call)), headers=headers, source="handler")


def _fitting(value: Any, schema: Schema, call: Call) -> Any:
    """The value, mended where it does not fit the schema: a client may have sent what responses cannot have."""
    return value if schema.accepts(value) else mend.mended(value, schema, key=call.sandbox.ids.salt)
