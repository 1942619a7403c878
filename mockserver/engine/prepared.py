"""What a request says of itself: its operation, credential, sandbox and valid JSON body.

None of it depends on what a sandbox holds, so it is found out for many requests before the first of them is answered.
"""

from collections.abc import Mapping

from mockserver.api.provider import BoundOperation
from mockserver.errors import Refusal
from mockserver.http import Request
from mockserver.openapi.operations import Content, Operation
from mockserver.openapi.requests import JsonBody, early_contents, parse_valid_json
from mockserver.openapi.router import RouteMatch, Router
from mockserver.openapi.security import BEARER, read_credential, read_token
from mockserver.records import Record
from mockserver.sandbox.manager import shortened_name

SANDBOX_HEADER = "x-mock-sandbox"
DEFAULT_SANDBOX = "default"


class OperationFacts(Record, frozen=True, gc=False):
    """What the engine asks of an operation at each request, found out once."""

    is_open: bool
    """Whether it can be called without a credential."""
    takes_credential: bool
    """Whether a credential is read, needed or not."""
    takes_token_only: bool
    """Whether its only credential is a bearer token."""
    needs_credits: bool
    """Whether it documents a 402."""
    has_parameters: bool
    sandbox_parameter: str
    """The path parameter with the sandbox's key; empty without one."""
    early_contents: Mapping[str, Content]
    """The contents of JSON bodies that are parsed before the sandbox is opened, by media type."""

    @classmethod
    def of(cls, operation: Operation) -> "OperationFacts":
        """The facts of an operation."""
        return cls(
            operation.is_open,
            operation.takes_credential,
            operation.takes_token_only,
            402 in operation.statuses,
            bool(operation.parameters),
            operation.sandbox_parameter,
            early_contents(operation),
        )


class PreparedRequest(Record, frozen=True, gc=False):
    """See the module."""

    match: RouteMatch | None
    """None for a request without an operation."""
    service: BoundOperation | None
    facts: OperationFacts | None
    """The facts of its operation; None without one."""
    refusal: Refusal | None
    """Why there is no operation; None if there is one."""
    token: str | None
    """The credential that names account and sandbox: a token or a key, as the document of the operation says."""
    sandbox: str
    """The name of its sandbox, if the path does not name one by its key."""
    by_token: bool
    """Whether that name is the token."""
    body: JsonBody | None = None
    """Its valid JSON body; None for any other, and for one that was not parsed."""

    def without_body(self) -> "PreparedRequest":
        """The same without its parsed body."""
        return self if self.body is None else self._replace(body=None)


class Preparation:
    """Prepares requests to these operations."""

    def __init__(self, services: Mapping[Operation, BoundOperation]) -> None:
        """Raises SpecError if two operations have the same method and path."""
        self.router = Router(services)
        schemes = {scheme for operation in services for requirement in operation.security for scheme in requirement}
        self.key_schemes = tuple(sorted(schemes - {BEARER}))
        """All schemes but bearer tokens."""
        self._services = services
        self._facts: dict[Operation, OperationFacts] = {}

    def prepare(self, request: Request, *, parses: bool) -> PreparedRequest:
        """What the request says of itself, with its parsed body only if it `parses`."""
        match: RouteMatch | None = None
        service = facts = refusal = body = None
        try:
            match = self.router.match(request.method, request.path)
        except Refusal as refused:
            refusal = refused.without_frames()
            token = self._read_any(request)
        else:
            operation = match.operation
            service = self._services[operation]
            facts = self._facts.get(operation) or self._find_facts(operation)
            token = read_token(request) if facts.takes_token_only else self._read_credential(operation, request)
            if parses and request.body:
                content = facts.early_contents.get(request.headers.get("content-type", ""))
                if content is not None:
                    body = parse_valid_json(content, request)
        name, by_token = sandbox_name(request, token)
        return PreparedRequest(match, service, facts, refusal, token, name, by_token, body)

    def _find_facts(self, operation: Operation) -> OperationFacts:
        facts = self._facts[operation] = OperationFacts.of(operation)
        return facts

    def _read_credential(self, operation: Operation, request: Request) -> str | None:
        return read_credential(operation.security, request) if operation.takes_credential else self._read_any(request)

    def _read_any(self, request: Request) -> str | None:
        """A credential that any operation knows: it names the sandbox where no operation asks for one."""
        if not self.key_schemes:
            return read_token(request)
        return read_token(request) or next(filter(None, (scheme.read(request) for scheme in self.key_schemes)), None)


def sandbox_name(request: Request, token: str | None) -> tuple[str, bool]:
    """The request's sandbox (its `X-Mock-Sandbox`, else its token, else `default`), and whether that is its token."""
    named = request.headers.get(SANDBOX_HEADER)
    return shortened_name(named or token or DEFAULT_SANDBOX), not named and bool(token)
