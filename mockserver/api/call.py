"""What a handler is given: a validated request, and what surrounds it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from mockserver.fixtures.files import Fixtures
from mockserver.http import Request, Response
from mockserver.openapi.document import JSON, OpenApiDocument, Operation
from mockserver.openapi.replacement import Needs
from mockserver.openapi.schema import Schema
from mockserver.records import Record
from mockserver.sandbox.accounts import Account
from mockserver.sandbox.sandbox import Sandbox
from mockserver.settings.table import Settings


class ApiContext(Record, frozen=True, gc=False):
    """What does not change between requests: the document, the provider's fixtures, the settings."""

    spec: OpenApiDocument
    """The document that describes the operation."""
    fixtures: Fixtures
    settings: Settings
    served: "Served | None" = None
    """All served documents together; None if this is the only one."""

    def operation(self, name: str) -> Operation | None:
        """The served operation with that operationId or `POST /path`, of any document; None if there is none."""
        return (self.served.operations if self.served else self.spec.by_key).get(name)

    def component(self, name: str) -> Schema:
        """The schema of that name that a handler reads: the document's, else the bundled one."""
        return self.served.needs.component(self.spec, name) if self.served else self.spec.component(name)

    def bundled_component(self, name: str) -> Schema:
        """The bundled schema of that name, even if a served document replaces it."""
        return (self.served.bundled if self.served else self.spec).component(name)

    def changed_defaults(self, name: str) -> Mapping[str, Any]:
        """The operation's defaults in the document that differ from those of its handler."""
        return self.served.defaults.get(name, {}) if self.served else {}


class Served(NamedTuple):
    """All served documents together, and the unchanged bundled one."""

    bundled: OpenApiDocument
    needs: Needs
    operations: Mapping[str, Operation]
    """By operationId, and by method and path. Of two operations with one operationId the first counts."""
    defaults: Mapping[str, Mapping[str, Any]]
    """By operationId, the document's defaults that differ from those of the handlers."""


class Call(Record, frozen=True, gc=False):
    """A request that was routed, admitted and validated, with the sandbox it happens in."""

    operation: Operation
    request: Request
    sandbox: Sandbox
    now: float
    """Sandbox time, in Unix seconds; the same for the whole request."""
    optional_account: Account | None
    """The account of the request's credential; None where the operation needs none."""
    arguments: Mapping[str, Any]
    """Path, query, header and cookie arguments by name, typed as documented."""
    body: Any
    """The body's value: JSON as Python values, anything else as bytes."""
    world: ApiContext
    canonical: bytes | memoryview = b""
    """The JSON body in the one form that all ways of writing it share; empty for any other body."""
    broken: frozenset[str] = frozenset()
    """Fields the request has, but in a form the document refuses; they are left out of `arguments` and `body`. Only a
    check ever sees such a call."""

    @property
    def account(self) -> Account:
        """The account of the request's credential, for operations that need one."""
        if self.optional_account is None:
            raise LookupError(f"{self.operation.key} is open to everybody and has no account")
        return self.optional_account

    def reply(self, value: Any, status: int | None = None) -> Response:
        """A JSON answer; with the operation's documented success status unless another is given."""
        return Response(status or self.operation.success, JSON, orjson.dumps(value), source="handler")


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
