"""One request, start to finish."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from mockserver.api.provider import BoundOperation, Call, owner_of_path
from mockserver.engine.overrides import find_override, forced_reply
from mockserver.errors import Reason, Refusal, Violation
from mockserver.http import Request, Response
from mockserver.openapi.requests import ParsedInput, check_reply, is_encoded, parse_input, read_token, takes_form
from mockserver.openapi.responses import canned_reply, documented_reply, pick_status, problem, violations_text
from mockserver.openapi.router import RouteMatch, Router
from mockserver.sandbox.accounts import Account, reserved_status
from mockserver.sandbox.ids import canonical, digest
from mockserver.sandbox.journal import ON_DEMAND
from mockserver.sandbox.manager import SandboxesFull, SandboxManager, shortened_name
from mockserver.sandbox.sandbox import Sandbox
from mockserver.settings.table import Settings
from mockserver.workers import Workers

if TYPE_CHECKING:
    from mockserver.fixtures.scenarios import ScenarioSet

    ReadScenarios = Callable[[], ScenarioSet]

SANDBOX_HEADER = "x-mock-sandbox"
EVICTED_HEADER = "X-Mock-Sandbox-Evicted"
DEFAULT_SANDBOX = "default"
VIOLATIONS_HEADER = "X-Mock-Violations"

MAKE_ROOM = "Delete one (DELETE /__admin/sandboxes/{name}), reset it, or raise --max-sandboxes."
_TITLES = {404: "Not Found", 405: "Method Not Allowed", 413: "Content Too Large", 415: "Unsupported Media Type"}


class Engine:
    """Answers requests. It holds no state of its own; that rests in the sandboxes."""

    def __init__(
        self,
        services: Sequence[BoundOperation],
        sandboxes: SandboxManager,
        settings: Settings,
        scenarios: "ReadScenarios",
    ) -> None:
        """Raises SpecError when two services stand on the same method and path."""
        self.services = tuple(services)
        self.sandboxes = sandboxes
        self.settings = settings
        self._read_scenarios = scenarios
        self.met: dict[tuple[str, int], int] = {}
        """How often each operation (by its key) was answered with each status, in sandboxes that are no more as well.

        Where two threads count the same at once, one of them may be missed, but never that it was met at all.
        """
        self.demanded: dict[tuple[str, int], int] = {}
        """How many of those answers a stub or a fault gave."""
        self.workers = Workers()
        """Where long work is done, and work for a sandbox that is busy; a lane has the name of its sandbox."""
        self.courier: Callable[[Sandbox], None] | None = None
        """Sends what fell due; called within the sandbox's transaction."""
        self.observer: Callable[[Sandbox, str], None] | None = None
        """Called for each exchange with its sandbox and the reason of its refusal; None unless requests are logged."""
        self._by_operation = {service.operation: service for service in services}
        self._router = Router(self._by_operation)
        self._costly = tuple({each.provider.costly for each in services if each.provider and each.provider.costly})
        self._slow = tuple({prefix for each in services if each.provider for prefix in each.provider.slow})

    @cached_property
    def scenarios(self) -> "ScenarioSet":
        """The scenarios that can be applied, read when they are first asked for."""
        return self._read_scenarios()

    def handle(self, request: Request) -> Response:
        """The response to a request. It happens at once: no other request of its sandbox comes between."""
        match, service, refusal = self._route(request)
        token = read_token(request)
        try:
            sandbox = self._sandbox(request, match, token)
        except SandboxesFull as full:
            return _no_room(full)
        with sandbox.transaction:
            now = sandbox.clock.now()
            outcome = None
            try:
                if refusal is not None:
                    raise refusal
                assert service is not None and match is not None
                if sandbox.rules.installed or "prefer" in request.headers or "__" in request.query:
                    outcome = find_override(service, request, sandbox, now, heeds_preference=self.settings.magic)
                    response = outcome.reply or self._answer(service, match, outcome.request, sandbox, now, token)
                else:
                    response = self._answer(service, match, request, sandbox, now, token)
            except Refusal as raised:
                refusal = raised.without_frames()
                response = self._refused(service, request, refusal)
            if self.settings.strict and not (outcome and outcome.is_settled):
                response = self._checked(service, response, refusal)
            if outcome:
                response = outcome.disturbed(response)
                self._count_demanded(service, response)
            response = self._recorded(service, request, sandbox, now, response, refusal)
            if sandbox.outbox is not None:
                self.settle(sandbox)
        return response

    def _count_demanded(self, service: BoundOperation | None, response: Response) -> None:
        if service is not None and response.source in ON_DEMAND:
            met = service.operation.key, response.status
            self.demanded[met] = self.demanded.get(met, 0) + 1

    def refuse(self, request: Request, refusal: Refusal) -> Response:
        """The answer to a request that was turned away before it could be received whole; it is journaled, too."""
        _, service, _ = self._route(request)
        try:
            sandbox = self.open_sandbox(request, read_token(request))
        except SandboxesFull as full:
            return _no_room(full)
        with sandbox.transaction:
            response = self._refused(service, request, refusal)
            return self._recorded(service, request, sandbox, sandbox.clock.now(), response, refusal)

    def _recorded(  # noqa: PLR0917  the hot path
        self,
        service: BoundOperation | None,
        request: Request,
        sandbox: Sandbox,
        now: float,
        response: Response,
        refusal: Refusal | None,
    ) -> Response:
        """The response as it goes out, with the headers that all have; counted, and in the journal."""
        provider = service.provider if service is not None else owner_of_path(request.path, refusal, self._by_operation)
        if provider is not None and provider.dress is not None:
            response = provider.dress(request, sandbox, response, self.settings)
        if sandbox.was_evicted:
            response = response.with_headers(*self.eviction_headers(sandbox))
        met = service.operation.key if service else "", response.status
        self.met[met] = self.met.get(met, 0) + 1
        reason = refusal.reason if refusal and response.status >= 400 else ""
        sandbox.journal.record(now, met[0], request, response, reason, refusal.violations if refusal else ())
        if self.observer is not None:
            self.observer(sandbox, reason)
        if response.status >= 400 or sandbox.journal.waits_end:
            sandbox.journal.note_wait(now, response, sandbox.clock.wall())
        return response

    def settle(self, sandbox: Sandbox) -> None:
        """Have those told whose batches are done by now; called within the sandbox's transaction."""
        if sandbox.outbox is not None and self.courier is not None:
            self.courier(sandbox)

    def is_slow(self, request: Request) -> bool:
        """Whether handling the request may take so long that others should not wait for it."""
        return request.path.startswith(self._slow) or self._is_costly(request)

    def takes_form(self, request: Request) -> bool:
        """Whether the operation reads the request's body as a form; `request` needs no body yet."""
        _, service, _ = self._route(request)
        return service is not None and takes_form(service.operation, request.headers)

    def may_send_form(self, request: Request) -> bool:
        """Whether the form is worth reading: its coding is known, and so is the account that sends it."""
        match, service, _ = self._route(request)
        if match is None or service is None or is_encoded(request.headers):
            return False
        if service.operation.is_open:
            return True
        token = read_token(request)
        try:
            sandbox = self._sandbox(request, match, token)
            self._admit(service, request, sandbox, sandbox.clock.now(), token)
        except (Refusal, SandboxesFull):
            return False
        return True

    def lane(self, request: Request) -> str:
        """The name of the sandbox that the request belongs to; none is made."""
        match, _, _ = self._route(request)
        key = match.arguments.get(match.operation.sandbox_parameter) if match else None
        return self.sandboxes.name_of(key) or sandbox_name(request, read_token(request))

    def _is_costly(self, request: Request) -> bool:
        for is_costly in self._costly:  # noqa: SIM110  `any` takes twice as long, and this is asked of every request
            if is_costly(request):
                return True
        return False

    def serves(self, path: str) -> bool:
        """Whether an operation has this path, whatever its method."""
        return self._router.knows(path)

    def _route(self, request: Request) -> tuple[RouteMatch | None, BoundOperation | None, Refusal | None]:
        try:
            match = self._router.match(request.method, request.path)
        except Refusal as refusal:
            return None, None, refusal.without_frames()
        return match, self._by_operation[match.operation], None

    def open_sandbox(self, request: Request, token: str | None) -> Sandbox:
        """The world the request names; raises SandboxesFull."""
        return self.sandboxes.open(sandbox_name(request, token), by_token=is_named_by_token(request, token))

    def eviction_headers(self, sandbox: Sandbox) -> tuple[tuple[str, str], ...]:
        """What tells a client that what it once had in this sandbox was forgotten; it is told once."""
        was_evicted, sandbox.was_evicted = sandbox.was_evicted, False
        return ((EVICTED_HEADER, "1"),) if was_evicted and self.settings.debug_headers else ()

    def find_account(self, sandbox: Sandbox, token: str) -> Account | None:
        """The token's account in the sandbox; None when the token is good for no provider."""
        return sandbox.accounts.find(token, sandbox.clock.now(), magic=self.settings.magic)

    def _sandbox(self, request: Request, match: RouteMatch | None, token: str | None) -> Sandbox:
        """The world the path names by its key, as a presigned URL does; else the one the request names."""
        if match is not None and match.operation.sandbox_parameter:
            found = self.sandboxes.find(match.arguments[match.operation.sandbox_parameter])
            if found is not None:
                return found
        return self.open_sandbox(request, token)

    def _answer(  # noqa: PLR0917  the hot path
        self,
        service: BoundOperation,
        match: RouteMatch,
        request: Request,
        sandbox: Sandbox,
        now: float,
        token: str | None,
    ) -> Response:
        operation = service.operation
        account = None
        if not operation.is_open:
            provider = service.provider.name if service.provider else ""
            status = reserved_status(token) if token and self.settings.magic else None
            if token and status and sandbox.accounts.find(token, now, magic=True, provider=provider):
                return forced_reply(operation, status, key=sandbox.ids.salt)
            account = self._admit(service, request, sandbox, now, token)
            if service.provider is not None and service.provider.guard is not None:
                service.provider.guard(operation, sandbox, account, now, self.settings)
        supplied = parse_input(operation, request, match.arguments, strict=self.settings.strict)
        arguments, body, canonical_body, violations = supplied
        call = Call(operation, request, sandbox, now, account, arguments, body, service.world, canonical_body)
        violations = violations and _relevant_violations(service, supplied)
        if service.check is not None:
            violations = [*violations, *service.check(_with_valid_fields(call, supplied) if violations else call)]
        if violations:
            raise Refusal(Reason.INVALID, violations=violations)
        return service.handler(call) if service.handler else _canned(call)

    def _admit(
        self, service: BoundOperation, request: Request, sandbox: Sandbox, now: float, token: str | None
    ) -> Account:
        """The account that asks. Checked in the order header, token, credits."""
        where = ("header", "Authorization")
        if token is None:
            raise Refusal(
                Reason.UNAUTHENTICATED, violations=[Violation(where, "required", "the Authorization header is missing")]
            )
        name = service.provider.name if service.provider else ""
        account = sandbox.accounts.find(token, now, magic=self.settings.magic, provider=name) if token else None
        if account is None or account.is_revoked(now):
            message = (
                "the token is revoked, or not among the accounts"
                if token
                else "the Authorization header holds no bearer token"
            )
            raise Refusal(Reason.FORBIDDEN, violations=[Violation(where, "credential", message)])
        if self._needs_credits(service, request, sandbox) and not sandbox.accounts.can_pay(account, now):
            raise Refusal(Reason.NO_CREDITS, violations=[Violation(where, "credits", "the account's balance is 0")])
        return account

    def _needs_credits(self, service: BoundOperation, request: Request, sandbox: Sandbox) -> bool:
        """Whether a balance of 0 refuses the request. Without a provider, wherever the document has a 402."""
        if 402 not in service.operation.statuses:
            return False
        charges = service.provider.charges if service.provider else None
        return charges is None or charges(service.operation, request, sandbox, self.settings)

    def _refused(self, service: BoundOperation | None, request: Request, refusal: Refusal) -> Response:
        if refusal.reason is Reason.METHOD_NOT_ALLOWED and request.method == "OPTIONS":
            return Response(204, headers=refusal.headers)
        operation, provider = (service.operation, service.provider) if service else (None, None)
        status = refusal.status or pick_status(operation, refusal.reason, provider.statuses if provider else {})
        reply = documented_reply(operation, status, key=b"") if operation else None
        if reply is None:
            host = owner_of_path(request.path, refusal, self._by_operation)
            reply = host.lost(request, refusal, status) if host and host.lost else _problem_for(refusal, status)
        if provider is not None and provider.word is not None:
            reply = provider.word(refusal, reply)
        return reply.with_headers(*refusal.headers, *self._violations_header(refusal.violations))

    def _violations_header(self, violations: Sequence[Violation]) -> tuple[tuple[str, str], ...]:
        if not (violations and self.settings.debug_headers):
            return ()
        return ((VIOLATIONS_HEADER, violations_text(violations)),)

    def _checked(self, service: BoundOperation | None, response: Response, refusal: Refusal | None) -> Response:
        """The response, or a loud 500 when the document does not allow it. Some refusals it has no answer to."""
        is_undocumented = refusal is not None and service and service.operation.response(response.status) is None
        if service is not None and not is_undocumented and response.media_type != "application/problem+json":
            broken = check_reply(service.operation, response)
            if broken:
                detail = f"{service.operation.key} may not be answered like this: {violations_text(broken)}"
                return problem(500, "Undocumented Reply", detail)
        return response


def sandbox_name(request: Request, token: str | None) -> str:
    """The name of the world the request means: its header, else its bearer token, else `default`."""
    return shortened_name(request.headers.get(SANDBOX_HEADER) or token or DEFAULT_SANDBOX)


def is_named_by_token(request: Request, token: str | None) -> bool:
    """Whether the name of the request's sandbox is a token."""
    return bool(token) and not request.headers.get(SANDBOX_HEADER)


def _no_room(full: SandboxesFull) -> Response:
    return problem(503, "Too Many Sandboxes", f"No sandbox can be made: {full}. {MAKE_ROOM}")


def _problem_for(refusal: Refusal, status: int) -> Response:
    detail = refusal.detail or "; ".join(each.message for each in refusal.violations[:10]) or str(refusal)
    return problem(status, _TITLES.get(status, "Refused"), detail)


def _relevant_violations(service: BoundOperation, supplied: ParsedInput) -> list[Violation]:
    """The violations that count: beside an argument that stands alone, none does but its own."""
    alone = service.provider.alone.get(service.operation.key) if service.provider else None
    if alone is None or alone not in supplied.arguments:
        return supplied.violations
    return [each for each in supplied.violations if each.location[:2] == ("query", alone)]


def _with_valid_fields(call: Call, supplied: ParsedInput) -> Call:
    """The call without the fields that already broke the document, so that a check can judge the others."""
    broken = frozenset(str(violation.location[1]) for violation in supplied.violations if len(violation.location) > 1)
    arguments = {name: value for name, value in supplied.arguments.items() if name not in broken}
    body = supplied.body
    if isinstance(body, dict):
        body = {name: value for name, value in body.items() if name not in broken}
    return call._replace(arguments=arguments, body=body, broken=broken)


def _canned(call: Call) -> Response:
    """An answer without code: a fixture's, else the document's example, else one fabricated from its schema."""
    canned = call.world.fixtures.response(call.operation.key, call.arguments, call.body)
    if canned is not None:
        return canned_reply(call.operation, canned.entry, canned.source)
    key = digest(call.sandbox.ids.salt, call.operation.key.encode(), _request_key(call))
    if call.operation.method == "POST":
        key = call.sandbox.ids.next(call.operation.key, _request_key(call))
    return documented_reply(call.operation, call.operation.success, key=key) or Response(204, source="generated")


def _request_key(call: Call) -> bytes:
    body = call.body.hex() if isinstance(call.body, bytes) else call.body
    return canonical([call.arguments, body])
