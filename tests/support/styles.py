"""Writes parameters in the styles of OpenAPI (3.1, 4.8.12), as clients do."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from mockserver.openapi.wire.parameters import format_scalar


def write_query(name: str, value: Any, *, style: str, explode: bool) -> list[tuple[str, str]]:
    """A value as pairs of a query, percent-encoded: what read_pairs reads."""
    if isinstance(value, Mapping):
        return _write_object(name, value, style=style, explode=explode)
    if isinstance(value, list):
        if style == "deepObject":
            return list(_write_deep(quote(name, safe=""), value))
        texts = [_quoted(each) for each in value]
        if explode and style == "form":
            return [(quote(name, safe=""), each) for each in texts]
        delimiter = {"spaceDelimited": "%20", "pipeDelimited": "|"}.get(style, ",")
        return [(quote(name, safe=""), delimiter.join(texts))]
    return [(quote(name, safe=""), _quoted(value))]


def _write_object(name: str, value: Mapping[str, Any], *, style: str, explode: bool) -> list[tuple[str, str]]:
    if style == "deepObject":
        return list(_write_deep(quote(name, safe=""), value))
    if explode and style == "form":
        return [(quote(key, safe=""), _quoted(each)) for key, each in value.items()]
    delimiter = {"spaceDelimited": "%20", "pipeDelimited": "|"}.get(style, ",")
    return [
        (
            quote(name, safe=""),
            delimiter.join(f"{quote(key, safe='')}{delimiter}{_quoted(each)}" for key, each in value.items()),
        )
    ]


def _write_deep(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _write_deep(f"{name}[{quote(str(key), safe='')}]", each)
    elif isinstance(value, list):
        for n, each in enumerate(value):
            yield from _write_deep(f"{name}[{n}]", each)
    else:
        yield name, _quoted(value)


def write_text(name: str, value: Any, *, style: str, explode: bool) -> str:
    """A value as the text of a path or header parameter, percent-encoded: what read_text reads."""
    start, delimiter = {"label": (".", "." if explode else ","), "matrix": (";", ";" if explode else ",")}.get(
        style, ("", ",")
    )
    prefix = f"{quote(name, safe='')}=" if style == "matrix" else ""
    if isinstance(value, Mapping):
        if explode:
            return start + delimiter.join(f"{quote(key, safe='')}={_quoted(each)}" for key, each in value.items())
        parts = [part for key, each in value.items() for part in (quote(key, safe=""), _quoted(each))]
        return start + prefix + ",".join(parts)
    if isinstance(value, list):
        if style == "matrix" and explode:
            return start + ";".join(prefix + _quoted(each) for each in value)
        return start + prefix + delimiter.join(map(_quoted, value))
    return start + prefix + _quoted(value)


def _quoted(value: Any) -> str:
    return quote(format_scalar(value), safe="")
