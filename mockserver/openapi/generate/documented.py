"""What a schema itself says of its values: examples, defaults, and the names of its alternatives."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]
NOTHING = object()
"""There is no value."""


def documented_value(schema: Schema) -> Any:
    """The example of a schema, else its default, if it has the schema's type; else NOTHING."""
    examples = schema.get("examples")
    stated = [schema["example"]] if "example" in schema else []
    stated += examples if isinstance(examples, list) else []
    stated += [schema["default"]] if "default" in schema else []
    types = as_list(schema.get("type", ()))
    enum = schema.get("enum")
    fitting = (each for each in stated if (not types or _is_of(each, types)) and (enum is None or each in enum))
    return next(fitting, NOTHING)


def _is_of(value: Any, types: Sequence[str]) -> bool:
    if isinstance(value, bool):
        return "boolean" in types
    if isinstance(value, int | float):
        return "number" in types or ("integer" in types and float(value).is_integer())
    names = {str: "string", list: "array", dict: "object", type(None): "null"}
    return names.get(type(value)) in types


def discriminator(schema: Schema) -> Callable[[Any], list[Schema]]:
    """What the discriminator says of a chosen branch: the value of its property."""
    stated = schema.get("discriminator")
    name = stated.get("propertyName") if isinstance(stated, Mapping) else None
    mapping = stated.get("mapping") if isinstance(stated, Mapping) else None
    mapping = mapping if isinstance(mapping, Mapping) else {}

    def named(chosen: Any) -> list[Schema]:
        reference = chosen.get("$ref") if isinstance(chosen, Mapping) else None
        if not (isinstance(name, str) and isinstance(reference, str)):
            return []
        short = reference.rpartition("/")[2]
        value = next((key for key, target in mapping.items() if target in {reference, short}), short)
        return [{"properties": {name: {"x-mock-discriminator": value}}, "required": [name]}]

    return named


def as_list(types: str | Sequence[str]) -> Sequence[str]:
    return [types] if isinstance(types, str) else types


def suggested_name(schema: Schema, name: str) -> str:
    """The name that a text should suit: what `x-faker` says (`internet.email`), else the property's."""
    said = schema.get("x-faker")
    said = next(iter(said), "") if isinstance(said, Mapping) else said
    return said.rpartition(".")[2] if isinstance(said, str) and said else name
