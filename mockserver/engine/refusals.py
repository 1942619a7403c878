"""How rejected requests are answered: status, challenge, and a problem document where nothing is documented."""

from mockserver.api.call import Call
from mockserver.api.provider import BoundOperation, Provider
from mockserver.errors import NO_STORAGE, Reason, Refusal, StoreUnavailable, Violation
from mockserver.http import Request, Response
from mockserver.openapi.operations import Operation
from mockserver.openapi.requests import ParsedInput
from mockserver.openapi.responses import pick_status, problem
from mockserver.openapi.security import format_challenges, missing_scheme
from mockserver.sandbox.manager import SandboxesFull

CHALLENGE = "www-authenticate"
MAKE_ROOM = "Delete one (DELETE /__admin/sandboxes/{name}), reset it, or raise --max-sandboxes."
_PLACES = {"header": "header", "query": "argument", "cookie": "cookie"}
_TITLES = {404: "Not Found", 405: "Method Not Allowed", 413: "Content Too Large", 415: "Unsupported Media Type"}


def no_room(full: SandboxesFull) -> Response:
    """The response when the request's sandbox cannot be made."""
    return problem(503, "Too Many Sandboxes", f"No sandbox can be made: {full}. {MAKE_ROOM}")


def problem_for(refusal: Refusal, status: int) -> Response:
    detail = refusal.detail or "; ".join(each.message for each in refusal.violations[:10]) or str(refusal)
    return problem(status, _TITLES.get(status, "Refused"), detail)


def status_of(operation: Operation | None, provider: Provider | None, reason: Reason) -> int:
    """The status of a rejection. Without a provider, a bad credential is 403 only where the document has that."""
    if provider is None and operation is not None and reason is Reason.FORBIDDEN and 403 not in operation.statuses:
        return 401
    return pick_status(operation, reason, provider.statuses if provider else {})


def with_challenge(reply: Response, operation: Operation, provider: Provider | None, refusal: Refusal) -> Response:
    """The 401 with what HTTP demands of one, WWW-Authenticate: a provider has it where its document does."""
    stated = {name.lower(): value for name, value in reply.headers}
    if not any(operation.security) or stated.get(CHALLENGE) or (provider is not None and CHALLENGE not in stated):
        return reply
    headers = tuple(each for each in reply.headers if each[0].lower() != CHALLENGE)
    challenge = format_challenges(operation.security, is_invalid=refusal.reason is Reason.FORBIDDEN)
    return reply._replace(headers=(*headers, ("WWW-Authenticate", challenge)))


def store_refusal(problem: StoreUnavailable) -> Refusal:
    """The rejection of a request whose sandbox cannot be read or changed."""
    if problem.is_full:
        return Refusal(Reason.UNAVAILABLE, f"The store takes nothing more: {problem}.", status=NO_STORAGE)
    retry = (("Retry-After", "1"),)
    return Refusal(Reason.UNAVAILABLE, f"The store does not work: {problem}.", status=503, headers=retry)


def bad_credential(operation: Operation, request: Request, token: str | None) -> Refusal:
    """The rejection of a token that is missing (None), empty, or not accepted."""
    scheme = missing_scheme(operation.security, request)
    place = f"the {scheme.name} {_PLACES[scheme.location]}"
    if token is None:
        violation = Violation(scheme.place, "required", f"{place} is missing")
        return Refusal(Reason.UNAUTHENTICATED, violations=[violation])
    message = "the token is revoked, or not among the accounts" if token else f"{place} holds no {scheme.noun}"
    return Refusal(Reason.FORBIDDEN, violations=[Violation(scheme.place, "credential", message)])


def relevant_violations(service: BoundOperation, supplied: ParsedInput) -> list[Violation]:
    """The violations to report. If an exclusive parameter is given, only its own."""
    alone = service.provider.exclusive_parameters.get(service.operation.key) if service.provider else None
    if alone is None or alone not in supplied.arguments:
        return supplied.violations
    return [each for each in supplied.violations if each.location[:2] == ("query", alone)]


def with_valid_fields(call: Call, supplied: ParsedInput) -> Call:
    """The call without its invalid fields, so that a check can validate the others."""
    broken = frozenset(str(violation.location[1]) for violation in supplied.violations if len(violation.location) > 1)
    arguments = {name: value for name, value in supplied.arguments.items() if name not in broken}
    body = supplied.body
    if isinstance(body, dict):
        body = {name: value for name, value in body.items() if name not in broken}
    return call._replace(arguments=arguments, body=body, broken=broken)
