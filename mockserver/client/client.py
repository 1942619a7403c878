"""The admin API from Python, with the standard library alone: `Client(url).sandbox("mine").clock.advance(hours=24)`."""

import json
import re
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode

from mockserver.client.controls import Clock, SandboxControls, sandbox_body
from mockserver.client.reads import SandboxReads
from mockserver.client.transport import (
    AdminError,
    CheckedAttributes,
    HttpTransport,
    JsonObject,
    Transport,
    read_answer,
)
from mockserver.redaction import shown_path
from mockserver.settings.declarations import declarations

__all__ = ["AdminError", "Client", "Clock", "SandboxClient"]

DEFAULT = "default"
_SAFE = re.compile(r"[!-~]{1,200}")
_PLACE = re.compile(r"\{(\w+)\}")


class Client(CheckedAttributes):
    """A server's admin API."""

    __slots__ = {
        "_headers": "Sent with every call.",
        "_transport": "Sends the calls.",
        "url": "The server's URL, without a path of an API.",
    }
    _noun = "client"

    def __init__(
        self, url: str, admin_token: str | None = None, *, timeout: float = 30.0, transport: Transport | None = None
    ) -> None:
        """`url` is the server's, without an API's path. `transport` replaces HTTP."""
        self.url = url.rstrip("/")
        self._headers = {"X-Mock-Admin-Token": admin_token} if admin_token else {}
        self._transport = transport or HttpTransport(url, timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; another call opens it again."""
        self._transport.close()

    def __repr__(self) -> str:
        return f"<client of {self.url}>"

    def sandbox(self, name: str = DEFAULT) -> "SandboxClient":
        """The sandbox of that name. It is created by its first request, not by this call."""
        return SandboxClient(self, name)

    def create_sandbox(
        self,
        name: str | None = None,
        *,
        clock: str | None = None,
        progression: str | None = None,
        accounts: Sequence[JsonObject] = (),
        hold: bool = True,
        ids_of: str | None = None,
    ) -> "SandboxClient":
        """Create a sandbox with this initial state (in the syntax of settings), and pin it until it is deleted.

        An existing one can only be pinned. Without a name the server generates one. `ids_of` is the name of the sandbox
        whose ids it produces.
        """
        wanted = sandbox_body(name=name, clock=clock, progression=progression, ids_of=ids_of)
        wanted |= {"hold": hold} | ({"accounts": list(accounts)} if accounts else {})
        return self.sandbox(str(self.ask("POST /sandboxes", wanted)["name"]))

    def sandboxes(self, *, limit: int | None = None, after: int | None = None) -> list[JsonObject]:
        """All sandboxes, the most recently used first."""
        return list(self.ask("GET /sandboxes", query={"limit": limit, "after": after})["sandboxes"])

    def version(self) -> JsonObject:
        """The server's `name` and `version`."""
        return self.ask("GET /version")

    def openapi(self) -> JsonObject:
        """The OpenAPI document that is served."""
        return self.ask("GET /openapi.json")

    def ask(
        self,
        verb: str,
        body: Any = None,
        *,
        sandbox: str = DEFAULT,
        path: Mapping[str, str] = {},
        query: Mapping[str, Any] = {},
    ) -> JsonObject:
        """The response of an admin route, named as in the reference: `ask("POST /reset/{part}", path={"part": …})`.

        None values in the query are left out. Raises AdminError if the call is rejected.
        """
        __tracebackhide__ = True  # hides this frame in pytest's tracebacks
        method, _, template = verb.partition(" ")
        place = target = "/__admin" + _PLACE.sub(lambda found: quote(path[found[1]], safe=""), template)
        given = {
            name: str(value).lower() if value is True else value for name, value in query.items() if value is not None
        }
        if given:
            target += "?" + urlencode(given)
        content = b"" if body is None else json.dumps(body).encode()
        kind = {"Content-Type": "application/json"} if content else {}
        headers = {"X-Mock-Sandbox": sandbox, **self._headers, **kind}
        answer: JsonObject = read_answer(
            f"{method} {shown_path(place)}", self._transport.ask(method, target, headers, content)
        )
        return answer


class SandboxClient(SandboxControls, SandboxReads):
    """One sandbox: its URLs and token for the program under test, and its controls for the test."""

    __slots__ = {
        "client": "The client of its server.",
        "clock": "Sandbox time, and how it is moved.",
        "name": "The name; the header `X-Mock-Sandbox` selects a sandbox by it.",
    }

    def __init__(self, client: Client, name: str) -> None:
        """Raises ValueError for a name that is not valid in a header."""
        if not _SAFE.fullmatch(name):
            raise ValueError(f"the sandbox's name is {name!r}; wanted 1 to 200 visible ASCII characters, no space")
        self.client = client
        self.name = name
        self.clock = Clock(self)

    def __repr__(self) -> str:
        return f"<sandbox {self.name!r} of {self.client.url}>"

    @property
    def base_url(self) -> str:
        """Where the server's APIs begin, for clients that add the whole path of an operation."""
        return self.client.url

    @property
    def base_urls(self) -> Mapping[str, str]:
        """Where each provider's API begins, by the names that providers declare: `base_urls["openai_base_url"]`."""
        paths = {name: path for each in declarations().values() for name, path in each.base_paths.items()}
        return {name: f"{self.client.url}{path}" for name, path in paths.items()}

    @property
    def openai_base_url(self) -> str:
        """Where the OpenAI-compatible API begins, for OpenAI's SDKs."""
        return self.base_urls["openai_base_url"]

    @property
    def token(self) -> str:
        """A token, or API key, that selects this sandbox without a header."""
        return self.name

    @property
    def headers(self) -> dict[str, str]:
        """For clients that accept headers only."""
        return self.headers_for(self.token)

    def headers_for(self, token: str) -> dict[str, str]:
        """Headers of another client of this sandbox, with its own token and so its own account."""
        return {"Authorization": f"Bearer {token}", "X-Mock-Sandbox": self.name}

    def ask(self, verb: str, body: Any = None, *, path: Mapping[str, str] = {}, **query: Any) -> JsonObject:
        """The response of an admin route for this sandbox; see the client's `ask`."""
        __tracebackhide__ = True
        return self.client.ask(verb, body, sandbox=self.name, path=path, query=query)

    def facts(self) -> JsonObject:
        """Its counts, clock, progression and number of stubs. Raises AdminError while it does not exist."""
        return self.ask("GET /sandboxes/{name}", path={"name": self.name})

    def delete(self) -> JsonObject:
        """Delete it, pinned or not. The response lists its `unexpected` requests, which no document allows."""
        return self.ask("DELETE /sandboxes/{name}", path={"name": self.name})

    def import_(self, document: JsonObject) -> JsonObject:
        """Replace its state by an exported one."""
        return self.ask("POST /import", document)
