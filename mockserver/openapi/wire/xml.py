"""XML of values by a schema's `xml` hints (OpenAPI 3.1, 4.8.26): written for responses, read from requests."""

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

from mockserver.openapi.references import resolved
from mockserver.openapi.wire.parameters import format_scalar

ROOT = "xml"
"""The root's name where the document names none."""
MAX_DEPTH = 100
"""The most levels of elements that are read."""
MAX_PARTS = 20_000
"""The most elements and attributes that are read: a text of 1 MB may have 200,000, which take half a second."""
PIECE, MAX_TAG = 16 * 1024, 256 * 1024
"""Bytes that are read at once, and the most of one tag: it is read as a whole, however many attributes it has."""
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
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = reader.refuse_doctype
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.add_text
    try:
        for at in range(0, len(text), PIECE):
            parser.Parse(text[at : at + PIECE], False)
            if at - parser.CurrentByteIndex > MAX_TAG:
                raise XmlError(f"has a tag of more than {MAX_TAG} bytes")
        parser.Parse(b"", True)
    except (expat.ExpatError, ValueError, LookupError) as problem:
        raise problem if isinstance(problem, XmlError) else XmlError(f"not XML: {problem}") from None
    return _value(reader.close(), definition, document)


class _Reader:
    """Builds the tree of an XML text, within bounds that hold while it is read."""

    def __init__(self) -> None:
        self._builder = ElementTree.TreeBuilder()
        self._depth = self._count = 0

    def refuse_doctype(self, *_: Any) -> None:
        """A declaration of the document type can define entities; in any encoding, it is not read."""
        raise XmlError("has a document type declaration, which is not read")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._count += 1 + len(attributes)
        if self._depth > MAX_DEPTH:
            raise XmlError("is nested too deeply")
        if self._count > MAX_PARTS:
            raise XmlError(f"has more than {MAX_PARTS} elements and attributes")
        self._builder.start(_local(tag), {_local(name): value for name, value in attributes.items()})

    def end(self, tag: str) -> None:
        self._depth -= 1
        self._builder.end(_local(tag))

    def add_text(self, text: str) -> None:
        self._builder.data(text)

    def close(self) -> ElementTree.Element:
        return self._builder.close()


def _value(element: ElementTree.Element, definition: Any, document: Document) -> Any:
    schema = resolved(definition, document)
    if "array" in _types(schema):
        return [_value(each, schema.get("items", {}), document) for each in element]
    properties = _properties(definition, document)
    if not properties and not len(element):
        return element.text or ""
    children: dict[str, list[ElementTree.Element]] = {}
    for child in element:
        children.setdefault(child.tag, []).append(child)
    found: dict[str, Any] = {}
    known = set[str]()
    for name, each in properties.items():
        part = resolved(each, document)
        hints = _hints(part)
        tag = str(hints.get("name") or name)
        if hints.get("attribute") is True:
            found |= {name: element.attrib[tag]} if tag in element.attrib else {}
            continue
        is_list = "array" in _types(part) and hints.get("wrapped") is not True
        if is_list:
            tag = str(_hints(resolved(part.get("items", {}), document)).get("name") or name)
        known.add(tag)
        same = children.get(tag, [])
        if is_list and same:
            found[name] = [_value(child, part.get("items", {}), document) for child in same]
        elif same:
            found[name] = _value(same[-1], each, document)
    return found | {tag: _value(same[-1], {}, document) for tag, same in children.items() if tag not in known}


def _properties(
    definition: Any, document: Document, depth: int = 0, known: dict[int, dict[str, Any]] | None = None
) -> dict[str, Any]:
    """The properties of an object, with those of the parts of `allOf`; a part may be reached on very many paths."""
    schema = resolved(definition, document)
    found: dict[str, Any] = {}
    known = {} if known is None else known
    for part in schema.get("allOf", ()) if depth < MAX_DEPTH // 5 else ():
        if id(part) not in known:
            known[id(part)] = {}
            known[id(part)] = _properties(part, document, depth + 1, known)
        found |= known[id(part)]
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
