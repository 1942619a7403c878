"""How an API is declared, and what its handlers are given."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any, NamedTuple

import orjson

from mockserver.errors import Reason, Refusal, Violation
from mockserver.fixtures.files import Fixtures
from mockserver.http import Request, Response
from mockserver.openapi.document import JSON, OpenApiDocument, Operation
from mockserver.openapi.replacement import Needs
from mockserver.openapi.router import RouteNotFound
from mockserver.openapi.schema import Schema
from mockserver.sandbox.accounts import Account
from mockserver.sandbox.batches import Batch, Progression
from mockserver.sandbox.callbacks import Callback
from mockserver.sandbox.sandbox import Sandbox
from mockserver.sandbox.snapshot.checks import Inconsistency
from mockserver.settings.table import Settings

MAX_REJECTED_EXAMPLES = 3
MAX_EXAMPLE = 300
"""The most characters of an example of a rejected item."""


class ApiContext(NamedTuple):
    """What is the same for all requests: the document, the provider's fixtures, the settings."""

    spec: OpenApiDocument
    """The document of the operation."""
    fixtures: Fixtures
    settings: Settings
    served: "Served | None" = None
    """The other documents that are served; None if there are none."""

    def operation(self, name: str) -> Operation | None:
        """The served operation with that operationId or `POST /path`, of any document; None if there is none."""
        return (self.served.operations if self.served else self.spec.by_key).get(name)

    def component(self, name: str) -> Schema:
        """The schema component with that name for a handler: the document's, else the bundled one."""
        return self.served.needs.component(self.spec, name) if self.served else self.spec.component(name)

    def bundled_component(self, name: str) -> Schema:
        """The bundled schema component with that name."""
        return (self.served.bundled if self.served else self.spec).component(name)

    def changed_defaults(self, name: str) -> Mapping[str, Any]:
        """The operation's defaults that differ from those of its handler."""
        return self.served.defaults.get(name, {}) if self.served else {}


class Served(NamedTuple):
    """All documents that are served, and the unchanged bundled one."""

    bundled: OpenApiDocument
    needs: Needs
    operations: Mapping[str, Operation]
    """By operationId, and by method and path. Of two with one operationId the first counts."""
    defaults: Mapping[str, Mapping[str, Any]]
    """By operationId: defaults that differ from those of the handlers."""


class Call(NamedTuple):
    """A request that was routed, authorised and validated, with its sandbox."""

    operation: Operation
    request: Request
    sandbox: Sandbox
    now: float
    """Sandbox time, in Unix seconds; the same for the whole request."""
    account: Account | None
    """The account of the credential; None if the operation needs none."""
    arguments: Mapping[str, Any]
    """Path, query, header and cookie arguments by name, typed as documented."""
    body: Any
    """The body: JSON as Python values, anything else as bytes."""
    world: ApiContext
    canonical: bytes = b""
    """The JSON body in canonical form (sorted keys, no white space); empty for any other body."""
    broken: frozenset[str] = frozenset()
    """Invalid fields of the request, which are left out of `arguments` and `body`. Always empty in a handler; only a
    check sees a call with invalid fields.
    """

    @property
    def asker(self) -> Account:
        """The account, for operations that need a credential."""
        if self.account is None:
            raise LookupError(f"{self.operation.key} is open to everybody and has no account")
        return self.account

    def reply(self, value: Any, status: int | None = None) -> Response:
        """A JSON response; its status is the operation's documented success status unless given."""
        return Response(status or self.operation.success, JSON, orjson.dumps(value), source="handler")


Handler = Callable[[Call], Response]
Check = Callable[[Call], Iterator[Violation]]
ErrorFormatter = Callable[[Refusal, Response], Response]
"""Writes a rejection's message into the documented response, in the API's error format."""
UnknownPathHandler = Callable[[Request, Refusal, int], Response]
"""The response, with the given status, to a request under one of the provider's prefixes that matches no operation."""
AdmissionHook = Callable[[Operation, Sandbox, Account, float, Settings], None]
"""Raises Refusal if the account may not send any request now, e.g. over its rate limit. Called before validation."""
Charges = Callable[[Operation, Request, Sandbox, Settings], bool]
"""Whether a balance of 0 rejects the request with 402, where the operation documents a 402."""
ResponseHook = Callable[[Request, Sandbox, Response, Settings], Response]
"""Adds the headers that every response of the provider has, rejections included."""


UsageReport = Callable[[ApiContext, Sandbox, int, int], Mapping[str, Any]]
"""What the accounts of a sandbox have used, as JSON; `after` and `limit` page its `events`."""
CallbackPayload = Callable[[Batch, Callback, Sandbox], Any]
"""The JSON payload of a callback, made when the callback is due."""


ListRows = Callable[[Sandbox, float], Iterable[Mapping[str, Any]]]
"""A sandbox's objects of one kind at an instant, as JSON, oldest first. Has no side effects."""


SnapshotTypes = Callable[[], Mapping[str, Any]]
"""The type of each collection's values. Exports write and imports accept these types only."""
SnapshotCheck = Callable[[ApiContext, Mapping[str, Mapping[str, Any]]], Iterator[Inconsistency]]
"""Inconsistencies in the collections of an imported sandbox. Their types have been checked."""


class RequestPrompt(NamedTuple):
    """One prompt of a request, as fixtures are matched against it."""

    text: str
    model: str
    country: str | None = None


FindPrompts = Callable[[str, Request], Iterator[RequestPrompt]]
"""The prompts of a request to the operation with that key; empty if they cannot be parsed."""


class RejectedItems(NamedTuple):
    """Items of a batch that failed validation: the count, and a few examples."""

    total: int = 0
    told: tuple[str, ...] = ()
    """Of the first items, which item it is and its first violation."""

    def with_item(self, place: str, message: str) -> "RejectedItems":
        told = (
            (*self.told, f"{place}: {message}"[:MAX_EXAMPLE]) if len(self.told) < MAX_REJECTED_EXAMPLES else self.told
        )
        return RejectedItems(self.total + 1, told)


class BatchState(NamedTuple):
    """The state of a batch, which a verdict compares with the requests."""

    progression: Progression
    is_over: bool
    failed: int
    """How many items have failed so far."""
    was_told: bool = False
    """Whether a callback has reported the end to the client."""
    refused: RejectedItems = RejectedItems()
    """Items that failed validation, of a batch that was accepted."""


class ClientRules(NamedTuple):
    """Which operations and fields belong to one kind of batch, and how a well-behaved client uses them.

    The verdict's checks read this table; they know no API by name.
    """

    create: str
    """The operation that creates a batch, which costs credits."""
    status: tuple[str, ...]
    """The operations that report a batch's status: of one, by its id in the field `id`; of several, in `data`."""
    id: tuple[str, str]
    """Where a status request has the id of the batch: `("query", "id")`, `("path", "batch_id")`."""
    ends: frozenset[str]
    """The final statuses; a response without a status is the result itself."""
    lost: frozenset[str]
    """The final statuses after which work has to be repeated."""
    standing: Callable[[Sandbox, str, float], BatchState | None]
    """The state of the batch with that id at an instant; None for an unknown batch."""
    failed: tuple[str, ...] = ()
    """Where a response has the number of failed items; empty if it has none."""
    download: str = ""
    """The operation that gives the results."""
    error_file: str = ""
    """Where a response has the id of the error file; empty if there is none."""
    patience: Mapping[int, int] = {}
    """How often `create` may be retried after a response of that status, if more often than other operations."""
    poll_seconds: float = 1.0
    """The shortest interval between two status requests, in seconds. Neither vendor documents one; 1 s is our default.
    """


class LazyFunction:
    """A function whose module is imported at the first call, which keeps start-up fast."""

    __slots__ = ("_function", "_module", "_name")

    def __init__(self, module: str, name: str) -> None:
        self._module = module
        self._name = name
        self._function: Callable[..., Any] | None = None

    def __call__(self, *args: Any) -> Any:
        if self._function is None:
            self._function = getattr(import_module(self._module), self._name)
        return self._function(*args)


class Provider:
    """An imitated API: the tag of its operations, its handlers and hooks."""

    def __init__(
        self,
        name: str,
        *,
        tag: str,
        word: ErrorFormatter | None = None,
        prefixes: tuple[str, ...] = (),
        lost: UnknownPathHandler | None = None,
        statuses: Mapping[Reason, tuple[int, ...]] = {},
        guard: AdmissionHook | None = None,
        charges: Charges | None = None,
        dress: ResponseHook | None = None,
        slow: tuple[str, ...] = (),
        costly: Callable[[Request], bool] | None = None,
        report: UsageReport | None = None,
        keeps: SnapshotTypes | None = None,
        judge: SnapshotCheck | None = None,
        listings: Mapping[str, ListRows] = {},
        notice: CallbackPayload | None = None,
        adapt: Callable[[dict[str, Any], Settings], None] | None = None,
        alone: Mapping[str, str] = {},
        guidance: tuple[ClientRules, ...] = (),
        prompts: FindPrompts | None = None,
        defaults: Mapping[str, Mapping[str, Any]] = {},
    ) -> None:
        """`adapt` patches the bundled document for the settings; for the other functions see their types.

        `statuses` overrides which statuses a reason selects from. Requests whose path begins with one of `slow`, or for
        which `costly` is true, are handled in a worker thread. `lost` answers requests under `prefixes` that match no
        operation; a prefix ends at a slash (`/v1`). `alone` maps an operationId to the query argument that excludes all
        others. `guidance` is used by the verdict, `prompts` to find near misses of fixtures. `defaults` are, by
        operationId, those that handlers apply themselves; other defaults of a document are added to the request.
        """
        self.name = name
        self.tag = tag
        self.word = word
        self.prefixes = prefixes
        self.lost = lost
        self.statuses = statuses
        self.guard = guard
        self.charges = charges
        self.dress = dress
        self.slow = slow
        self.costly = costly
        self.report = report
        self.keeps = keeps
        self.judge = judge
        self.listings = listings
        self.notice = notice
        self.adapt = adapt
        self.alone = alone
        self.guidance = guidance
        self.prompts = prompts
        self.defaults = defaults
        self.handlers: dict[str, Handler] = {}
        self.checkers: dict[str, Check] = {}

    def owns(self, path: str) -> bool:
        """Whether the path is below one of the provider's prefixes."""
        return any(path == prefix or path.startswith(f"{prefix}/") for prefix in self.prefixes)

    def handles(self, *operations: str) -> Callable[[Handler], Handler]:
        """Registers a handler under operationIds."""

        def register(handler: Handler) -> Handler:
            self.handlers.update(dict.fromkeys(operations, handler))
            return handler

        return register

    def handles_later(self, module: str, **functions: str) -> None:
        """Registers functions of a module by operationId. The module is imported when the first of them is called."""
        self.handlers.update({operation: LazyFunction(module, name) for operation, name in functions.items()})

    def checks(self, *operations: str) -> Callable[[Check], Check]:
        """Registers a check of rules that JSON Schema cannot express. It sees only fields that fit their schemas."""

        def register(check: Check) -> Check:
            self.checkers.update(dict.fromkeys(operations, check))
            return check

        return register


def with_defaults(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The values, with defaults for those that are missing or null."""
    return {**given, **{name: each for name, each in defaults.items() if given.get(name) is None}}


def call_with_defaults(call: Call, defaults: Mapping[str, Any]) -> Call:
    """The call as if the client had sent the defaults that it left out."""
    declared = {each.name for each in call.operation.parameters}
    arguments = with_defaults(call.arguments, {name: each for name, each in defaults.items() if name in declared})
    fields = {name: each for name, each in defaults.items() if name not in declared}
    if not fields or not isinstance(call.body, dict):
        return call._replace(arguments=arguments)
    body = with_defaults(call.body, fields)
    request = call.request if call.request.form is not None else call.request._replace(body=orjson.dumps(body))
    return call._replace(arguments=arguments, body=body, request=request)


class BoundOperation(NamedTuple):
    """An operation with its provider, handler and check."""

    operation: Operation
    world: ApiContext
    provider: Provider | None
    handler: Handler | None
    check: Check | None

    def described(self) -> dict[str, Any]:
        """The operation as JSON. Without a handler, fixtures, examples or the schema answer."""
        names = ("key", "method", "path", "summary", "tag", "statuses")
        return {name: getattr(self.operation, name) for name in names} | {"handled": self.handler is not None}


def owner_of_path(path: str, refusal: Refusal | None, services: Mapping[Operation, BoundOperation]) -> Provider | None:
    """The provider that answers an unknown path: the one with its prefix, unless the nearest operation belongs to
    another one.

    Returns None if the request may have been meant for another document with the same prefix.
    """
    if not isinstance(refusal, RouteNotFound):
        return None
    providers = (each.provider for each in services.values())
    owner = next((each for each in providers if each is not None and each.owns(path)), None)
    if owner is None or refusal.near is None or not owner.owns(refusal.near.path):
        return owner
    return owner if services[refusal.near].provider is owner else None
