"""Answers one request, start to finish."""

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from mockserver.api.call import Call
from mockserver.api.provider import BoundOperation, owner_of_path
from mockserver.engine.hits import count_hit
from mockserver.engine.prepared import Preparation, PreparedRequest, sandbox_name
from mockserver.engine.refusals import (
    bad_credential,
    no_room,
    problem_for,
    relevant_violations,
    status_of,
    store_refusal,
    with_challenge,
    with_valid_fields,
)
from mockserver.errors import NeedsThread, Reason, Refusal, StoreUnavailable, Violation
from mockserver.http import Request, Response
from mockserver.lazy import lazy_module
from mockserver.openapi.requests import check_reply, is_encoded, parse_input, takes_form
from mockserver.openapi.responses import VIOLATIONS_HEADER, documented_reply, problem, violations_text
from mockserver.openapi.security import missing_scheme
from mockserver.redaction import declare_secrets
from mockserver.sandbox.accounts import RESERVED_STATUS, Account, reserved_status
from mockserver.sandbox.journal import ON_DEMAND
from mockserver.sandbox.manager import SandboxesFull, SandboxManager
from mockserver.sandbox.sandbox import Sandbox
from mockserver.settings.table import Settings
from mockserver.workers import Workers

if TYPE_CHECKING:
    from mockserver.engine import canned, overrides, recorded
    from mockserver.fixtures.scenarios import ScenarioSet
else:
    canned = lazy_module("mockserver.engine.canned")
    overrides = lazy_module("mockserver.engine.overrides")
    recorded = lazy_module("mockserver.engine.recorded")

EVICTED_HEADER = "X-Mock-Sandbox-Evicted"

FOREIGN_BYTES, LISTED_AT_ONCE = 8192, 100
"""If other documents are served, a larger body or a sandbox with more items needs a thread."""


class Engine:
    """Answers requests. Stateless: all state is in the sandboxes."""

    def __init__(
        self,
        services: Sequence[BoundOperation],
        sandboxes: SandboxManager,
        settings: Settings,
        scenarios: "Callable[[], ScenarioSet]",
    ) -> None:
        """Raises SpecError if two operations have the same method and path."""
        self.services = tuple(services)
        self.sandboxes = sandboxes
        self.settings = settings
        self._read_scenarios = scenarios
        specs = {id(service.world.spec): service.world.spec for service in services}
        self.files: tuple[Path, ...] = ()
        """The files of the documents that settings name."""
        self.webhooks = tuple(each for spec in specs.values() for each in spec.webhooks)
        """Those of all served documents."""
        self.met: dict[tuple[str, int], int] = {}
        """Responses by operation key and status. Two threads may lose one of several counts, but never the only one."""
        self.demanded: dict[tuple[str, int], int] = {}
        """How many of those responses came from a stub or a fault."""
        self.workers = Workers()
        """Worker threads for long work and for requests whose sandbox is busy. A lane has the name of its sandbox."""
        self.dispatcher: Callable[[Sandbox], None] | None = None
        """Sends callbacks that are due. Called within the sandbox's transaction."""
        self.observer: Callable[[Sandbox, str, int, str, float], None] | None = None
        """Called for each exchange with sandbox, operation, status, reason and seconds, if it is logged or measured."""
        self._by_operation = {service.operation: service for service in services}
        self._is_shared = sandboxes.is_shared
        self._preparation = Preparation(self._by_operation)
        declare_secrets(scheme.name for scheme in self._preparation.key_schemes)
        self._has_foreign = any(each.operation.is_foreign for each in services)
        self._costly = tuple({each.provider.costly for each in services if each.provider and each.provider.costly})
        self._slow = tuple({prefix for each in services if each.provider for prefix in each.provider.threaded_prefixes})

    @cached_property
    def scenarios(self) -> "ScenarioSet":
        """The scenarios, read at the first access."""
        return self._read_scenarios()

    def prepare(self, request: Request, *, parses: bool = True) -> PreparedRequest:
        """What the request says of itself, for `handle`. Unless it `parses`, the body is left to that."""
        return self._preparation.prepare(request, parses=parses)

    def handle(self, request: Request, prepared: PreparedRequest | None = None) -> Response:
        """Answers one request inside its sandbox's transaction, so requests to one sandbox are serialised.

        Order: route, sandbox, stubs and Prefer, credential, credits, input, handler, response check, faults, journal. A
        Refusal becomes the documented error; other exceptions propagate. `prepared` is what `prepare` has returned.
        """
        started = perf_counter()
        if prepared is None:
            prepared = self.prepare(request, parses=False)
        service, refusal = prepared.service, prepared.refusal
        try:
            sandbox = self._sandbox(prepared)
        except SandboxesFull as full:
            return no_room(full)
        with sandbox.transaction:
            now = sandbox.clock.now()
            outcome = call = response = None
            try:
                if service is None:
                    assert refusal is not None
                    raise refusal
                asked = request
                if sandbox.record.rules or "prefer" in request.headers or "__" in request.query:
                    outcome = self._override(service, prepared, request, sandbox, now)
                    response, asked = outcome.reply, outcome.request
                    prepared = prepared.without_body()  # a stub may change the request
                if response is None and service.replay is not None and prepared.match is not None:
                    response = service.replay(service, prepared.match, asked, sandbox, now)
                if response is None:
                    found = self._valid_call(service, prepared, asked, sandbox, now)
                    if isinstance(found, Response):
                        response = found
                    else:
                        call, handler = found, service.handler or canned.response_without_handler
                        response = handler(call)
            except Refusal as raised:
                refusal = raised.without_frames()
                response = self._refused(service, request, refusal)
            if self.settings.strict and not (outcome and outcome.is_settled):
                response = self._checked(service, response, refusal)
            if outcome:
                response = outcome.disturbed(response)
                self._count_demanded(service, sandbox, response)
            response = self._recorded(service, request, sandbox, now, call, response, refusal, started)
            if sandbox.outbox is not None:
                self.settle(sandbox)
        return response

    def _override(
        self, service: BoundOperation, prepared: PreparedRequest, request: Request, sandbox: Sandbox, now: float
    ) -> "overrides.Override":
        """What the request's preferences and the sandbox's rules select; raises Refusal."""
        settings = self.settings
        outcome = overrides.find_override(
            service, request, sandbox, now, heeds_preference=settings.magic, mends=not settings.strict
        )
        if outcome.is_preferred_success and service.operation.is_foreign:  # only for valid requests
            self._valid_call(service, prepared.without_body(), outcome.request, sandbox, now)
        return outcome

    def _count_demanded(self, service: BoundOperation | None, sandbox: Sandbox, response: Response) -> None:
        if service is not None and response.source in ON_DEMAND:
            sandbox.after_commit(partial(count_hit, self.demanded, service.operation.key, response.status))

    def refuse(self, request: Request, refusal: Refusal) -> Response:
        """The response to a request that was rejected before it was read completely, e.g. 413. It is in the journal."""
        started = perf_counter()
        prepared = self.prepare(request, parses=False)
        service = prepared.service
        try:
            sandbox = self.sandboxes.open(prepared.sandbox, by_token=prepared.by_token)
        except SandboxesFull as full:
            return no_room(full)
        with sandbox.transaction:
            response = self._refused(service, request, refusal)
            return self._recorded(service, request, sandbox, sandbox.clock.now(), None, response, refusal, started)

    def unavailable(self, request: Request, problem: StoreUnavailable) -> Response:
        """The response while the store does not work. It is in no journal."""
        return self._refused(self.prepare(request, parses=False).service, request, store_refusal(problem))

    def _recorded(  # noqa: PLR0917  the hot path
        self,
        service: BoundOperation | None,
        request: Request,
        sandbox: Sandbox,
        now: float,
        call: Call | None,
        response: Response,
        refusal: Refusal | None,
        started: float,
    ) -> Response:
        """The response with the common headers; it is counted and recorded in the journal."""
        if service is not None:
            key, provider = service.operation.key, service.provider
        else:
            key, provider = "", owner_of_path(request.path, refusal, self._by_operation)
        add_headers = provider.add_headers if provider is not None else None
        if add_headers is not None:
            response = add_headers(request, sandbox, response, self.settings, call)
        if sandbox.was_evicted:
            response = response.with_headers(*self.eviction_headers(sandbox))
        status, journal = response.status, sandbox.journal
        if self._is_shared:  # the transaction may run again
            sandbox.after_commit(partial(count_hit, self.met, key, status))
        else:
            count_hit(self.met, key, status)
        reason = refusal.reason if refusal is not None and status >= 400 else ""
        violations = refusal.violations if refusal is not None else ()
        seconds = perf_counter() - started
        journal.record(now, key, request, response, reason, violations, seconds)
        if self.observer is not None:
            self.observer(sandbox, key, status, reason, seconds)
        if status >= 400 or journal.waits_end:
            journal.note_wait(now, response, sandbox.clock.wall())
        return response

    def settle(self, sandbox: Sandbox) -> None:
        """Sends the callbacks of batches that are done by now. Called within the sandbox's transaction."""
        if sandbox.outbox is not None and self.dispatcher is not None:
            self.dispatcher(sandbox)

    def is_slow(self, request: Request) -> bool:
        """Whether the request may take so long that it needs a worker thread."""
        if self._has_foreign and (len(request.body) > FOREIGN_BYTES or self._holds_many(request)):
            return True
        if request.path.startswith(self._slow):
            return True
        for is_costly in self._costly:  # noqa: SIM110  `any` takes twice as long, and this is asked of every request
            if is_costly(request):
                return True
        return False

    def _holds_many(self, request: Request) -> bool:
        """Whether listing the sandbox's items may take long."""
        sandbox = self.sandboxes.named(self.lane(request)) if self.settings.stateful else None
        return sandbox is not None and sandbox.largest_collection > LISTED_AT_ONCE

    def takes_form(self, request: Request) -> bool:
        """Whether the operation takes a multipart form. Called before the body of `request` is read."""
        service = self.prepare(request, parses=False).service
        return service is not None and takes_form(service.operation, request.headers)

    def may_send_form(self, request: Request) -> bool:
        """Whether the form should be read: its content coding is supported, and its credential is valid."""
        prepared = self.prepare(request, parses=False)
        service = prepared.service
        if service is None or is_encoded(request.headers):
            return False
        if service.operation.is_open:
            return True
        try:
            sandbox = self._sandbox(prepared)
            self._admit(service, request, sandbox, sandbox.clock.now(), prepared.token)
        except (Refusal, SandboxesFull):
            return False
        except NeedsThread:  # its balance takes long to compute: the form is read, and then it is asked in a thread
            return True
        return True

    def lane(self, request: Request) -> str:
        """The name of the request's sandbox, which is not created."""
        prepared = self.prepare(request, parses=False)
        match, facts = prepared.match, prepared.facts
        key = match.arguments.get(facts.sandbox_parameter) if match and facts else None
        return self.sandboxes.name_of(key) or prepared.sandbox

    def serves(self, path: str) -> bool:
        """Whether an operation has this path, with any method."""
        return self._preparation.router.knows(path)

    def open_sandbox(self, request: Request, token: str | None) -> Sandbox:
        """The sandbox that the request names; raises SandboxesFull."""
        name, by_token = sandbox_name(request, token)
        return self.sandboxes.open(name, by_token=by_token)

    def eviction_headers(self, sandbox: Sandbox) -> tuple[tuple[str, str], ...]:
        """Headers that report the eviction of an earlier sandbox of this name. Sent once."""
        sandbox.after_commit(partial(setattr, sandbox, "was_evicted", False))
        return ((EVICTED_HEADER, "1"),) if self.settings.debug_headers else ()

    def find_account(self, sandbox: Sandbox, token: str) -> Account | None:
        """The token's account in the sandbox; None if no provider accepts the token."""
        return sandbox.accounts.find(token, sandbox.clock.now(), magic=self.settings.magic)

    def _sandbox(self, prepared: PreparedRequest) -> Sandbox:
        """The sandbox whose key is in the path (presigned URLs), else the one that the request names."""
        match, facts = prepared.match, prepared.facts
        if match is not None and facts is not None and facts.sandbox_parameter:
            found = self.sandboxes.find(match.arguments[facts.sandbox_parameter])
            if found is not None:
                return found
        return self.sandboxes.open(prepared.sandbox, by_token=prepared.by_token)

    def _valid_call(
        self, service: BoundOperation, prepared: PreparedRequest, request: Request, sandbox: Sandbox, now: float
    ) -> Call | Response:
        """The call of a valid request, or the response that its token selects; raises Refusal."""
        operation, provider, token = service.operation, service.provider, prepared.token
        match, facts, body, strict = prepared.match, prepared.facts, prepared.body, self.settings.strict
        assert match is not None and facts is not None
        account = None
        if not facts.is_open or (token is not None and facts.takes_credential):
            if token and token.startswith(RESERVED_STATUS) and self.settings.magic:
                status, name = reserved_status(token), provider.name if provider else ""
                if status and sandbox.accounts.find(token, now, magic=True, provider=name):
                    return overrides.forced_reply(operation, status, key=sandbox.ids.salt)
            account = self._admit(service, request, sandbox, now, token)
            admission = provider.admission if provider is not None else None
            if admission is not None:
                admission(operation, sandbox, account, now, self.settings)
        violations: list[Violation] = []
        if body is not None and not (facts.has_parameters or (strict and request.query)):
            call = Call(operation, request, sandbox, now, account, {}, body.value, service.world, body.canonical)
        else:
            found = parse_input(operation, request, match.arguments, strict=strict, body=body)
            call = Call(
                operation, request, sandbox, now, account, found.arguments, found.body, service.world, found.canonical
            )
            if found.violations:
                violations = relevant_violations(service, found)
        if service.check is not None:
            violations = [*violations, *service.check(with_valid_fields(call, found) if violations else call)]
        if violations:
            raise Refusal(Reason.INVALID, violations=violations)
        return call

    def _admit(
        self, service: BoundOperation, request: Request, sandbox: Sandbox, now: float, token: str | None
    ) -> Account:
        """The account of the request. Checked in this order: header, token, credits."""
        provider = service.provider
        name = provider.name if provider is not None else ""
        account = sandbox.accounts.find(token, now, magic=self.settings.magic, provider=name) if token else None
        if account is None or account.is_revoked(now):
            raise bad_credential(service.operation, request, token)
        if 402 in service.operation.statuses:
            # Without a provider, a balance of 0 rejects the request wherever the document has a 402.
            charges = provider.charges if provider is not None else None
            needs_credits = charges is None or charges(service.operation, request, sandbox, self.settings)
            if needs_credits and not sandbox.accounts.can_pay(account, now):
                where = missing_scheme(service.operation.security, request).place
                raise Refusal(Reason.NO_CREDITS, violations=[Violation(where, "credits", "the account's balance is 0")])
        return account

    def _refused(self, service: BoundOperation | None, request: Request, refusal: Refusal) -> Response:
        if service is not None and service.replay is not None and isinstance(refusal, recorded.NotRecorded):
            return refusal.response
        if refusal.reason is Reason.METHOD_NOT_ALLOWED and request.method == "OPTIONS":
            return Response(204, headers=refusal.headers)
        operation, provider = (service.operation, service.provider) if service else (None, None)
        status = refusal.status or status_of(operation, provider, refusal.reason)
        reply = documented_reply(operation, status, key=b"") if operation else None
        if reply is None:
            host = owner_of_path(request.path, refusal, self._by_operation)
            reply = (
                host.unknown_path_response(request, refusal, status)
                if host and host.unknown_path_response
                else problem_for(refusal, status)
            )
        if provider is not None and provider.format_error is not None:
            reply = provider.format_error(refusal, reply)
        if status == 401 and operation is not None:
            reply = with_challenge(reply, operation, provider, refusal)
        return reply.with_headers(*refusal.headers, *self._violations_header(refusal.violations))

    def _violations_header(self, violations: Sequence[Violation]) -> tuple[tuple[str, str], ...]:
        if not (violations and self.settings.debug_headers):
            return ()
        return ((VIOLATIONS_HEADER, violations_text(violations)),)

    def _checked(self, service: BoundOperation | None, response: Response, refusal: Refusal | None) -> Response:
        """The response, or a 500 if the document does not allow it. Rejections that the document does not define are
        exempt.
        """
        is_undocumented = refusal is not None and service and service.operation.response(response.status) is None
        if service is not None and not is_undocumented and response.media_type != "application/problem+json":
            broken = check_reply(service.operation, response)
            if broken:
                detail = f"{service.operation.key} may not be answered like this: {violations_text(broken)}"
                said = dict(response.headers).get(VIOLATIONS_HEADER)
                headers = self._violations_header(broken) or (((VIOLATIONS_HEADER, said),) if said else ())
                return problem(500, "Undocumented Reply", detail).with_headers(*headers)
        return response
