"""Recorded requests as they are exported."""

from collections.abc import Mapping
from typing import Annotated, Any

from mockserver.errors import Violation
from mockserver.http import DeliveryFault, Request, Response
from mockserver.records import Bounds, Record
from mockserver.sandbox.clock import Instant
from mockserver.sandbox.journal import Exchange


class ExportedRequest(Record, frozen=True, gc=False):
    """See Request; without a form, which no journal keeps."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    origin: str
    form_problem: str
    prefix: str


class ExportedResponse(Record, frozen=True, gc=False):
    """See Response."""

    status: int
    media_type: str
    body: bytes | None
    """None for a stream, whose content is not recorded."""
    headers: tuple[tuple[str, str], ...]
    source: str
    delay: float
    disturbance: DeliveryFault | None


class ExportedViolation(Record, frozen=True, gc=False):
    """See Violation."""

    location: tuple[str | int, ...]
    code: str
    message: str
    rule: Mapping[str, Any]
    value: Any
    names: tuple[str, ...]


class ExportedExchange(Record, frozen=True, gc=False):
    """See Exchange."""

    number: Annotated[int, Bounds(ge=1, le=2**53)]
    at: Instant
    operation: str
    request: ExportedRequest
    response: ExportedResponse
    reason: str
    violations: tuple[ExportedViolation, ...]


def export_exchange(exchange: Exchange) -> ExportedExchange:
    """The exchange as it is written."""
    request, response = exchange.request, exchange.response
    return ExportedExchange(
        exchange.number,
        exchange.at,
        exchange.operation,
        ExportedRequest(**_fields(request, ExportedRequest)),
        ExportedResponse(
            **_fields(response, ExportedResponse)
            | {"body": response.body if isinstance(response.body, bytes) else None}
        ),
        exchange.reason,
        tuple(ExportedViolation(*each) for each in exchange.violations),
    )


def import_exchange(value: ExportedExchange) -> Exchange:
    """The exchange that was written."""
    response = _fields(value.response, ExportedResponse)
    if value.response.body is None:
        response["body"] = iter(())
    return Exchange(
        value.number,
        value.at,
        value.operation,
        Request(**_fields(value.request, ExportedRequest)),
        Response(**response),
        value.reason,
        tuple(Violation(**_fields(each, ExportedViolation)) for each in value.violations),
    )


def _fields(value: Any, type_: type[Record]) -> dict[str, Any]:
    """The fields of the value that the type has."""
    return {name: getattr(value, name) for name in type_.__struct_fields__}
