"""Forms and XML as values: bodies other than JSON, read by their schema and `encoding`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from mockserver.errors import Violation
from mockserver.http import Request, Upload
from mockserver.json_bodies import check_depth, parse_json
from mockserver.openapi.operations import Content, bare_media_type
from mockserver.openapi.references import resolved
from mockserver.openapi.wire.parameters import has_reserved, read_pairs
from mockserver.openapi.wire.typed import NOTHING, kind_of, properties_of, typed, types_of
from mockserver.openapi.wire.xml import XmlError, decode_xml, is_xml
from mockserver.percent import parse_qsl, unquote_plus

URLENCODED = "application/x-www-form-urlencoded"
MAX_FIELDS = 10_000
Field = tuple[str, str | Upload]


def read_urlencoded(content: Content, request: Request, violations: list[Violation]) -> Any:
    """The fields of an urlencoded body as an object; its violations are added."""
    try:
        text = request.body.decode()
        pairs = parse_qsl(text, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError as problem:
        violations.append(Violation(("body",), "syntax", f"the form cannot be read: {problem}"))
        return None
    violations += _reserved_characters(content, [part.partition("=") for part in text.split("&")])
    value = _read_fields(content, pairs, violations)
    if content.schema is not None:
        violations += content.schema.violations(value, ("body",))
    return value


def read_parts(content: Content, parts: Sequence[Field], violations: list[Violation]) -> Any:
    """The parts of a multipart body as an object, files unchanged; its violations are added."""
    texts = [(name, value) for name, value in parts if isinstance(value, str)]
    violations += _reserved_characters(content, [(name, "=", value) for name, value in texts])
    value = _read_fields(content, texts, violations)
    judged = dict(value)
    for name, each in parts:
        if isinstance(each, Upload):
            is_list = kind_of(_types(content, name)) == "array"
            value[name] = [*value.get(name, ()), each] if is_list else each
            judged[name] = [*judged.get(name, ()), each.filename] if is_list else each.filename
    if content.schema is not None:
        found = content.schema.violations(judged, ("body",))
        files = {name for name, each in parts if isinstance(each, Upload)}
        violations += [each for each in found if len(each.location) < 2 or each.location[1] not in files]
    return value


def read_xml(content: Content, request: Request, violations: list[Violation]) -> Any:
    """The value of an XML body; its violations are added."""
    definition, document = _parts_of(content)
    try:
        value = typed(decode_xml(request.body, definition, document), definition, document)
    except XmlError as problem:
        violations.append(Violation(("body",), "syntax", str(problem)))
        return None
    if content.schema is not None:
        violations += content.schema.violations(value, ("body",))
    return value


def is_xml_body(content: Content) -> bool:
    """Whether the body is XML whose schema is documented."""
    return content.schema is not None and is_xml(bare_media_type(content.media_type))


def write_form(fields: Iterable[tuple[str, str, str]], boundary: str) -> str:
    """A multipart form of names, values, and the names of files; an empty one is that of an ordinary field."""
    parts = []
    for name, value, file in fields:
        more = f'; filename="{file}"\r\nContent-Type: application/octet-stream' if file else ""
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n')
    return "".join([*parts, f"--{boundary}--\r\n"])


def _parts_of(content: Content) -> tuple[Any, Mapping[str, Any]]:
    return (content.schema.definition, content.schema.document) if content.schema else ({}, {})


def _types(content: Content, name: str) -> frozenset[str]:
    definition, document = _parts_of(content)
    return types_of(properties_of(definition, document).get(name, {}), document)


def _read_fields(content: Content, pairs: Sequence[tuple[str, str]], violations: list[Violation]) -> dict[str, Any]:
    definition, document = _parts_of(content)
    properties = properties_of(definition, document)
    required = resolved(definition, document).get("required", ())
    found: dict[str, Any] = {}
    taken = set[str]()
    for name, each in properties.items():
        encoding = content.encoding.get(name, {})
        kind = kind_of(types_of(each, document))
        style = encoding.get("style", "form")
        inner = properties_of(each, document) if style == "form" and "style" in encoding else {}
        try:
            value = read_pairs(name, pairs, style=style, explode=encoding.get("explode", style == "form"),
                               kind=kind, properties=inner)  # fmt: skip
            if kind and (value is NOTHING or "style" not in encoding):
                value = _read_nested(name, pairs, kind, value)
        except ValueError as problem:
            violations.append(Violation(("body", name), "style", f"{name!r}: {problem}"))
            continue
        if value is NOTHING and kind == "array" and name in required:
            value = []  # an empty list has no other form
        if value is not NOTHING:
            found[name] = typed(value, each, document)
            taken |= {key for key, _ in pairs if key == name or key.startswith(f"{name}[")} | set(inner)
    extra = resolved(definition, document).get("additionalProperties", {})
    for name, text in pairs:
        if name not in taken:
            found[name] = typed(text, extra, document)
    return found


def _read_nested(name: str, pairs: Sequence[tuple[str, str]], kind: str, value: Any) -> Any:
    """A list or an object of a form without a documented style: as JSON, or with names such as `a[b]` and `a[0]`."""
    texts = [text for key, text in pairs if key == name]
    start = "{" if kind == "object" else "["
    if len(texts) == 1 and texts[0].lstrip().startswith(start):
        return _read_json(texts[0])
    deep = read_pairs(name, pairs, style="deepObject", explode=True, kind="object", properties={})
    if deep is NOTHING:
        return texts[-1] if texts and kind == "object" else value
    return list(deep.values()) if kind == "array" and all(key.isdecimal() for key in deep) else deep


def _read_json(text: str) -> Any:
    value = parse_json(text.encode())
    try:
        check_depth(value)
    except orjson.JSONEncodeError:
        raise ValueError("is nested too deeply") from None
    return value


def _reserved_characters(content: Content, pairs: Sequence[Sequence[str]]) -> Iterator[Violation]:
    """Fields whose encoding forbids reserved characters, and that have some that are not percent-encoded."""
    for name, _, raw in pairs:
        key = unquote_plus(name)
        if content.encoding.get(key, {}).get("allowReserved") is False and has_reserved(raw):
            message = f"{key!r} has reserved characters (RFC 3986) that are not percent-encoded"
            yield Violation(("body", key), "reserved", message)
