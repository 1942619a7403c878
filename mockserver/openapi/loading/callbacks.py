"""Reads the callbacks and webhooks of a document: requests that the API itself sends."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from mockserver.errors import WARNING, Problem, SpecError
from mockserver.openapi.operations import METHODS, Content, SentRequest, is_json


class Document(Protocol):
    """What is asked of a document while it is read; see OpenApiDocument."""

    document: Mapping[str, Any]
    name: str
    problems: tuple[Problem, ...]

    def resolved(self, node: Any, place: str) -> Any: ...

    def read_content(self, node: Mapping[str, Any], place: str) -> dict[str, Content]: ...


def read_sent_requests(spec: Document, node: Any, place: str) -> Iterator[SentRequest]:
    """The requests of a `callbacks` object; those with a mistake are left out, with a warning."""
    for name, stated in node.items() if isinstance(node, dict) else ():
        try:
            found = spec.resolved(stated, f"{place}: {name}")
            for target, item in found.items() if isinstance(found, dict) else ():
                if not target.startswith("x-"):
                    yield from _read_item(spec, str(name), target, item, f"{place}: {name}")
        except SpecError as error:
            _warn(spec, f"{place}: {name}", error)


def read_webhooks(spec: Document) -> Iterator[SentRequest]:
    """The requests of the document's `webhooks` (OpenAPI 3.1); their target is empty."""
    node = spec.document.get("webhooks")
    for name, stated in node.items() if isinstance(node, dict) else ():
        try:
            yield from _read_item(spec, str(name), "", stated, f"webhooks: {name}")
        except SpecError as error:
            _warn(spec, f"webhooks: {name}", error)


def _warn(spec: Document, place: str, error: SpecError) -> None:
    message = str(error).removeprefix(f"{spec.name}: ")
    message = message if message.startswith(place) else f"{place}: {message}"
    spec.problems = (*spec.problems, Problem(spec.name, message, severity=WARNING))


def _read_item(spec: Document, name: str, target: str, stated: Any, place: str) -> Iterator[SentRequest]:
    item = spec.resolved(stated, place)
    for method in METHODS if isinstance(item, dict) else ():
        if isinstance(item.get(method), dict):
            body = spec.resolved(item[method].get("requestBody", {}), place)
            contents = spec.read_content(body, place) if isinstance(body, dict) else {}
            for each in contents.values():
                if each.schema is not None:
                    each.schema.check_usable()
            needs_body = isinstance(body, dict) and body.get("required") is True
            yield SentRequest(name, target, method.upper(), _preferred(contents), contents, needs_body)


def _preferred(contents: Mapping[str, Content]) -> Content | None:
    """JSON if it is documented, else the first media type."""
    return next((each for each in contents.values() if is_json(each.media_type)), next(iter(contents.values()), None))
