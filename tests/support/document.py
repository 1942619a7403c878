"""The document with every `$ref` resolved."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped,unused-ignore]  # it ships no types
from referencing import Registry
from referencing.jsonschema import DRAFT202012

Json = Any
Place = tuple[str | int, ...]

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DOCUMENT: Json = yaml.load((Path(__file__).parents[2] / "openapi.yaml").read_text(encoding="utf-8"), _Loader)
NAME = "urn:mockserver:document"
REGISTRY: Registry[Json] = Registry().with_resource(NAME, DRAFT202012.create_resource(DOCUMENT))
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


class Node(NamedTuple):
    """A part of the document, and where it stands once `$ref`s are followed."""

    place: Place
    value: Json

    def child(self, *steps: str | int) -> "Node":
        node = self
        for step in steps:
            node = Node((*node.place, step), node.value[step])
            while isinstance(node.value, dict) and "$ref" in node.value:
                node = Node((), DOCUMENT).child(*node.value["$ref"].removeprefix("#/").split("/"))
        return node

    def children(self, key: str) -> list["Node"]:
        found = self.value.get(key, {})
        steps = found if isinstance(found, dict) else range(len(found))
        return [self.child(key, step) for step in steps]

    def accepts(self, value: Json) -> bool:
        """Whether the schema that stands here accepts the value."""
        pointer = "/".join(quote(str(step).replace("~", "~0").replace("/", "~1")) for step in self.place)
        reference = {"$ref": f"{NAME}#/{pointer}"}
        checker = Draft202012Validator.FORMAT_CHECKER
        return bool(Draft202012Validator(reference, registry=REGISTRY, format_checker=checker).is_valid(value))

    def examples(self) -> list[Json]:
        named = [example.value["value"] for example in self.children("examples")]
        return [self.value["example"], *named] if "example" in self.value else named


def component(kind: str, name: str) -> Node:
    return Node((), DOCUMENT).child("components", kind, name)


def operations(tag: str = "") -> dict[str, Node]:
    """All operations by their ids, or those of one tag."""
    paths = Node((), DOCUMENT).children("paths")
    nodes = [path.child(method) for path in paths for method in METHODS if method in path.value]
    return {
        node.value.get("operationId", str(node.place)): node for node in nodes if not tag or tag in node.value["tags"]
    }


def exemplified() -> list[Node]:
    """All that has a schema and examples, once: parameters, bodies, responses and their headers."""
    return list({node.place: node for node in _exemplified()}.values())


def responses(digits: str, tag: str) -> dict[str, dict[str, Node]]:
    """By operation and status, those of the tag whose status begins with one of the digits."""
    return {
        key: {
            status: operation.child("responses", status)
            for status in operation.value["responses"]
            if status[0] in digits
        }
        for key, operation in operations(tag).items()
    }


def _exemplified() -> Iterator[Node]:
    for operation in operations().values():
        yield from operation.children("parameters")
        if "requestBody" in operation.value:
            yield from operation.child("requestBody").children("content")
        for response in operation.children("responses"):
            yield from response.children("headers")
            yield from response.children("content")


def successes(tag: str) -> dict[str, dict[str, list[str]]]:
    """The media types of the answers that are no refusals, by operation and status."""
    return {
        key: {status: list(response.value.get("content", {})) for status, response in answers.items()}
        for key, answers in responses("123", tag).items()
    }
