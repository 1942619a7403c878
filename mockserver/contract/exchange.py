"""Validates a request and a response against the document, also a response that another server gave."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from mockserver.api.provider import BoundOperation
from mockserver.contract.capture import BodyCapture, decoded_body
from mockserver.errors import Reason, Refusal, Violation
from mockserver.http import EMPTY_STATUSES, Request, Response
from mockserver.openapi.operations import Operation, ResponseSpec, bare_media_type
from mockserver.openapi.requests import check_reply, find_content, parse_input
from mockserver.openapi.router import RouteMatch, Router
from mockserver.openapi.schema import Schema
from mockserver.openapi.security import missing_scheme, read_credential
from mockserver.openapi.wire.typed import parse_scalar, types_of

REQUEST, RESPONSE = "request", "response"
"""The first step of a violation's location, which says whose it is."""
NO_OPERATION = "no-operation"
"""The code of a violation: the document has no such path or method."""


class RequestCheck(NamedTuple):
    """What the document says of a request."""

    service: BoundOperation | None
    """None if the document has no such operation."""
    arguments: Mapping[str, Any]
    body: Any
    """The parsed body; None for a body that is invalid, or is not there."""
    path: Mapping[str, str]
    """The path arguments, as texts."""
    refusal: Refusal | None
    """The rejection that the document demands; None for a valid request."""

    @property
    def violations(self) -> tuple[Violation, ...]:
        """The violations of the request, located under REQUEST."""
        if self.refusal is None:
            return ()
        if self.service is None:
            return (Violation((REQUEST, "path"), NO_OPERATION, str(self.refusal)),)
        found = self.refusal.violations or (Violation((), self.refusal.reason.value, str(self.refusal)),)
        return tuple(each._replace(location=(REQUEST, *each.location)) for each in found)


class DocumentChecker:
    """Validates exchanges against the served documents."""

    def __init__(self, services: "tuple[BoundOperation, ...]", *, strict: bool = False) -> None:
        self._by_operation = {service.operation: service for service in services}
        self._router = Router(self._by_operation)
        self._strict = strict
        self._headers: dict[tuple[str, str, str], Schema | None] = {}

    def route(self, request: Request) -> "RouteMatch | Refusal":
        """The operation of a request, or why there is none."""
        try:
            return self._router.match(request.method, request.path)
        except Refusal as refusal:
            return refusal.without_frames()

    def check_request(self, request: Request, route: "RouteMatch | Refusal", body: BodyCapture | None) -> RequestCheck:
        """All violations of a request; `body` is what has passed of its body, None without one."""
        if isinstance(route, Refusal):
            return RequestCheck(None, {}, None, {}, route)
        operation = route.operation
        service = self._by_operation[operation]
        missing = self._missing_credential(operation, request)
        if body is not None and not body.can_be_checked:
            return RequestCheck(service, route.arguments, None, route.arguments, _refusal(missing))
        request = _readable(request, body)
        try:
            found = parse_input(operation, request, route.arguments, strict=self._strict)
        except Refusal as raised:
            refusal = _with_more(raised.without_frames(), missing)
            return RequestCheck(service, route.arguments, None, route.arguments, refusal)
        refusal = _refusal([*missing, *found.violations])
        return RequestCheck(service, found.arguments, found.body, route.arguments, refusal)

    def _missing_credential(self, operation: Operation, request: Request) -> list[Violation]:
        if operation.is_open or read_credential(operation.security, request) is not None:
            return []
        scheme = missing_scheme(operation.security, request)
        return [Violation(scheme.place, "required", f"there is no {scheme.noun}, which the document demands")]

    def check_response(self, service: BoundOperation | None, method: str, response: Response) -> tuple[Violation, ...]:
        """The violations of a response, located under RESPONSE. A body that is an iterator is not looked at."""
        if service is None:
            return ()
        operation = service.operation
        found = [*_head_violations(operation, response)]
        if not found and not (method == "HEAD" or response.status in EMPTY_STATUSES):
            found = check_reply(operation, response)
        documented = operation.response(response.status)
        if documented is not None and documented.headers:
            found += self._header_violations(service, documented, response)
        return tuple(each._replace(location=(RESPONSE, *each.location)) for each in found)

    def _header_violations(
        self, service: BoundOperation, documented: ResponseSpec, response: Response
    ) -> Iterator[Violation]:
        sent = {name.lower(): value for name, value in response.headers}
        for name, definition in documented.headers.items():
            value = sent.get(name.lower())
            if value is not None:
                schema = self._header_schema(service, documented, name)
                if schema is not None:
                    types = types_of(schema.definition, schema.document)
                    yield from schema.violations(parse_scalar(value, types), ("header", name))
            elif definition.get("required") and name.lower() != "content-type":
                yield Violation(("header", name), "required", f"the documented header {name} is missing")

    def _header_schema(self, service: BoundOperation, documented: ResponseSpec, name: str) -> Schema | None:
        key = (service.operation.key, documented.status, name)
        if key not in self._headers:
            stated = documented.headers[name].get("schema")
            place = f"{service.operation.key}: header {name}"
            self._headers[key] = service.world.spec.schema(stated, place) if isinstance(stated, dict) else None
        return self._headers[key]


def _head_violations(operation: Operation, response: Response) -> Iterator[Violation]:
    documented = operation.response(response.status)
    if documented is None:
        known = ", ".join(operation.responses)
        said = f"{operation.key} does not document the status {response.status}; it documents {known}"
        yield Violation(("status",), "undocumented", said)
    elif documented.content and response.media_type:
        media_type = bare_media_type(response.media_type)
        if find_content(documented.content, media_type) is None:
            said = f"{operation.key} does not document {media_type!r} for {response.status}"
            yield Violation(("header", "Content-Type"), "undocumented", said)


def _readable(request: Request, body: BodyCapture | None) -> Request:
    """The request with its body, without a content coding that can be undone."""
    if body is None:
        return request
    if body.is_form:
        return request._replace(form=body.form, form_problem=body.form_problem, form_parts=body.form_parts)
    content, headers = body.bytes.content, request.headers
    coding = headers.get("content-encoding", "")
    if coding:
        plain = decoded_body(content, coding)
        if plain is not None:
            content = plain
            headers = {name: value for name, value in headers.items() if name != "content-encoding"}
    return request._replace(body=content, headers=headers)


def _refusal(violations: list[Violation]) -> Refusal | None:
    return Refusal(Reason.INVALID, violations=violations) if violations else None


def _with_more(refusal: Refusal, violations: list[Violation]) -> Refusal | None:
    if not violations:
        return refusal
    found = [*violations, *refusal.violations]
    return Refusal(refusal.reason, refusal.detail, violations=found, status=refusal.status, headers=refusal.headers)
