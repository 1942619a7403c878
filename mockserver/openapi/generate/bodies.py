"""Bodies of responses that are valid: examples first, then values made from the schema, mended until they fit it."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from mockserver.errors import Violation
from mockserver.openapi.generate.mend import mended
from mockserver.openapi.generate.values import generate_value
from mockserver.openapi.operations import Content, bare_media_type, is_json
from mockserver.openapi.wire.xml import encode_xml, is_xml

EVENT_STREAM = "text/event-stream"
EVENT_FIELDS = frozenset({"data", "event", "id", "retry"})
JSON_LINES = frozenset({"application/jsonl", "application/x-ndjson", "application/x-jsonlines"})
TRIES = 3
"""How many values are made before one that does not fit its schema is sent."""
MAX_KEPT = 1024
"""The most generated bodies that are kept."""


class MadeBody(NamedTuple):
    """The value of a body."""

    value: Any
    source: str
    """`example` or `generated`."""
    violations: tuple[Violation, ...] = ()
    """How the value breaks the schema, as a document's own example may."""


_kept: OrderedDict[tuple[int, bytes, bool], tuple[Content, MadeBody]] = OrderedDict()
"""Generated bodies by content and key; the content is kept, too, so that its id stays its own."""


def body_of(
    content: Content, *, key: bytes, example: str = "", is_dynamic: bool = False, mends: bool = True
) -> MadeBody:
    """The value: the example of that name, the first valid one, or a value made from the schema.

    Without `mends`, an example that does not fit its schema stays as it is.
    """
    is_example = bool(content.examples) and not (is_dynamic and content.schema is not None)
    place = (id(content), f"example:{example}".encode() if is_example else key, mends if is_example else is_dynamic)
    found = _kept.get(place)
    if found is not None:
        return found[1]
    if is_example:
        made = _example_body(content, example, mends=mends)
    else:
        made = _made_body(content, key, is_dynamic=is_dynamic)
    _kept[place] = content, made
    while len(_kept) > MAX_KEPT:
        _kept.popitem(last=False)
    return made


def _example_body(content: Content, name: str, *, mends: bool) -> MadeBody:
    """An example of the document. One that does not fit its schema is mended, unless it is of another type."""
    values = [content.examples[name]] if name in content.examples else [*content.examples.values()]
    schema = content.schema
    if schema is None or not has_json_value(content):
        return MadeBody(values[0], "example")
    fitting = next((n for n, each in enumerate(values) if schema.accepts(each)), None)
    if fitting is not None:
        return MadeBody(values[fitting], "example")
    value = values[0]
    found = schema.violations(value)
    is_of_another_type = any(not each.location and each.code == "type" for each in found)
    if is_of_another_type and isinstance(value, dict) and schema.accepts([value]):
        value = [value]  # the example of an item
    if not mends or (is_of_another_type and not isinstance(value, dict | list | None)):
        return MadeBody(value, "example", tuple(found))
    better = mended(value, schema, key=b"example")
    return MadeBody(better, "example", tuple(schema.violations(better)))


def _made_body(content: Content, key: bytes, *, is_dynamic: bool) -> MadeBody:
    if content.schema is None:
        return MadeBody({} if is_json(content.media_type) else "", "generated")
    schema = content.schema
    value: Any = None
    for n in range(TRIES):
        part = key if n == 0 else key + b"%d" % n
        value = generate_value(schema.definition, root=schema.document, key=part, documents_values=not is_dynamic)
        if not has_json_value(content):
            break
        if not schema.accepts(value):
            value = mended(value, schema, key=part)
        if schema.accepts(value):
            return MadeBody(value, "generated")
    found = schema.violations(value) if has_json_value(content) else []
    return MadeBody(value, "generated", tuple(found))


def has_json_value(content: Content) -> bool:
    """Whether the schema describes the body's value itself: JSON, or XML that is made of such a value."""
    media_type = bare_media_type(content.media_type)
    return is_json(media_type) or media_type in {"*/*", "application/*"} or is_xml(media_type)


def encoded_body(content: Content, value: Any) -> bytes:
    """The bytes of a body in its media type."""
    media_type = bare_media_type(content.media_type)
    if is_xml(media_type):
        schema = content.schema
        return encode_xml(value, schema.definition if schema else {}, schema.document if schema else {})
    if media_type == EVENT_STREAM and not isinstance(value, str):
        return b"".join(map(_event, value if isinstance(value, list) else [value]))
    if media_type in JSON_LINES and isinstance(value, list):
        return b"".join(orjson.dumps(each) + b"\n" for each in value)
    if is_json(media_type) or not isinstance(value, str):
        return orjson.dumps(value)
    return value.encode("utf-8", "replace")


def _event(value: Any) -> bytes:
    """A server-sent event: the value as data, or the fields that it has (OpenAPI 3.2)."""
    if not (isinstance(value, dict) and "data" in value and value.keys() <= EVENT_FIELDS):
        value = {"data": value}
    texts = {name: each if isinstance(each, str) else orjson.dumps(each).decode() for name, each in value.items()}
    lines = (f"{name}: {line}\n" for name, text in texts.items() for line in text.splitlines() or [""])
    return "".join([*lines, "\n"]).encode("utf-8", "replace")


def sent_media_type(content: Content, accept: str | None) -> str:
    """The media type of the response: a documented range (`*/*`) becomes what the client accepts, else JSON."""
    if "*" not in content.media_type:
        return content.media_type
    first = bare_media_type((accept or "").partition(",")[0])
    return first if first and "*" not in first and is_json(first) else "application/json"


def header_value(header: Mapping[str, Any], schema: Mapping[str, Any], key: bytes) -> Any:
    """The value of a documented header: its example, its default, or one made from its schema."""
    for place in (header, schema):
        if "example" in place:
            return place["example"]
    examples = header.get("examples")
    if isinstance(examples, dict) and examples:
        first = next(iter(examples.values()))
        if isinstance(first, dict) and "value" in first:
            return first["value"]
    if not schema:
        return ""
    return generate_value(schema, root={}, key=key, documents_values=True) if "$ref" not in schema else ""
