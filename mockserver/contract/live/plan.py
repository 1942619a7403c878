"""Plans requests to a live API: from the document's examples, recorded requests, and probes of the credential."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from mockserver.api.provider import BoundOperation
from mockserver.errors import SpecError
from mockserver.fixtures.recordings import ANY
from mockserver.openapi.generate.values import generate_value
from mockserver.openapi.operations import Content, Operation, Parameter, bare_media_type
from mockserver.openapi.security import SecurityScheme
from mockserver.redaction import REDACTED

READING = frozenset({"GET", "HEAD", "OPTIONS"})
EXAMPLE, RECORDED, PROBE, LIMIT, GENERATED, UNKNOWN = "example", "recorded", "probe", "limit", "generated", "unknown"
"""Where a planned request comes from."""
URLENCODED = "application/x-www-form-urlencoded"
MAX_LIMIT = 5000
"""The largest documented limit of a list or a text that is tried."""
NO_SUCH = "00000000-0000-4000-8000-000000000000"
"""An id that no API has."""


@dataclass(frozen=True)
class Price:
    """What a call costs."""

    amount: float
    unit: str


@dataclass(frozen=True)
class PlannedRequest:
    """A request that may be sent."""

    operation: Operation
    origin: str
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = ""
    body: Any = None
    has_credential: bool = True
    situation: str = "valid"
    """What the request is about, in a few words."""
    faults: int = 0
    """How many things are wrong with it."""
    of_other_account: bool = False
    """Whether it has the credential of a second account."""

    @property
    def target(self) -> str:
        """Path and query as they are sent."""
        path = self.operation.path
        for name, value in self.path.items():
            path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
        query = {name: _query_text(value) for name, value in self.query.items()}
        return f"{path}?{urlencode(query, doseq=True)}" if query else path

    @property
    def content(self) -> bytes:
        """The body as it is sent."""
        if self.body is None or not self.media_type:
            return b""
        if bare_media_type(self.media_type) == URLENCODED:
            return urlencode(self.body, doseq=True).encode()
        return self.body.encode() if isinstance(self.body, str) else orjson.dumps(self.body)

    @property
    def price(self) -> Price:
        """What it costs according to the document; a call with a documented 402 and no price costs one credit."""
        return price_of(self.operation, self.query, self.body)


def price_of(operation: Operation, query: Mapping[str, Any], body: Any) -> Price:
    """The price of a call; raises SpecError if the document's is malformed."""
    stated = operation.price
    if stated is None:
        return Price(1.0 if 402 in operation.statuses else 0.0, "credits")
    if not isinstance(stated, dict) or not isinstance(stated.get("amount"), int | float) or stated["amount"] < 0:
        raise SpecError(f"{operation.key}: x-mock-price is {stated!r}; wanted a mapping with an amount")
    amount, unit = float(stated["amount"]), str(stated.get("unit", "credits"))
    if stated.get("free_with") in query:
        return Price(0.0, unit)
    items = body.get(stated.get("for_each")) if isinstance(body, dict) else None
    return Price(amount * len(items) if isinstance(items, list) else amount, unit)


class Planner:
    """Plans the requests of some operations."""

    def __init__(self, services: Sequence[BoundOperation]) -> None:
        self._services = services

    def examples(self) -> Iterator[PlannedRequest]:
        """One request for each example of a body, or one for each operation without any."""
        for service in self._services:
            operation = service.operation
            plain = _with_arguments(operation, EXAMPLE)
            if not operation.body:
                yield plain
            for media_type, content in (operation.body or {}).items():
                bodies = list(_bodies(content)) if _can_be_sent(media_type) else []
                yield from (replace(plain, media_type=media_type, body=body) for body in bodies)
                if bodies:
                    break

    def probes(self) -> Iterator[PlannedRequest]:
        """Reads without a credential, and reads of things that do not exist."""
        for service in self._services:
            operation = service.operation
            if operation.method != "GET":
                continue
            plain = _with_arguments(operation, PROBE)
            if not operation.is_open:
                yield replace(plain, has_credential=False, situation="no credential", faults=1)
                if plain.query:
                    yield replace(
                        plain, has_credential=False, query={}, situation="no credential, no argument", faults=2
                    )
            if plain.path:
                yield replace(plain, path=dict.fromkeys(plain.path, NO_SUCH), situation="unknown id", faults=1)
            elif "id" in plain.query:
                yield replace(plain, query={**plain.query, "id": NO_SUCH}, situation="unknown id", faults=1)
            if plain.query:
                yield replace(plain, query={}, situation="no argument", faults=1)

    def arguments(self) -> Iterator[PlannedRequest]:
        """Requests with one optional argument of the query that the document has an example for."""
        for service in self._services:
            operation = service.operation
            for parameter in operation.parameters:
                is_shown = "example" in parameter.definition or parameter.definition.get("examples")
                if parameter.location == "query" and not parameter.required and is_shown:
                    plain = _with_arguments(operation, EXAMPLE)
                    query = {**plain.query, parameter.name: _query_text(_argument(operation, parameter))}
                    if not operation.body:
                        yield replace(plain, query=query, situation=f"with {parameter.name}")

    def limits(self) -> Iterator[PlannedRequest]:
        """Requests at documented limits and just beyond: of numbers in queries, and of lists and texts in bodies."""
        for service in self._services:
            operation = service.operation
            plain = next((each for each in Planner([service]).examples()), None)
            if plain is None:
                continue
            for parameter in operation.parameters:
                most = parameter.definition.get("maximum")
                if parameter.location == "query" and isinstance(most, int):
                    for value, faults in ((most, 0), (most + 1, 1)):
                        said = f"{parameter.name} {'at' if not faults else 'beyond'} {most}"
                        query = {**plain.query, parameter.name: str(value)}
                        yield replace(plain, origin=LIMIT, query=query, situation=said, faults=faults)
            if isinstance(plain.body, dict):
                yield from _body_limits(plain)

    def recorded(self) -> Iterator[PlannedRequest]:
        """The requests of recordings and canned responses among the fixtures, as far as they can be repeated."""
        for service in self._services:
            operation, fixtures = service.operation, service.world.fixtures
            for entry in fixtures.recorded:
                request = entry.request
                if request["operation"] == operation.key and not _is_partial(request):
                    body = request.get("body")
                    media_type = "application/json" if body is not None else ""
                    if body is None or any(bare_media_type(each) == media_type for each in operation.body or {}):
                        yield PlannedRequest(
                            operation, RECORDED, request.get("path", {}), request.get("query", {}),
                            media_type=media_type, body=body, has_credential=request.get("credential", True),
                        )  # fmt: skip
            for canned in fixtures.responses:
                wanted = canned.entry.get("match", {})
                if canned.operation == operation.key and wanted and not wanted.get("headers"):
                    plain = _with_arguments(operation, RECORDED)
                    body = wanted.get("body")
                    path, query = {**plain.path, **wanted.get("path", {})}, {**plain.query, **wanted.get("query", {})}
                    media_type = "application/json" if body is not None else ""
                    yield replace(plain, path=path, query=query, media_type=media_type, body=body)


def _body_limits(plain: PlannedRequest) -> Iterator[PlannedRequest]:
    content = (plain.operation.body or {})[plain.media_type]
    if content.schema is None:
        return
    for name, stated in content.schema.resolved(content.schema.definition).get("properties", {}).items():
        definition = content.schema.resolved(stated)
        value = plain.body.get(name)
        for word in ("maxItems", "maxLength"):
            most = definition.get(word)
            if not (isinstance(most, int) and 0 < most <= MAX_LIMIT and isinstance(value, list | str) and value):
                continue
            if isinstance(value, list) is not (word == "maxItems"):
                continue
            for size, faults in ((most, 0), (most + 1, 1)):
                longer: Any = (value * (size // len(value) + 1))[:size]
                said = f"{name} {'at' if not faults else 'beyond'} {most}"
                body = {**plain.body, name: longer}
                yield replace(plain, origin=LIMIT, body=body, situation=said, faults=faults)


def credential_headers(scheme: SecurityScheme, token: str) -> tuple[dict[str, str], dict[str, str]]:
    """Headers and query arguments that carry a credential."""
    if scheme.kind == "apikey":
        if scheme.location == "query":
            return {}, {scheme.name: token}
        if scheme.location == "cookie":
            return {"Cookie": f"{scheme.name}={token}"}, {}
        return {scheme.name: token}, {}
    if scheme.kind == "basic":
        token = base64.b64encode(token.encode()).decode()
    return {scheme.name: f"{scheme.kind.capitalize()} {token}"}, {}


def _with_arguments(operation: Operation, origin: str) -> PlannedRequest:
    """A request with the required arguments, from examples, defaults, or generated."""
    found: dict[str, dict[str, Any]] = {"path": {}, "query": {}, "header": {}, "cookie": {}}
    for parameter in operation.parameters:
        if parameter.required:
            found[parameter.location][parameter.name] = _query_text(_argument(operation, parameter))
    return PlannedRequest(operation, origin, found["path"], found["query"], found["header"])


def _argument(operation: Operation, parameter: Parameter) -> Any:
    definition = parameter.definition
    for name in ("example", "default"):
        if name in definition:
            return definition[name]
    if isinstance(definition.get("examples"), list) and definition["examples"]:
        return definition["examples"][0]
    key = f"{operation.key} {parameter.name}".encode()
    return generate_value(definition, root=parameter.schema.document, key=key, documents_values=True)


def _bodies(content: Content) -> Iterator[Any]:
    if content.examples:
        yield from content.examples.values()
    elif content.schema is not None:
        yield generate_value(
            content.schema.definition, root=content.schema.document, key=b"verify", documents_values=True
        )


def _can_be_sent(media_type: str) -> bool:
    bare = bare_media_type(media_type)
    return bare in {"application/json", URLENCODED} or bare.endswith("+json") or bare.startswith("text/")


def _query_text(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return [_query_text(each) for each in value]
    return value if isinstance(value, str) else orjson.dumps(value).decode() if isinstance(value, dict) else str(value)


def _is_partial(request: Mapping[str, Any]) -> bool:
    """Whether a recorded request cannot be repeated: something was redacted, left open, or is a file."""
    text = orjson.dumps([request.get(name) for name in ("path", "query", "body")]).decode()
    return REDACTED in text or "[redacted " in text or f'"{ANY}"' in text or '"sha256"' in text
