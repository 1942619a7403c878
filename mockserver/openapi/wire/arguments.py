"""Arguments of a request by `style`, `explode` and `content` of their parameters."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from mockserver.errors import Violation
from mockserver.http import Request
from mockserver.openapi.operations import Operation, Parameter, is_json
from mockserver.openapi.wire.parameters import DEFAULT_STYLES, read_pairs, read_text
from mockserver.openapi.wire.typed import NOTHING, kind_of, properties_of, typed, types_of


def read_styled(
    parameter: Parameter,
    request: Request,
    path: Mapping[str, str],
    query: Mapping[str, list[str]],
    violations: list[Violation],
) -> Any:
    """The argument in its documented type; NOTHING without one. `query` has the decoded values of each name."""
    document = parameter.schema.document
    types = types_of(parameter.schema.definition, document)
    kind = "" if parameter.media_type else kind_of(types)
    if "string" in types and kind == "object":
        kind = ""
    style = parameter.style or DEFAULT_STYLES[parameter.location]
    try:
        found = _read_texts(parameter, request, path, query, style=style, kind=kind, violations=violations)
        if found is not NOTHING and is_json(parameter.media_type) and isinstance(found, str):
            return orjson.loads(found)
    except ValueError as problem:  # JSONDecodeError is one
        violations.append(Violation((parameter.location, parameter.name), "style", f"{parameter.name!r}: {problem}"))
        return NOTHING
    return found if found is NOTHING else typed(found, parameter.schema.definition, document)


def _read_texts(
    parameter: Parameter,
    request: Request,
    path: Mapping[str, str],
    query: Mapping[str, list[str]],
    *,
    style: str,
    kind: str,
    violations: list[Violation],
) -> Any:
    name, explode = parameter.name, parameter.explode
    if parameter.location == "path":
        return read_text(name, path[name], style=style, explode=explode, kind=kind) if path.get(name) else NOTHING
    if parameter.location == "header":
        text = request.headers.get(name)
        return NOTHING if text is None else _trimmed(read_text(name, text, style=style, explode=explode, kind=kind))
    if parameter.location == "query":
        pairs = [(key, value) for key, values in query.items() for value in values]
    else:
        pairs = list(_cookies(request))
    if not kind and len([key for key, _ in pairs if key == name]) > 1:
        message = f"{name!r} stands several times in the {parameter.location}"
        violations.append(Violation((parameter.location, name), "duplicate", message))
    properties = properties_of(parameter.schema.definition, parameter.schema.document) if kind == "object" else {}
    return read_pairs(name, pairs, style=style, explode=explode, kind=kind, properties=properties)


def known_arguments(operation: Operation, given: Mapping[str, list[str]]) -> set[str]:
    """The names in a query that the operation documents, those of exploded objects and deep ones included."""
    known = set[str]()
    for each in operation.parameters:
        if each.location != "query":
            continue
        known.add(each.name)
        known |= {name for name in given if name.startswith(f"{each.name}[")}
        kind = kind_of(types_of(each.schema.definition, each.schema.document))
        if kind == "object" and each.explode and each.style in {"", "form"}:
            known |= properties_of(each.schema.definition, each.schema.document).keys()
    security = {
        scheme.name for requirement in operation.security for scheme in requirement if scheme.location == "query"
    }
    return known | security


def _trimmed(value: Any) -> Any:
    return [each.strip() for each in value] if isinstance(value, list) else value


def _cookies(request: Request) -> Iterator[tuple[str, str]]:
    for part in request.headers.get("cookie", "").split(";"):
        name, found, value = part.strip().partition("=")
        if found:
            yield name, value
