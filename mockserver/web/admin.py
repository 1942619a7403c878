"""The API under /__admin: who may call, what is refused, and which verb answers."""

import asyncio
import ipaddress
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response as StarletteResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from mockserver.contract.replies import problem
from mockserver.contract.routing import allowed_methods
from mockserver.contract.validation import read_token
from mockserver.engine import Engine, described
from mockserver.messages import Request, Response
from mockserver.settings import Settings
from mockserver.web.app import ADMIN_PREFIX, HEALTH
from mockserver.web.calls import AdminCall, AdminRefusal, Verb
from mockserver.web.verbs import VERBS

TOKEN_HEADER = "x-mock-admin-token"  # noqa: S105  a header's name
MAX_BODY = 1024 * 1024

ReadBody = Callable[[], Awaitable[bytes]]


def build_admin(engine: Engine, settings: Settings) -> Starlette:
    """The Starlette app for everything the gateway does not answer itself."""
    by_path: dict[str, dict[str, Verb]] = {}
    for verb in VERBS:
        by_path.setdefault(verb.path, {})[verb.method] = verb
    routes = [
        *(Route(path, _Refusing({"GET"})) for path in HEALTH),
        *(Route(ADMIN_PREFIX + path, _Endpoint(engine, settings, verbs)) for path, verbs in by_path.items()),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _not_found})
    app.router.redirect_slashes = False
    return app


class _Refusing:
    """A path all of whose methods are answered elsewhere."""

    def __init__(self, methods: set[str]) -> None:
        self._methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _method_not_allowed(scope["method"], self._methods)(scope, receive, send)


class _Endpoint:
    """All verbs of one admin path."""

    def __init__(self, engine: Engine, settings: Settings, verbs: Mapping[str, Verb]) -> None:
        self._engine = engine
        self._gate = _gate(settings)
        self._body_timeout = settings.body_timeout
        self._verbs = verbs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = StarletteRequest(scope, receive)
        verb = self._verbs.get("GET" if request.method == "HEAD" else request.method)
        if verb is None:
            response = _method_not_allowed(request.method, self._verbs)
        else:
            try:
                self._admit(request)
                async with asyncio.timeout(self._body_timeout):
                    body = await _read_body(request)
                response = self._answer(verb, request, body)
            except TimeoutError:
                response = _problem(AdminRefusal(408, f"The body did not arrive within {self._body_timeout} seconds."))
            except AdminRefusal as refusal:
                response = _problem(refusal)
            except ClientDisconnect:
                return
        await response(scope, receive, send)

    def _admit(self, request: StarletteRequest) -> None:
        if self._gate is None:
            _check_nearness(request)
            return
        if not self._gate:
            raise AdminRefusal(403, "The server listens beyond loopback without --admin-token, so /__admin is closed.")
        if not secrets.compare_digest(request.headers.get(TOKEN_HEADER, "").encode("latin-1"), self._gate.encode()):
            raise AdminRefusal(401, "The header X-Mock-Admin-Token does not hold the admin token.")

    def _answer(self, verb: Verb, request: StarletteRequest, body: bytes) -> StarletteResponse:
        asked = Request(request.method, request.url.path, request.url.query, dict(request.headers), body)
        sandbox = self._engine.open_sandbox(asked, read_token(asked))
        call = AdminCall(
            self._engine, sandbox, dict(request.path_params), _read_query(verb, asked.query), _read_json(verb, body)
        )
        with sandbox.transaction:
            value = verb.answer(call)
            self._engine.settle(sandbox)
        named = {"X-Mock-Sandbox": sandbox.name.encode("ascii", "backslashreplace").decode()}
        if isinstance(value, Response):  # a verb that does not speak JSON
            return StarletteResponse(value.body, value.status, named, value.media_type)
        return _json(200, value, named)


def _gate(settings: Settings) -> str | None:
    """The token to ask for; None when nobody is asked, empty when nobody may enter."""
    if settings.admin_token:
        return settings.admin_token
    return None if _is_loopback(settings.host) else ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _check_nearness(request: StarletteRequest) -> None:
    """A page of a stranger, open in a browser here, can send to loopback; but the browser says where it is from."""
    addresses = {"Host": f"//{request.headers.get('host', 'localhost')}", "Origin": request.headers.get("origin")}
    for name, address in addresses.items():
        if address is not None and not _is_near(address):
            detail = f"Without --admin-token, /__admin answers to loopback only; {name} is {address.lstrip('/')[:100]}."
            raise AdminRefusal(403, detail)


def _is_near(address: str) -> bool:
    try:
        return _is_loopback(urlsplit(address).hostname or "")
    except ValueError:
        return False


async def _read_body(request: StarletteRequest) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            raise AdminRefusal(413, f"The body is larger than {MAX_BODY} bytes.")
    return body


def _read_query(verb: Verb, query: str) -> dict[str, str]:
    arguments: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in verb.parameters:
            known = ", ".join(sorted(verb.parameters)) or "none"
            raise AdminRefusal(400, f"Unknown query parameter {name!r}; known: {known}.")
        if name in arguments:
            raise AdminRefusal(400, f"The query parameter {name!r} stands twice.")
        arguments[name] = value
    return arguments


def _read_json(verb: Verb, body: bytes) -> Any:
    if verb.body is None:
        if body.strip() not in {b"", b"{}"}:
            raise AdminRefusal(400, f"{verb.method} {ADMIN_PREFIX}{verb.path} takes no body.")
        return {}
    try:
        value = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as error:
        raise AdminRefusal(400, f"The body is not JSON: {error}.") from error
    violations = verb.body.violations(value, ("body",))
    if violations:
        raise AdminRefusal(422, "The body is not what this call takes.", violations)
    return value


def _json(status: int, value: Any, headers: Mapping[str, str] | None = None) -> StarletteResponse:
    return StarletteResponse(orjson.dumps(value), status, headers, "application/json")


def _problem(refusal: AdminRefusal, headers: Mapping[str, str] | None = None) -> StarletteResponse:
    more: dict[str, Any] = (
        {"violations": [described(each) for each in refusal.violations]} if refusal.violations else {}
    )
    answer = problem(refusal.status, "Refused", refusal.detail, **more)
    return StarletteResponse(answer.body, answer.status, headers, answer.media_type)


def _method_not_allowed(method: str, methods: Any) -> StarletteResponse:
    headers = {"Allow": allowed_methods(methods)}
    if method == "OPTIONS":
        return StarletteResponse(status_code=204, headers=headers)
    return _problem(AdminRefusal(405, f"This path does not answer {method}."), headers)


async def _not_found(request: StarletteRequest, error: Exception) -> StarletteResponse:  # noqa: ARG001  Starlette's signature
    return _problem(AdminRefusal(404, f"No admin call has the path {request.url.path}."))
