"""XML of values by a schema's `xml` hints (OpenAPI 3.1, 4.8.26): written for responses, read from requests."""

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from mockserver.openapi.references import resolved
from mockserver.openapi.wire.parameters import format_scalar

ROOT = "xml"
"""The root's name where the document names none."""
MAX_DEPTH = 100
Document = Mapping[str, Any]


class XmlError(ValueError):
    """Text that is not XML, or not of a kind that is read."""


def is_xml(media_type: str) -> bool:
    """Whether a media type, without parameters, is XML."""
    return media_type in {"application/xml", "text/xml"} or media_type.endswith("+xml")


def encode_xml(value: Any, definition: Any, document: Document) -> bytes:
    """The value as XML. A text that is XML already stays as it is."""
    if isinstance(value, str) and value.lstrip().startswith("<"):
        return value.encode()
    schema = resolved(definition, document)
    hints = _hints(schema)
    root = ElementTree.Element(_tag(hints, str(hints.get("name") or ROOT)))
    _declare(root, hints)
    if isinstance(value, list):
        items = schema.get("items", {})
        name = _hints(resolved(items, document)).get("name") or "item"
        for each in value:
            _fill(
                ElementTree.SubElement(root, _tag(_hints(resolved(items, document)), str(name))), each, items, document
            )
    else:
        _fill(root, value, definition, document)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", short_empty_elements=True)
    return text.removeprefix(b"<?xml version='1.0' encoding='utf-8'?>\n")


def _fill(element: ElementTree.Element, value: Any, definition: Any, document: Document) -> None:
    if not isinstance(value, Mapping):
        element.text = format_scalar(value) if not isinstance(value, list) else " ".join(map(format_scalar, value))
        return
    properties = _properties(definition, document)
    for name, each in value.items():
        schema = resolved(properties.get(name, {}), document)
        hints = _hints(schema)
        tag = _tag(hints, str(hints.get("name") or name))
        if hints.get("attribute") is True and not isinstance(each, Mapping | list):
            element.set(tag, format_scalar(each))
        elif isinstance(each, list):
            _add_items(element, name, each, schema, document)
        else:
            child = ElementTree.SubElement(element, tag)
            _declare(child, hints)
            _fill(child, each, properties.get(name, {}), document)


def _add_items(element: ElementTree.Element, name: str, values: list[Any], schema: Any, document: Document) -> None:
    items = schema.get("items", {})
    hints, item_hints = _hints(schema), _hints(resolved(items, document))
    if hints.get("wrapped") is True:
        element = ElementTree.SubElement(element, _tag(hints, str(hints.get("name") or name)))
    tag = _tag(item_hints, str(item_hints.get("name") or name))
    for each in values:
        _fill(ElementTree.SubElement(element, tag), each, items, document)


def decode_xml(text: bytes, definition: Any, document: Document) -> Any:
    """The value of an XML text by its schema, with texts for scalars; raises XmlError."""
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise XmlError("has a document type declaration, which is not read")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314  declarations are refused above
    except (ElementTree.ParseError, ValueError, LookupError) as problem:
        raise XmlError(f"not XML: {problem}") from None
    return _value(root, definition, document, 0)


def _value(element: ElementTree.Element, definition: Any, document: Document, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise XmlError("is nested too deeply")
    schema = resolved(definition, document)
    if "array" in _types(schema):
        return [_value(each, schema.get("items", {}), document, depth + 1) for each in element]
    properties = _properties(definition, document)
    if not properties and not len(element):
        return element.text or ""
    found: dict[str, Any] = {}
    known = set[str]()
    for name, each in properties.items():
        part = resolved(each, document)
        hints = _hints(part)
        tag = str(hints.get("name") or name)
        if hints.get("attribute") is True:
            value = next((text for key, text in element.items() if _local(key) == tag), None)
            found |= {} if value is None else {name: value}
            continue
        is_list = "array" in _types(part)
        if is_list and hints.get("wrapped") is not True:
            tag = str(_hints(resolved(part.get("items", {}), document)).get("name") or name)
        known.add(tag)
        children = [child for child in element if _local(child.tag) == tag]
        if is_list and hints.get("wrapped") is not True:
            values = [_value(child, part.get("items", {}), document, depth + 1) for child in children]
            found |= {name: values} if values else {}
        elif children:
            found[name] = _value(children[-1], each, document, depth + 1)
    others = [child for child in element if _local(child.tag) not in known]
    return found | {_local(child.tag): _value(child, {}, document, depth + 1) for child in others}


def _properties(definition: Any, document: Document) -> dict[str, Any]:
    """The properties of an object, with those of the parts of `allOf`."""
    schema = resolved(definition, document)
    found: dict[str, Any] = {}
    for each in schema.get("allOf", ()):
        found |= _properties(each, document)
    properties = schema.get("properties")
    return found | (properties if isinstance(properties, dict) else {})


def _types(schema: Mapping[str, Any]) -> list[str]:
    stated = schema.get("type", [])
    return [stated] if isinstance(stated, str) else stated


def _hints(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    hints = schema.get("xml")
    return hints if isinstance(hints, dict) else {}


def _tag(hints: Mapping[str, Any], name: str) -> str:
    prefix = hints.get("prefix")
    clean = "".join(each if each.isalnum() or each in "-_." else "_" for each in name) or ROOT
    clean = clean if clean[0].isalpha() or clean[0] == "_" else f"_{clean}"
    return f"{prefix}:{clean}" if isinstance(prefix, str) and prefix.isidentifier() else clean


def _declare(element: ElementTree.Element, hints: Mapping[str, Any]) -> None:
    namespace, prefix = hints.get("namespace"), hints.get("prefix")
    if isinstance(namespace, str):
        element.set(f"xmlns:{prefix}" if isinstance(prefix, str) and prefix.isidentifier() else "xmlns", namespace)


def _local(name: str) -> str:
    return name.rpartition("}")[2].rpartition(":")[2]
