"""What a handler is given: a validated request, and what surrounds it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from mockserver.fixtures.files import Fixtures
from mockserver.http import Request, Response
from mockserver.openapi.document import JSON, OpenApiDocument, Operation
from mockserver.sandbox.accounts import Account
from mockserver.sandbox.sandbox import Sandbox
from mockserver.settings.table import Settings


class ApiContext(NamedTuple):
    """What does not change between requests: the document, the provider's fixtures, the settings."""

    spec: OpenApiDocument
    fixtures: Fixtures
    settings: Settings


class Call(NamedTuple):
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
    canonical: bytes = b""
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
