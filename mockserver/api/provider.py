"""How an API is declared, and what one of its handlers is given."""

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
"""Characters of what is told of a refused item."""


class ApiContext(NamedTuple):
    """What does not change between requests: the document, the provider's fixtures, the settings."""

    spec: OpenApiDocument
    """The document that describes the operation."""
    fixtures: Fixtures
    settings: Settings
    served: "Served | None" = None
    """What else is served; None where the document is all."""

    def operation(self, name: str) -> Operation | None:
        """The served operation with that operationId or `POST /path`, of whichever document; None when none is."""
        return (self.served.operations if self.served else self.spec.by_key).get(name)

    def component(self, name: str) -> Schema:
        """The schema of that name that a handler reads: the document's, else the bundled one."""
        return self.served.needs.component(self.spec, name) if self.served else self.spec.component(name)

    def bundled_component(self, name: str) -> Schema:
        """The bundled schema of that name, whatever a served document says."""
        return (self.served.bundled if self.served else self.spec).component(name)

    def changed_defaults(self, name: str) -> Mapping[str, Any]:
        """The defaults of an operation that are not those its handler has by itself."""
        return self.served.defaults.get(name, {}) if self.served else {}


class Served(NamedTuple):
    """What all documents serve together, and the bundled one as it is without them."""

    bundled: OpenApiDocument
    needs: Needs
    operations: Mapping[str, Operation]
    """By operationId, and by method and path. Of two with one operationId the first counts."""
    defaults: Mapping[str, Mapping[str, Any]]
    """By operationId: the defaults that handlers do not have by themselves."""


class Call(NamedTuple):
    """A request that was routed, admitted and validated, with the sandbox it happens in."""

    operation: Operation
    request: Request
    sandbox: Sandbox
    now: float
    """Sandbox time, in Unix seconds; the same for the whole request."""
    account: Account | None
    """Who asks; None where the operation needs no credential."""
    arguments: Mapping[str, Any]
    """Path, query, header and cookie arguments by name, typed as documented."""
    body: Any
    """The body's value: JSON as Python values, anything else as bytes."""
    world: ApiContext
    canonical: bytes = b""
    """The JSON body in the one form that all ways of writing it share; empty for any other body."""
    broken: frozenset[str] = frozenset()
    """Fields the request has, but in a form the document refuses; they are left out of `arguments` and `body`. Only a
    check ever sees such a call."""

    @property
    def asker(self) -> Account:
        """Who asks, for operations that need a credential."""
        if self.account is None:
            raise LookupError(f"{self.operation.key} is open to everybody and has no account")
        return self.account

    def reply(self, value: Any, status: int | None = None) -> Response:
        """A JSON answer; with the operation's documented success status unless another is given."""
        return Response(status or self.operation.success, JSON, orjson.dumps(value), source="handler")


Handler = Callable[[Call], Response]
Check = Callable[[Call], Iterator[Violation]]
ErrorFormatter = Callable[[Refusal, Response], Response]
"""Turns the documented reply into what this refusal says."""
UnknownPathHandler = Callable[[Request, Refusal, int], Response]
"""The answer, with that status, to a request under one of the provider's prefixes that no operation takes."""
AdmissionHook = Callable[[Operation, Sandbox, Account, float, Settings], None]
"""Turns away an account that may not ask now, whatever it asks; raises Refusal. Called before the request is judged."""
Charges = Callable[[Operation, Request, Sandbox, Settings], bool]
"""Whether a balance of 0 refuses the request with 402, where the operation documents a 402."""
ResponseHook = Callable[[Request, Sandbox, Response, Settings], Response]
"""Adds the headers that every reply of the provider carries, refusals included."""


UsageReport = Callable[[ApiContext, Sandbox, int, int], Mapping[str, Any]]
"""What the accounts of a sandbox have used, as JSON; of its `events` the page that `after` and `limit` say."""
CallbackPayload = Callable[[Batch, Callback, Sandbox], Any]
"""What a callback says of its batch when it falls due, as JSON."""


ListRows = Callable[[Sandbox, float], Iterable[Mapping[str, Any]]]
"""What a sandbox holds of one kind at an instant, as JSON, oldest first. Looking changes nothing."""


CollectionTypes = Callable[[], Mapping[str, Any]]
"""The type of the values in each collection, by its name (`agilecloud.files`), as type hints."""
SnapshotCheck = Callable[[ApiContext, Mapping[str, Mapping[str, Any]]], Iterator[Inconsistency]]
"""What makes no sense on the shelves of a sandbox that is imported, whose types are what `CollectionTypes` says."""


class RequestPrompt(NamedTuple):
    """One prompt that a request holds, as fixtures are matched against it."""

    text: str
    model: str
    country: str | None = None


FindPrompts = Callable[[str, Request], Iterator[RequestPrompt]]
"""The prompts in a request to the operation of that key; none where it cannot be read."""


class RejectedItems(NamedTuple):
    """The items of a batch that the document refuses: all are counted, a few are told."""

    total: int = 0
    told: tuple[str, ...] = ()
    """Of the first, which item it is and its first violation."""

    def with_item(self, place: str, message: str) -> "RejectedItems":
        told = (
            (*self.told, f"{place}: {message}"[:MAX_EXAMPLE]) if len(self.told) < MAX_REJECTED_EXAMPLES else self.told
        )
        return RejectedItems(self.total + 1, told)


class BatchState(NamedTuple):
    """What the sandbox knows of a batch, whoever has looked."""

    progression: Progression
    is_over: bool
    failed: int
    """How many of its items have failed so far."""
    was_told: bool = False
    """Whether the client learned of the end without asking, by a callback."""
    refused: RejectedItems = RejectedItems()
    """Of its items those that broke the document, where the batch was accepted all the same."""


class ClientRules(NamedTuple):
    """How a good client lives with one kind of batch: which operation is what, and where its answers tell what.

    The verdict on a client is read from this table; it knows no API by name.
    """

    create: str
    """The operation that queues one; it costs money."""
    status: tuple[str, ...]
    """The operations that tell where one is, by the id in their argument `id`, or for several, in `data`."""
    id: tuple[str, str]
    """Where a status read names the batch: `("query", "id")`, `("path", "batch_id")`."""
    ends: frozenset[str]
    """The statuses after which nothing changes; an answer without a status is the result itself."""
    lost: frozenset[str]
    """The ends that leave work to be done again."""
    standing: Callable[[Sandbox, str, float], BatchState | None]
    """What the sandbox knows of the batch with that id; None for one it does not know."""
    failed: tuple[str, ...] = ()
    """Where an answer tells how many items failed; empty when it does not."""
    download: str = ""
    """The operation that gives the results."""
    error_file: str = ""
    """Where an answer names the file of what failed; empty when there is none."""
    patience: Mapping[int, int] = {}
    """How often `create` may be sent again after an answer with that status, where it heals more than others."""
    poll_seconds: float = 1.0
    """The least time between two reads of a status. Neither vendor documents one: once a second is our own default."""


class LazyFunction:
    """A function of a module that is imported when it is first called, so that a start need not wait for it."""

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
    """An API we imitate: the tag of its operations, its handlers, and its way of saying things.

    `dated` names those of its `collections` that have timestamps: while one of them is not empty, the sandbox clock
    cannot begin again. The admin API says how many values each has.
    """

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
        collections: CollectionTypes | None = None,
        dated: tuple[str, ...] = (),
        judge: SnapshotCheck | None = None,
        listings: Mapping[str, ListRows] = {},
        notice: CallbackPayload | None = None,
        adapt: Callable[[dict[str, Any], Settings], None] | None = None,
        alone: Mapping[str, str] = {},
        guidance: tuple[ClientRules, ...] = (),
        prompts: FindPrompts | None = None,
        defaults: Mapping[str, Mapping[str, Any]] = {},
    ) -> None:
        """`adapt` changes our document as settings ask; for the other functions see their types.

        `statuses` says which a reason picks from, where not from those all providers share. A request whose path starts
        with one of `slow` may take so long that it is handled in a thread; so is one that is `costly` (may spend a
        Budget). `lost` answers what no operation takes under
        `prefixes`, which are beginnings of paths that end where a part of the path ends (`/v1`).
        `alone` says by operationId which query argument makes all others not matter. `guidance` is what the verdict on
        a client rests on, `prompts` what near misses of fixtures are looked for in. `defaults` are, by operationId,
        those that handlers apply by themselves: others that a document states are put into the request for them.
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
        self.collections = collections
        self.dated = dated
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
        """Whether the path stands under one of the provider's prefixes."""
        return any(path == prefix or path.startswith(f"{prefix}/") for prefix in self.prefixes)

    def handles(self, *operations: str) -> Callable[[Handler], Handler]:
        """Register a handler under operationIds."""

        def register(handler: Handler) -> Handler:
            self.handlers.update(dict.fromkeys(operations, handler))
            return handler

        return register

    def handles_later(self, module: str, **functions: str) -> None:
        """Register functions of a module by operationId; it is imported when the first of them is called."""
        self.handlers.update({operation: LazyFunction(module, name) for operation, name in functions.items()})

    def checks(self, *operations: str) -> Callable[[Check], Check]:
        """Register a check of what the document cannot say. It sees the fields that the schemas accept."""

        def register(check: Check) -> Check:
            self.checkers.update(dict.fromkeys(operations, check))
            return check

        return register


def with_defaults(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The values with defaults for those that are missing or null."""
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
    """An operation with what answers it."""

    operation: Operation
    world: ApiContext
    provider: Provider | None
    handler: Handler | None
    check: Check | None

    def described(self) -> dict[str, Any]:
        """The operation as JSON. Where no code handles it, examples, fixtures or its schema answer."""
        names = ("key", "method", "path", "summary", "tag", "statuses")
        return {name: getattr(self.operation, name) for name in names} | {"handled": self.handler is not None}


def owner_of_path(path: str, refusal: Refusal | None, services: Mapping[Operation, BoundOperation]) -> Provider | None:
    """Whose API a request means that no operation takes: that with the prefix, unless the path is like a neighbour's.

    Another document may have paths under the same prefix; None where the request may have been meant for that one.
    """
    if not isinstance(refusal, RouteNotFound):
        return None
    providers = (each.provider for each in services.values())
    owner = next((each for each in providers if each is not None and each.owns(path)), None)
    if owner is None or refusal.near is None or not owner.owns(refusal.near.path):
        return owner
    return owner if services[refusal.near].provider is owner else None
