"""Calls to the admin API from within the process, so that pages show exactly what the API returns."""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import orjson
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mockserver.json_bodies import JsonError, parse_json
from mockserver.settings.table import Settings
from mockserver.web.admin_auth import TOKEN_HEADER
from mockserver.web.answers.loop_turns import LoopTurns
from mockserver.web.paths import ADMIN_PREFIX


class AdminCallError(Exception):
    """A rejected call to the admin API."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class AdminAnswer(NamedTuple):
    """A response of the admin API."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class AdminCalls:
    """Calls the admin API. Each call acts on one sandbox, by its name or key."""

    def __init__(self, admin: ASGIApp, settings: Settings, turns: LoopTurns) -> None:
        self.turns = turns
        self.has_replicas = settings.store != "memory"
        """Whether other processes may answer requests to the same sandboxes."""
        self._admin = admin
        self._operations: list[str] = []
        self._headers = [(b"host", b"localhost")]
        if settings.admin_token:
            self._headers.append((TOKEN_HEADER.encode(), settings.admin_token.encode()))

    async def get(self, path: str, sandbox: str = "", **query: Any) -> Any:
        """The JSON of a GET; empty and None values are left out of the query. Raises AdminCallError."""
        return orjson.loads((await self.download(path, sandbox, **query)).body)

    async def download(self, path: str, sandbox: str = "", **query: Any) -> AdminAnswer:
        """The whole response to a GET. Raises AdminCallError."""
        given = {name: value for name, value in query.items() if value not in {None, ""}}
        return await self.ask("GET", path, sandbox, query=urlencode(given))

    async def change(self, method: str, path: str, sandbox: str, body: Any = None, *, query: str = "") -> Any:
        """The JSON of a call that changes the sandbox. Raises AdminCallError."""
        content = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        return orjson.loads((await self.ask(method, path, sandbox, query=query, content=content)).body)

    async def ask(
        self, method: str, path: str, sandbox: str = "", *, query: str = "", content: bytes = b""
    ) -> AdminAnswer:
        """The response to any call. Raises AdminCallError for a rejection."""
        answer = await self._send(method, ADMIN_PREFIX + path, sandbox, query, content)
        if answer.status >= 400:
            raise AdminCallError(answer.status, _detail(answer))
        return answer

    async def operations(self) -> list[str]:
        """The keys of all operations, which do not change."""
        if not self._operations:
            self._operations = [each["key"] for each in (await self.get("/coverage"))["coverage"]]
        return self._operations

    def forward(self, path: str, sandbox: str, filename: str, *, query: str = "") -> "Forwarded":
        """A response that passes the one of a GET on, piece by piece, as a file to save."""
        return Forwarded(self._admin, self._scope("GET", ADMIN_PREFIX + path, sandbox, query), filename)

    async def _send(self, method: str, path: str, sandbox: str, query: str, content: bytes) -> AdminAnswer:
        scope = self._scope(method, path, sandbox, query)
        received = asyncio.Event()
        sent: list[Message] = []

        async def receive() -> Message:
            if received.is_set():  # the admin API waits here for a client that leaves; a page always waits for it
                await asyncio.Event().wait()
            received.set()
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await self._admin(scope, receive, send)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in sent[0]["headers"]}
        return AdminAnswer(sent[0]["status"], headers, b"".join(each.get("body", b"") for each in sent[1:]))

    def _scope(self, method: str, path: str, sandbox: str, query: str) -> Scope:
        named = [(b"x-mock-sandbox", sandbox.encode("latin-1", "replace"))] if sandbox else []
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": quote(path).encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [*self._headers, *named],
            "client": None,
            "server": ("localhost", 80),
        }


class Forwarded(Response):
    """The response of the admin API, as a file; a rejection is passed on as it is."""

    def __init__(self, admin: ASGIApp, scope: Scope, filename: str) -> None:
        super().__init__()
        self._admin = admin
        self._asked = scope
        self._saved = f"attachment; filename*=UTF-8''{quote(filename, safe='')}".encode()

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        async def pass_on(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 300:
                message = {**message, "headers": [*message["headers"], (b"content-disposition", self._saved)]}
            await send(message)

        await self._admin(self._asked, receive, pass_on)


def _detail(answer: AdminAnswer) -> str:
    try:
        told: Any = parse_json(answer.body)
    except JsonError:
        return ""
    violations = told.get("violations", ()) if isinstance(told, dict) else ()
    parts = [f"{'/'.join(map(str, each['location'][1:]))}: {each['message']}" for each in violations[:5]]
    return " ".join([str(told.get("detail", "")), *parts]).strip() if isinstance(told, dict) else ""
