"""Fields of definitions in JSON: dataclass fields with a schema and a parser."""

import re
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, field, fields
from typing import Any

MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
HTTP_DATE = rf"^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{{2}} ({MONTHS}) [0-9]{{4}} [0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}} GMT$"
"""RFC 9110, 5.6.7: the date format of HTTP headers."""


def number_field(least: float, most: float, *, default: Any = MISSING) -> Any:
    """A number within bounds; required without a default, unless it belongs to a form."""
    schema = {"type": "number", "minimum": least, "maximum": most}
    return field(default=default, metadata={"schema": schema, "wanted": f"{least:g} to {most:g}"})


def int_field(least: int, most: int, *, default: Any = MISSING) -> Any:
    """An integer within bounds."""
    schema = {"type": "integer", "minimum": least, "maximum": most}
    return field(default=default, metadata={"schema": schema, "wanted": f"{least} to {most}, whole"})


def choice_field(*choices: str, default: Any = MISSING) -> Any:
    """One of these strings."""
    wanted = " or ".join(choices)
    return field(default=default, metadata={"schema": {"type": "string", "enum": list(choices)}, "wanted": wanted})


def seconds_or_date(most: int, *, default: Any = MISSING) -> Any:
    """The value of `Retry-After`: whole seconds, or an HTTP date."""
    ways = [{"type": "integer", "minimum": 0, "maximum": most}, {"type": "string", "pattern": HTTP_DATE}]
    wanted = f"0 to {most} seconds, whole, or an HTTP date"
    return field(default=default, metadata={"schema": {"anyOf": ways}, "wanted": wanted})


def schema_of(type_word: str, kind: Any) -> dict[str, Any]:
    """The JSON Schema of a definition of this type; additional fields are not allowed."""
    named = {each.name: each.metadata["schema"] for each in fields(kind)}
    schema: dict[str, Any] = {
        "type": "object",
        "required": ["type", *(each.name for each in fields(kind) if _is_needed(each))],
        "properties": {"type": {"const": type_word}, **named},
        "additionalProperties": False,
    }
    if kind.forms:
        schema["description"] = _wanted_form(kind.forms)
        schema["oneOf"] = [
            {"required": list(form), "properties": dict.fromkeys(_unknown_names(form, kind.forms), False)}
            for form in kind.forms
        ]
    return schema


def read_fields(where: str, kind: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """The dataclass arguments; raises ValueError for a value that `schema_of` does not accept."""
    known = {each.name: each for each in fields(kind)}
    for name in given:
        if name not in known:
            raise ValueError(
                f"{where} has no field {_format_value(name)}; it has {', '.join(known) or 'none but type'}"
            )
    _check_form(where, kind.forms, given)
    for name, each in known.items():
        if name not in given and _is_needed(each):
            raise ValueError(f"{where} lacks {name}: {each.metadata['wanted']}")
    return {name: _read(f"{where}.{name}", known[name], value) for name, value in given.items()}


def fields_json(kind: Any) -> list[dict[str, Any]]:
    """The fields as JSON for documentation: name, accepted values and default."""
    return [_field_json(each) for each in fields(kind)]


def _field_json(each: "Field[Any]") -> dict[str, Any]:
    default = {} if each.default in {MISSING, None} else {"default": each.default}
    return {"name": each.name, "wanted": each.metadata["wanted"], **default}


def _is_needed(each: "Field[Any]") -> bool:
    return each.default is MISSING


def _unknown_names(form: Iterable[str], forms: Iterable[Iterable[str]]) -> list[str]:
    """The fields of the other forms."""
    return sorted({name for each in forms for name in each} - set(form))


def _check_form(where: str, forms: tuple[tuple[str, ...], ...], given: Mapping[str, Any]) -> None:
    fitting = [
        form for form in forms if given.keys() >= set(form) and not given.keys() & set(_unknown_names(form, forms))
    ]
    if forms and not fitting:
        raise ValueError(f"{where} has {', '.join(given) or 'no field'}; wanted {_wanted_form(forms)}")


def _wanted_form(forms: Iterable[Iterable[str]]) -> str:
    return ", or ".join(" and ".join(form) for form in forms)


def _read(where: str, each: "Field[Any]", value: Any) -> Any:
    schema = each.metadata["schema"]
    for way in schema.get("anyOf", (schema,)):
        if _has_type(value, way):
            return {"integer": int, "number": float}.get(way["type"], str)(value)
    raise ValueError(f"{where} is {_format_value(value)}; wanted {each.metadata['wanted']}")


def _has_type(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether the value fits one of the schemas above."""
    if schema["type"] == "string":
        if "enum" in schema:
            return value in schema["enum"]
        return isinstance(value, str) and re.fullmatch(schema["pattern"], value) is not None
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not schema["minimum"] <= value <= schema["maximum"]
    ):
        return False
    return schema["type"] == "number" or value == int(value)


def _format_value(value: Any) -> str:
    return reprlib.repr(value)
