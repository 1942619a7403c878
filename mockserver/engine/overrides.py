"""Responses on demand: the documented response that a stub, a preference or a reserved token selects."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from mockserver.api.provider import BoundOperation
from mockserver.errors import Reason, Refusal, Violation
from mockserver.http import (
    EMPTY_STATUSES,
    FAULT_SOURCE,
    UNDOCUMENTED_SOURCE,
    DeliveryFaultKind,
    Request,
    Response,
)
from mockserver.lazy import lazy_module
from mockserver.openapi.operations import Operation, bare_media_type
from mockserver.openapi.prefer import Preference, preference_applied, read_preference
from mockserver.openapi.requests import check_reply, find_content
from mockserver.openapi.responses import canned_reply, documented_reply, problem
from mockserver.openapi.router import MAX_NAME
from mockserver.sandbox.ids import digest
from mockserver.sandbox.sandbox import Sandbox
from mockserver.sandbox.stubs.matcher import Matcher
from mockserver.sandbox.stubs.rules import Rule
from mockserver.text import nearest

if TYPE_CHECKING:
    from mockserver.sandbox.stubs import schema
    from mockserver.sandbox.stubs.faults import Fault
else:
    schema = lazy_module("mockserver.sandbox.stubs.schema")

FORBIDDEN = "forbidden"
"""Code of a violation of HTTP itself, which `undocumented` does not allow."""
MAX_CHECKED = 10
"""The most violations reported for a rule, which may match many operations."""


class Override(NamedTuple):
    """What overrides the normal response to a request."""

    request: Request
    """The request without the headers and parameters that only select a response."""
    reply: Response | None = None
    """The response; None if the request is answered normally."""
    faults: "tuple[tuple[Fault, bytes], ...]" = ()
    """The faults to apply to the response, each with the key of its random numbers."""
    is_settled: bool = False
    """Whether the response has been validated."""

    @property
    def is_preferred_success(self) -> bool:
        """Whether the request's own preference, and not a stub, selected the response, and it is no error."""
        return self.reply is not None and not self.is_settled and self.reply.status < 400

    def disturbed(self, response: Response) -> Response:
        """The response with the faults applied."""
        for fault, key in self.faults:
            response = _with_fault(response, fault, key)
        return response


class StubError(ValueError):
    """A rule whose response the document does not define and that lacks `undocumented: true`."""

    def __init__(self, detail: str, violations: Sequence[Violation]) -> None:
        super().__init__(detail)
        self.violations = tuple(violations)


def find_override(
    service: BoundOperation,
    request: Request,
    sandbox: Sandbox,
    now: float,
    *,
    heeds_preference: bool,
    mends: bool = True,
) -> Override:
    """What the request's preferences and the sandbox's rules select. See documented_reply for `mends`.

    A preference comes before a stub, and does not count as a use of it. Delivery faults apply to both.
    """
    reply, rest = None, request
    if heeds_preference:
        reply, rest = _preference_override(service.operation, request, sandbox.ids.salt, mends=mends)
    claim = sandbox.rules.claim(service.operation.key, rest, now, is_answered=reply is not None)
    if claim.stub is None:
        return Override(rest, reply, claim.faults)
    return Override(rest, _stub_override(service, claim.stub), claim.faults, is_settled=True)


def forced_reply(operation: Operation, status: int, *, key: bytes) -> Response:
    """The documented response that a `mock-status-NNN` token selects."""
    reply = documented_reply(operation, status, key=key)
    return reply or problem(400, "Undocumented Status", f"The token asks for {_not_documented(operation, status)}.")


def read_rules(
    definitions: Iterable[Mapping[str, Any]],
    services: Sequence[BoundOperation],
    *,
    origin: str,
    now: float,
    times: int | None = 1,
) -> list[Rule]:
    """Validated rules from their definitions; see read_rule.

    Raises ValueError for an invalid rule or one that matches no operation, StubError if its response is undocumented.
    """
    rules = [schema.read_rule(each, origin=origin, now=now, times=times) for each in definitions]
    for number, rule in enumerate(rules):
        _check_rule(rule, services, f"rule {number + 1}: " if len(rules) > 1 else "")
    return rules


def stub_reply(service: BoundOperation, rule: Rule) -> Response:
    """The rule's response for an operation; raises ValueError if the document does not define it."""
    entry, operation = rule.reply or {}, service.operation
    status = entry.get("status", operation.success)
    if "body" in entry or "text" in entry:
        return canned_reply(operation, entry, "stub")
    reply = _documented_response(service, entry, status, rule)
    if "message" in entry:
        if status < 400 or service.provider is None or service.provider.format_error is None:
            raise ValueError(f"{operation.key} has no wording for {status}; wanted a body or a text")
        reply = _format_body(service, entry["message"], reply)
    headers = ((name, str(value)) for name, value in entry.get("headers", {}).items())
    return reply.with_headers(*headers)._replace(source="stub")


def _with_fault(response: Response, fault: "Fault", key: bytes) -> Response:
    """The response with a fault. Its source names the fault if the client does not receive the response unchanged."""
    after = fault.apply(response, key)
    came = after.disturbance
    arrives = came is None or came is response.disturbance or came.kind is DeliveryFaultKind.TRICKLE
    return after if arrives else after._replace(source=FAULT_SOURCE)


def _check_rule(rule: Rule, services: Sequence[BoundOperation], place: str) -> None:
    it = rule.matcher
    fitting = [each for each in services if it.may_mean(*_name(each.operation))]
    if not fitting:
        raise ValueError(f"{place}no operation has {_request_view(it)}{_hint(it.operation, services)}")
    if rule.reply is None:
        return
    broken = [each for service in fitting for each in _violations(service, rule)]
    if broken:
        detail = f"{place}{broken[0].message}"
        hint = "" if rule.undocumented or broken[0].code == FORBIDDEN else "; say undocumented: true if that is meant"
        raise StubError(detail + hint, broken[:MAX_CHECKED])


def _request_view(it: Matcher) -> str:
    """What a matcher compares of the operation in its rule."""
    said = {"key": it.operation, "method": it.method, "path": it.path}
    return " and ".join(f"the {name} {value[:MAX_NAME]!r}" for name, value in said.items() if value)


def _hint(key: str, services: Sequence[BoundOperation]) -> str:
    near = nearest(key, (each.operation.key for each in services)) if key else ""
    return f"; the nearest key is {near}" if near and near != key else ""


def _name(operation: Operation) -> tuple[str, str, str]:
    return operation.key, operation.method, operation.path


def _violations(service: BoundOperation, rule: Rule) -> Iterator[Violation]:
    """The violations of the rule's response against the document, or why the status is undocumented."""
    try:
        reply = stub_reply(service, rule)
    except ValueError as error:
        yield Violation(("reply",), "undocumented", str(error))
        return
    own = next((name for name in ("body", "text") if name in (rule.reply or {})), "")
    if own and reply.body and reply.status in EMPTY_STATUSES:
        said = f"{service.operation.key}: an answer with the status {reply.status} has no body in HTTP; wanted no {own}"
        yield Violation(("reply", own), FORBIDDEN, said)
        return
    for each in () if rule.undocumented else check_reply(service.operation, reply):
        location = ("reply", *each.location)
        yield Violation(location, each.code, f"{service.operation.key}: {each.message}")


def _stub_override(service: BoundOperation, rule: Rule) -> Response:
    """The rule's response, or a 500 if it is not documented for this operation."""
    if rule.reply is None:
        status = rule.fault.status if rule.fault and rule.fault.status else 500
        return documented_reply(service.operation, status, key=rule.key()) or _complete_like_documented(service, status)
    broken = list(_violations(service, rule))
    if broken:
        return problem(500, "Undocumented Reply", f"The stub {rule.id}: {broken[0].message}.")
    return stub_reply(service, rule)


def _documented_response(service: BoundOperation, entry: Mapping[str, Any], status: int, rule: Rule) -> Response:
    operation, example, media_type = service.operation, entry.get("example", ""), entry.get("media_type", "")
    documented = operation.response(status)
    if documented is None:
        if not rule.undocumented:
            raise ValueError(f"the status is {_not_documented(operation, status)}")
        return _complete_like_documented(service, status)
    if example and example not in documented.examples:
        raise ValueError(_no_example(operation, status, example))
    if media_type and find_content(documented.content, bare_media_type(media_type)) is None:
        raise ValueError(f"{operation.key} does not document {media_type} for {status}")
    key = digest(rule.id.encode(), operation.key.encode(), b"%d" % rule.matched)
    reply = documented_reply(operation, status, key=key, example=example, media_type=media_type)
    assert reply is not None
    return reply


def _complete_like_documented(service: BoundOperation, status: int) -> Response:
    """A response with an undocumented status, modelled on the API's documented errors of the same class."""
    if status in EMPTY_STATUSES:
        return Response(status)
    operation = service.operation
    title = HTTPStatus(status).phrase if status in set(HTTPStatus) else f"The status is {status}"
    similar = [each for each in operation.statuses if each // 100 == status // 100]
    errors = [each for each in operation.statuses if each >= 400] if status >= 400 else []
    for each in (*similar, *errors):
        reply = documented_reply(operation, each, key=b"")
        if reply is not None:
            if status < 400:
                return reply._replace(status=status, headers=())
            # The example's details, such as `param`, do not apply to this status.
            alike = reply._replace(status=status, headers=(), source=UNDOCUMENTED_SOURCE)
            return _format_body(service, title, alike)._replace(source="generated")
    return problem(status, title, title)


def _format_body(service: BoundOperation, message: str, reply: Response) -> Response:
    """The response with this message in the API's error format, if it has one."""
    if service.provider is None or service.provider.format_error is None:
        return reply
    return service.provider.format_error(Refusal(Reason.FAILED, message), reply)


def _preference_override(
    operation: Operation, request: Request, salt: bytes, *, mends: bool
) -> tuple[Response | None, Request]:
    try:
        preference, rest = read_preference(operation, request)
    except ValueError as error:
        return problem(400, "Unusable Preference", str(error)), request
    if preference is None:
        return None, rest
    return _preferred_response(operation, preference, salt, rest.headers.get("accept", ""), mends=mends), rest


def _preferred_response(
    operation: Operation, preference: Preference, salt: bytes, accept: str, *, mends: bool
) -> Response:
    """The documented response that best fits the preferences, or an error that lists the available ones."""
    status = preference.code or _status_of(operation, preference.example)
    documented = operation.response(status)
    unknown = 404 if operation.is_foreign else 400
    if documented is None:
        return problem(unknown, "Undocumented Status", f"The request prefers {_not_documented(operation, status)}.")
    example = preference.example
    if example and example not in documented.examples:
        return problem(unknown, "Undocumented Example", f"{_no_example(operation, status, example)}.")
    key = digest(salt, operation.key.encode(), preference.seed.encode())
    is_dynamic = preference.wants_fabricated and not example
    reply = documented_reply(
        operation, status, key=key, example=example, is_dynamic=is_dynamic,
        accept=accept if operation.is_foreign else None, mends=mends,
    )  # fmt: skip
    assert reply is not None
    took = preference_applied(preference, code=status, example=example, source=reply.source)
    return reply.with_headers(("Preference-Applied", took)) if took else reply


def _status_of(operation: Operation, example: str) -> int:
    """The status that has the example: the success status if several have it, or none."""
    statuses = (operation.success, *operation.statuses) if example else ()
    documented = ((status, operation.response(status)) for status in statuses)
    return next((status for status, each in documented if each and example in each.examples), operation.success)


def _not_documented(operation: Operation, status: int) -> str:
    return f"{status}, which {operation.key} does not document; it documents {', '.join(operation.responses)}"


def _no_example(operation: Operation, status: int, example: str) -> str:
    documented = operation.response(status)
    names = ", ".join(documented.examples) if documented else ""
    return f"{operation.key} has no example {example[:100]!r} for {status}; it has {names or 'none'}"
