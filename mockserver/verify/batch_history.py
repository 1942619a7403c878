"""Traces of batches as their client saw them, read from a journal with a provider's ClientRules."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from mockserver.api.client_rules import ClientRules
from mockserver.http import Request
from mockserver.json_bodies import JsonError, parse_json
from mockserver.openapi.document import Operation
from mockserver.redaction import redacted_value
from mockserver.sandbox.ids import canonical, digest
from mockserver.sandbox.journal import Exchange


class Observation(NamedTuple):
    """The state of a batch in one response."""

    exchange: Exchange
    value: Mapping[str, Any]
    is_read: bool
    """Whether it is a status request for this batch."""


class BatchTrace(NamedTuple):
    """One batch, as far as the journal shows."""

    created: Exchange | None
    """None if its creation is not in the journal."""
    sightings: list[Observation]


class BatchTraces(NamedTuple):
    """All batches of one kind."""

    client_rules: ClientRules
    by_id: dict[str, BatchTrace]
    creations: list[Exchange]
    downloads: list[Exchange]
    """Downloads of results and files, whole or in part."""

    def is_over(self, sighting: Observation) -> bool:
        """Whether the response had a final status; a result implies one."""
        status = sighting.value.get("status")
        return (status is None and sighting.is_read) or str(status) in self.client_rules.ends

    def is_lost(self, sighting: Observation) -> bool:
        """Whether the response gave a reason to create the batch again."""
        return str(sighting.value.get("status")) in self.client_rules.unfinished_ends or self.failures(sighting) > 0

    def failures(self, sighting: Observation) -> int:
        """The number of failed items in the response."""
        value: Any = sighting.value
        for name in self.client_rules.failed:
            value = value.get(name) if isinstance(value, Mapping) else None
        return value if self.client_rules.failed and isinstance(value, int) else 0

    def error_file(self, sighting: Observation) -> str:
        """The id of the error file in the response; empty without one."""
        return str(sighting.value.get(self.client_rules.error_file) or "") if self.client_rules.error_file else ""


def read_traces(
    client_rules: ClientRules, exchanges: Sequence[Exchange], operations: Mapping[str, Operation]
) -> BatchTraces:
    """The batches of one kind. A response that a fault disturbed counts as not received."""
    traces = BatchTraces(client_rules, {}, [], [])
    for exchange in exchanges:
        if exchange.response.status >= 300 or exchange.response.source.startswith("fault"):
            continue
        if exchange.operation == client_rules.download:
            if exchange.request.method != "HEAD":
                traces.downloads.append(exchange)
        elif exchange.operation == client_rules.create or exchange.operation in client_rules.status:
            _note(traces, exchange, operations)
    return traces


def _note(traces: BatchTraces, exchange: Exchange, operations: Mapping[str, Operation]) -> None:
    asked = _requested_id(traces.client_rules, exchange, operations)
    value = _value(exchange)
    if asked and exchange.operation in traces.client_rules.status:
        is_read = exchange.request.method == "GET"
        _trace(traces, asked).sightings.append(Observation(exchange, value, is_read))
    elif isinstance(value.get("data"), list):
        for each in value["data"]:
            if isinstance(each, dict) and isinstance(each.get("id"), str):
                _trace(traces, each["id"]).sightings.append(Observation(exchange, each, is_read=False))
    elif exchange.operation == traces.client_rules.create and isinstance(value.get("id"), str):
        trace = _trace(traces, value["id"])
        traces.by_id[value["id"]] = trace._replace(created=exchange)
        trace.sightings.append(Observation(exchange, value, is_read=False))
        traces.creations.append(exchange)


def _trace(traces: BatchTraces, id_: str) -> BatchTrace:
    return traces.by_id.setdefault(id_, BatchTrace(None, []))


def _requested_id(client_rules: ClientRules, exchange: Exchange, operations: Mapping[str, Operation]) -> str:
    """The id of the batch in the request; empty without one."""
    location, name = client_rules.id
    if location == "query":
        return dict(parse_qsl(exchange.request.query)).get(name, "").lower()
    template = operations[exchange.operation].path if exchange.operation in operations else ""
    parts = zip(template.split("/"), exchange.request.path.split("/"), strict=False)
    return next((came for part, came in parts if part == f"{{{name}}}"), "")


def _value(exchange: Exchange) -> Mapping[str, Any]:
    body = exchange.response.body
    if not (isinstance(body, bytes) and exchange.response.media_type.startswith("application/json")):
        return {}
    try:
        value = parse_json(body)
    except JsonError:
        return {}
    return value if isinstance(value, dict) else {}


def fingerprint(request: Request) -> bytes | None:
    """A value that identifies equal requests of one account. None for a form, since the journal does not keep its
    content.
    """
    if request.headers.get("content-type", "").lower().startswith("multipart/"):
        return None
    head = (redacted_value(request.headers.get("authorization", "")), request.method, request.path, request.query)
    return digest(*(part.encode("utf-8", "surrogatepass") for part in head), _body(request.body))


def _body(body: bytes) -> bytes:
    """The canonical form of a JSON body; any other body unchanged."""
    try:
        return canonical(parse_json(body))
    except (JsonError, TypeError):
        return body


def elapsed(first: Exchange, second: Exchange, waits: Mapping[int, float]) -> float | None:
    """The seconds between two requests: by the sandbox clock or by wall-clock time, whichever is more.

    None if neither is known: the sandbox's clock was frozen, and the wait was over long before the second request.
    """
    if first.number in waits and second.number not in waits:
        return None
    passed = [second.at - first.at] if second.at > first.at else []
    if first.number in waits and second.number in waits:
        passed.append(waits[second.number] - waits[first.number])
    return max(passed, default=None)
