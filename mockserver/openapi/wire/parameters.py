"""Parameters as text, by `style` and `explode` (OpenAPI 3.1, 4.8.12)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mockserver.openapi.wire.typed import MAX_DEPTH, NOTHING
from mockserver.percent import unquote

Pairs = Sequence[tuple[str, str]]
DEFAULT_STYLES: Mapping[str, str] = {"query": "form", "cookie": "form", "path": "simple", "header": "simple"}
_DELIMITERS: Mapping[str, tuple[str, ...]] = {
    "form": (",",),
    "simple": (",",),
    "spaceDelimited": (" ", "%20", "+"),
    "pipeDelimited": ("|", "%7C", "%7c"),
}
_RESERVED = ":/?#[]@!$&'()*+,;="


def read_pairs(name: str, pairs: Pairs, *, style: str, explode: bool, kind: str, properties: Mapping[str, Any]) -> Any:
    """The texts of a query or cookie parameter: a text, a list of texts, or an object of these; NOTHING without one.

    `pairs` are all names and values of the query, decoded. `kind` is `array`, `object`, or anything else for a scalar.
    `properties` are those that the object documents.
    """
    if kind == "object":
        return _read_object(name, pairs, style=style, explode=explode, properties=properties)
    values = [value for key, value in pairs if key == name]
    if kind == "array" and style == "deepObject":
        deep = _read_deep(name, pairs)
        return values or NOTHING if deep is NOTHING else [*deep.values()]
    if kind == "array":
        values += [value for key, value in pairs if key == f"{name}[]"]
        if not values:
            return NOTHING
        if explode and style == "form":
            return values
        return [part for value in values if value for part in split_delimited(value, style)]
    return values[-1] if values else NOTHING


def _read_object(name: str, pairs: Pairs, *, style: str, explode: bool, properties: Mapping[str, Any]) -> Any:
    if style == "deepObject":
        return _read_deep(name, pairs)
    if explode and style == "form":
        found = {key: value for key, value in pairs if key in properties}
        return found or NOTHING
    values = [value for key, value in pairs if key == name]
    if not values:
        return NOTHING
    return pairs_to_object(split_delimited(values[-1], style))


def _read_deep(name: str, pairs: Pairs) -> Any:
    """`filter[a][b]=1` as nested objects; of a repeated name all values, as a list. Raises ValueError."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if not (key.startswith(f"{name}[") and key.endswith("]")):
            continue
        steps = key[len(name) + 1 : -1].split("][")
        if len(steps) > MAX_DEPTH:
            raise ValueError(f"{key[:100]!r} is nested more than {MAX_DEPTH} levels deep")
        holder = found
        for step in steps[:-1]:
            inner = holder.setdefault(step, {})
            if not isinstance(inner, dict):
                break
            holder = inner
        else:
            last = steps[-1]
            if not last and len(steps) == 1:
                continue
            earlier = holder.get(last)
            if earlier is None:
                holder[last] = value
            elif isinstance(earlier, list):
                earlier.append(value)
            else:
                holder[last] = [earlier, value]
    return {key: _with_lists(each) for key, each in found.items()} or NOTHING


def _with_lists(value: Any) -> Any:
    """Nested objects with the names 0, 1, … as lists."""
    if not isinstance(value, dict):
        return value
    made = {key: _with_lists(each) for key, each in value.items()}
    is_list = bool(made) and all(key.isdecimal() or not key for key in made)
    return (
        [part for each in made.values() for part in (each if isinstance(each, list) else [each])] if is_list else made
    )


def read_text(name: str, text: str, *, style: str, explode: bool, kind: str) -> Any:
    """The texts of a path or header parameter, as read_pairs gives them; raises ValueError for another style's text."""
    if style == "label":
        if not text.startswith("."):
            raise ValueError(f"{text[:100]!r} does not begin with '.', as the style label does")
        text, delimiter = text[1:], "." if explode else ","
    elif style == "matrix":
        return _read_matrix(name, text, explode=explode, kind=kind)
    else:
        delimiter = ","
    if kind == "array":
        return text.split(delimiter) if text else []
    if kind != "object":
        return text
    parts = text.split(delimiter) if text else []
    return dict(_equations(parts)) if explode else pairs_to_object(parts)


def _read_matrix(name: str, text: str, *, explode: bool, kind: str) -> Any:
    if not text.startswith(";"):
        raise ValueError(f"{text[:100]!r} does not begin with ';', as the style matrix does")
    found = list(_equations(text[1:].split(";")))
    if kind == "object" and explode:
        return dict(found)
    values = [value for key, value in found if key == name]
    if not values:
        raise ValueError(f"{text[:100]!r} does not have {name!r}, as the style matrix does")
    if kind == "array":
        return values if explode else values[-1].split(",")
    return pairs_to_object(values[-1].split(",")) if kind == "object" else values[-1]


def _equations(parts: Sequence[str]) -> Iterator[tuple[str, str]]:
    for part in parts:
        key, _, value = part.partition("=")
        yield unquote(key), value


def pairs_to_object(parts: Sequence[str]) -> dict[str, str]:
    """`["a", "1", "b", "2"]` as an object; raises ValueError for a name without a value."""
    if len(parts) % 2:
        raise ValueError(f"it has {len(parts)} parts; wanted names and values in turn")
    return dict(zip(parts[::2], parts[1::2], strict=True))


def split_delimited(text: str, style: str) -> list[str]:
    """The parts of a text in a style with a delimiter."""
    for delimiter in _DELIMITERS.get(style, (",",)):
        if delimiter in text:
            return text.split(delimiter)
    return [text]


def format_scalar(value: Any) -> str:
    """A scalar as text: `true`, `1`, a text itself."""
    if value is None:
        return ""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def has_reserved(text: str) -> bool:
    """Whether a text has a character that RFC 3986 reserves, not percent-encoded."""
    return any(each in _RESERVED for each in text)
