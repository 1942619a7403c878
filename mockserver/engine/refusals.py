"""How rejected requests are answered: status, challenge, and a problem document where nothing is documented."""

from mockserver.api.provider import Provider
from mockserver.errors import Reason, Refusal
from mockserver.http import Response
from mockserver.openapi.operations import Operation
from mockserver.openapi.responses import pick_status, problem
from mockserver.openapi.security import format_challenges
from mockserver.sandbox.manager import SandboxesFull

CHALLENGE = "www-authenticate"
MAKE_ROOM = "Delete one (DELETE /__admin/sandboxes/{name}), reset it, or raise --max-sandboxes."
_TITLES = {404: "Not Found", 405: "Method Not Allowed", 413: "Content Too Large", 415: "Unsupported Media Type"}


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


def no_room(full: SandboxesFull) -> Response:
    return problem(503, "Too Many Sandboxes", f"No sandbox can be made: {full}. {MAKE_ROOM}")
