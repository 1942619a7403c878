"""How an API is declared, and what its handlers are given."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mockserver.api.call import ApiContext, Call
from mockserver.api.client_rules import ClientRules
from mockserver.errors import Reason, Refusal, Violation
from mockserver.http import Request, Response
from mockserver.lazy import lazy_function
from mockserver.openapi.document import Operation
from mockserver.openapi.router import RouteMatch, RouteNotFound
from mockserver.records import Record
from mockserver.sandbox.accounts import Account
from mockserver.sandbox.batches import Batch
from mockserver.sandbox.callbacks import Callback
from mockserver.sandbox.sandbox import Sandbox
from mockserver.settings.table import Settings

if TYPE_CHECKING:
    from mockserver.api.batch_reads import BatchReads
    from mockserver.api.unknowns import Unknown

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
ResponseHook = Callable[[Request, Sandbox, Response, Settings, Call | None], Response]
"""Adds the headers that every response of the provider has, rejections included. A valid request has a call."""


UsageReport = Callable[[ApiContext, Sandbox, int, int], Mapping[str, Any]]
"""What the accounts of a sandbox have used, as JSON; `after` and `limit` page its `events`."""
CallbackPayload = Callable[[Batch, Callback, Sandbox], Any]
"""The JSON payload of a callback, made when the callback is due."""


ListRows = Callable[[Sandbox, float], Iterable[Mapping[str, Any]]]
"""A sandbox's objects of one kind at an instant, as JSON, oldest first. Has no side effects."""


CollectionTypes = Callable[[], Mapping[str, Any]]
"""The type of each collection's values, by its name (`agilecloud.files`). Stores and exports write these types only."""


class Reading(NamedTuple):
    """A value of a collection as clients read it."""

    collection: str
    key: str
    read: Callable[[], Any]
    """Returns the JSON; raises any exception if the value cannot be read."""
    component: str = ""
    """The schema of the bundled document that the JSON fits. Its `id`, if it has one, is the key."""


ReadBack = Callable[[ApiContext, Sandbox], Iterator[Reading]]
"""Reads what a sandbox has in the provider's collections, by the functions that answer clients. With it an import is
tried in a sandbox that is thrown away.
"""
UpgradeCollections = Callable[[dict[str, Any]], None]
"""Changes the encoded collections of an export of format version 2 to those of version 3."""


class RequestPrompt(NamedTuple):
    """One prompt of a request, as fixtures are matched against it."""

    text: str
    model: str
    country: str | None = None


FindPrompts = Callable[[str, Request], Iterator[RequestPrompt]]
"""The prompts of a request to the operation with that key; empty if they cannot be parsed."""


Replay = Callable[["BoundOperation", RouteMatch, Request, Sandbox, float], Response | None]
"""The recorded answer to a request at an instant; None if the sandbox is to answer. Raises Refusal for a request that
was not recorded.
"""


@dataclass(eq=False, repr=False)
class Provider:
    """An imitated API: its handlers by operationId, and the hooks that the engine and the admin API call.

    The types of the hooks above say what each is given. What the core needs without importing a provider's code is
    declared in the module `settings` of its package; see `mockserver.settings.declarations`.
    """

    name: str
    _: KW_ONLY
    tag: str
    """The OpenAPI tag of its operations."""
    document: Path | None = None
    """An OpenAPI document of its own, served beside the bundled one."""
    patch_document: Callable[[dict[str, Any], Settings], None] | None = None
    """Changes the bundled document as settings ask."""
    prefixes: tuple[str, ...] = ()
    """Prefixes of its paths, in whole segments (`/v1`)."""
    unknown_path_response: UnknownPathHandler | None = None
    format_error: ErrorFormatter | None = None
    statuses: Mapping[Reason, tuple[int, ...]] = field(default_factory=dict)
    """By reason, the statuses of its rejections that differ from the common ones."""
    admission: AdmissionHook | None = None
    charges: Charges | None = None
    add_headers: ResponseHook | None = None
    threaded_prefixes: tuple[str, ...] = ()
    """Prefixes of paths whose requests may take so long that they are handled in a thread."""
    costly: Callable[[Request], bool] | None = None
    """Whether a request may spend a Budget; it is then handled in a thread, too."""
    usage_report: UsageReport | None = None
    collections: CollectionTypes | None = None
    dated: tuple[str, ...] = ()
    """Those of its collections that hold timestamps. While one is not empty, the sandbox clock cannot be restarted; the
    admin API reports their sizes.
    """
    read_back: ReadBack | None = None
    upgrade_collections: UpgradeCollections | None = None
    listings: Mapping[str, ListRows] = field(default_factory=dict)
    find_batch_reads: "Callable[[], BatchReads] | None" = None
    """Returns how the admin API reads its batches; None if it has no batches."""
    callback_payload: CallbackPayload | None = None
    callback_urls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By operationId the places of callbacks' URLs in requests, as runtime expressions (`$request.body#/webhook`)."""
    fixture_sections: Mapping[str, Any] = field(default_factory=dict)
    """JSON Schemas of the parts of fixture files that it reads beside those of `fixtures/schema.json`."""
    exclusive_parameters: Mapping[str, str] = field(default_factory=dict)
    """By operationId the query parameter beside which all others are ignored."""
    client_rules: tuple[ClientRules, ...] = ()
    """One for each kind of batch; the verdict on a client is computed from them."""
    unknowns: "Callable[[], Sequence[Unknown]] | None" = None
    """Returns what no public document says of the API, for `mockserver verify` and `drift`."""
    prompts: FindPrompts | None = None
    """Finds the prompts that a request's fixtures could have matched."""
    defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By operationId the defaults that handlers apply; a document's other defaults are put into requests."""
    handlers: dict[str, Handler] = field(init=False, default_factory=dict)
    checkers: dict[str, Check] = field(init=False, default_factory=dict)

    def owns(self, path: str) -> bool:
        """Whether the path is below one of the provider's prefixes."""
        return self.longest_prefix(path) > 0

    def longest_prefix(self, path: str) -> int:
        """The length of the longest of its prefixes that the path is below; 0 if there is none."""
        return max((len(each) for each in self.prefixes if path == each or path.startswith(f"{each}/")), default=0)

    def handles(self, *operations: str) -> Callable[[Handler], Handler]:
        """Registers a handler under operationIds."""

        def register(handler: Handler) -> Handler:
            self.handlers.update(dict.fromkeys(operations, handler))
            return handler

        return register

    def handles_lazily(self, **handlers: Callable[[], Handler]) -> None:
        """Register handlers of lazy modules by operationId: `cancelBatch=lambda: operations.cancel_batch`."""
        self.handlers.update({operation: lazy_function(find) for operation, find in handlers.items()})

    def checks(self, *operations: str) -> Callable[[Check], Check]:
        """Registers a check of rules that JSON Schema cannot express. It sees only fields that fit their schemas."""

        def register(check: Check) -> Check:
            self.checkers.update(dict.fromkeys(operations, check))
            return check

        return register


class BoundOperation(Record, frozen=True, gc=False):
    """An operation with its provider, handler and check."""

    operation: Operation
    world: ApiContext
    provider: Provider | None
    handler: Handler | None
    check: Check | None
    replay: "Replay | None" = None
    """Answers with recorded exchanges; None if none are served."""

    def described(self) -> dict[str, Any]:
        """The operation as JSON. Without a handler, fixtures, examples or the schema answer."""
        names = ("key", "method", "path", "summary", "tag", "statuses")
        return {name: getattr(self.operation, name) for name in names} | {"handled": self.handler is not None}


def owner_of_path(path: str, refusal: Refusal | None, services: Mapping[Operation, BoundOperation]) -> Provider | None:
    """The provider whose API a request without an operation means; None where the path is like a neighbour's.

    Of several the one with the longest prefix is meant.

    Another document may have paths under the same prefix; None where the request may have been meant for that one.
    """
    if not isinstance(refusal, RouteNotFound):
        return None
    providers = dict.fromkeys(each.provider for each in services.values() if each.provider and each.provider.owns(path))
    owner = max(providers, key=lambda each: each.longest_prefix(path), default=None)
    if owner is None or refusal.near is None or not owner.owns(refusal.near.path):
        return owner
    return owner if services[refusal.near].provider is owner else None
