"""Calls handlers directly, as the engine calls them."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from mockserver.api.call import ApiContext, Call
from mockserver.errors import Refusal
from mockserver.fixtures.files import Fixtures
from mockserver.http import Request, Response
from mockserver.openapi.document import OpenApiDocument
from mockserver.providers.agilecloud.prompts import operations as calls
from mockserver.sandbox.batches import IMMEDIATE
from mockserver.sandbox.clock import ClockConfig
from mockserver.sandbox.sandbox import Sandbox, SandboxDefaults
from mockserver.settings.table import Settings
from mockserver.stores import open_store

CANNED = {"slug": "canned", "template": "Canned {{ text }}", "model_config": {"top_p": 1}}
FIXTURES = Fixtures(sections={"prompts": (CANNED,)})
CREATED = (calls.create_prompt, calls.create_prompt_version)


class HandlerClient:
    """A sandbox whose prompts are worked on; every call comes a second after the one before."""

    def __init__(self) -> None:
        beginnings = SandboxDefaults("seed", ClockConfig(frozen=True, instant=1000.0), IMMEDIATE, {}, {}, 10)
        self.sandbox = Sandbox("desk", open_store(), beginnings)
        self.now = 1000.0
        self.fixtures = FIXTURES

    def call(
        self, handler: Callable[[Call], Response], body: Any = None, *, token: str = "ann", **arguments: Any
    ) -> Response:
        self.now += 1
        responses = {"201" if handler in CREATED else "200": {"description": ""}}
        document = {
            "openapi": "3.1.0",
            "info": {},
            "paths": {"/x": {"post": {"operationId": handler.__name__, "responses": responses}}},
        }
        spec = OpenApiDocument(document, "document")
        account = self.sandbox.accounts.find(token, self.now, magic=True)
        world = ApiContext(spec, self.fixtures, Settings())
        request = Request("POST", "/x")
        return handler(Call(spec.operations[0], request, self.sandbox, self.now, account, arguments, body, world))

    def value(self, handler: Callable[[Call], Response], body: Any = None, **arguments: Any) -> Any:
        response = self.call(handler, body, **arguments)
        assert isinstance(response.body, bytes)
        return orjson.loads(response.body)

    def refusal(self, handler: Callable[[Call], Response], body: Any = None, **arguments: Any) -> tuple[Any, ...]:
        """The reason, the violation's location and code, and the text."""
        with pytest.raises(Refusal) as refused:
            self.call(handler, body, **arguments)
        [violation] = refused.value.violations
        assert refused.value.detail == violation.message
        return refused.value.reason, violation.location, violation.code, violation.message
