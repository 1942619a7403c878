"""The admin API under /__admin: authorisation, validation and dispatch."""

import asyncio
import re
from collections.abc import Generator, Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qsl
from weakref import proxy

import orjson
from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response as StarletteResponse
from starlette.responses import StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from mockserver.engine.engine import MAKE_ROOM, Engine, is_named_by_token, sandbox_name
from mockserver.http import Request, Response
from mockserver.json_bodies import JsonError, parse_json
from mockserver.openapi.responses import problem, violation_json
from mockserver.openapi.router import MAX_NAME, allowed_methods
from mockserver.openapi.security import read_token
from mockserver.sandbox.manager import SandboxesFull
from mockserver.sandbox.sandbox import Sandbox
from mockserver.sandbox.snapshot.export import MAX_DOCUMENT, max_document_values
from mockserver.settings.table import Settings
from mockserver.text import nearest
from mockserver.web.admin.auth import AdminAuth
from mockserver.web.admin.call import AdminCall, AdminRefusal, AdminRoute, Step, deduplicated
from mockserver.web.admin.routes import ROUTES
from mockserver.web.callbacks.dispatcher import CallbackDispatcher
from mockserver.web.gateway import internal_error
from mockserver.web.lanes import busy, in_lane, own_lane
from mockserver.web.large_bodies import LARGE_BODIES
from mockserver.web.paths import ADMIN_PREFIX, HEALTH
from mockserver.web.scopes import route_path
from mockserver.workers import LaneFull

MAX_BODY = 1024 * 1024


def build_admin(engine: Engine, settings: Settings) -> ASGIApp:
    """The Starlette app for the admin API.

    It does not keep the engine alive: Starlette's router and middleware form reference cycles, which would keep it
    until garbage collection.
    """
    known: Engine = proxy(engine)
    by_path: dict[str, dict[str, AdminRoute]] = {}
    for verb in ROUTES:
        by_path.setdefault(verb.path, {})[verb.method] = verb
    endpoints = {path: _Endpoint(known, settings, verbs) for path, verbs in by_path.items()}
    routes = [
        *(Route(path, _Refusing({"GET"})) for path in HEALTH),
        # Longer paths first: a token or a name may contain slashes, and a suffix such as /ledger is not part of it.
        *(_route(path, endpoints[path]) for path in sorted(endpoints, key=len, reverse=True)),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _not_found})
    app.router.redirect_slashes = False
    plain: dict[str, ASGIApp] = {ADMIN_PREFIX + path: each for path, each in endpoints.items() if "{" not in path}

    async def admin(scope: Scope, receive: Receive, send: Send) -> None:
        # Trying all routes would take longer than a reset, which tests do all the time.
        path = route_path(scope)
        await plain.get(path, app)({**scope, "path": path, "root_path": ""}, receive, send)

    return admin


class _TextConvertor(Convertor[str]):
    """A non-empty string, slashes and line breaks included."""

    regex = "(?s:.+)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("text", _TextConvertor())


def _route(path: str, endpoint: "_Endpoint") -> Route:
    return Route(ADMIN_PREFIX + re.sub(r"\{(token|name)\}", r"{\1:text}", path), endpoint)


class _Refusing:
    """A path whose methods are all rejected."""

    def __init__(self, methods: set[str]) -> None:
        self._methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _method_not_allowed(scope["path"], scope["method"], self._methods)(scope, receive, send)


class _Endpoint:
    """All routes of one admin path."""

    def __init__(self, engine: Engine, settings: Settings, verbs: Mapping[str, AdminRoute]) -> None:
        self._engine = engine
        self._gate = AdminAuth(settings)
        self._body_timeout = settings.body_timeout
        self._verbs = verbs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = StarletteRequest(scope, receive)
        verb = self._verbs.get("GET" if request.method == "HEAD" else request.method)
        if verb is None:
            response = _method_not_allowed(request.url.path, request.method, self._verbs)
        else:
            try:
                self._gate.admit(request.headers)
                async with asyncio.timeout(self._body_timeout):
                    body = await _read_body(request, MAX_DOCUMENT if verb.is_large else MAX_BODY)
                response = await self._respond(verb, request, body)
            except TimeoutError:
                response = _problem(AdminRefusal(408, f"The body did not arrive within {self._body_timeout} seconds."))
            except AdminRefusal as refusal:
                response = _problem(refusal)
            except SandboxesFull as full:
                response = _problem(AdminRefusal(503, f"No sandbox can be made or pinned: {full}. {MAKE_ROOM}"))
            except LaneFull as full:
                response = _sent(busy(full), dict(busy(full).headers))
            except (ClientDisconnect, ConnectionResetError):
                return
            except Exception:  # the server would close the client's connection after an exception
                response = _sent(internal_error(request.method, request.url.path))
        await response(scope, receive, send)

    async def _respond(self, verb: AdminRoute, request: StarletteRequest, body: bytes) -> StarletteResponse:
        asked = Request(request.method, request.url.path, request.url.query, dict(request.headers), body)
        token = read_token(asked)
        name, by_token = sandbox_name(asked, token), is_named_by_token(asked, token)
        name = self._engine.sandboxes.name_of(name) or name  # its lane has its name, not its key
        path = dict(request.path_params)
        courier = self._engine.courier
        if isinstance(courier, CallbackDispatcher):
            courier.loop = asyncio.get_running_loop()
        if verb.in_steps:
            return await self._answer_in_steps(verb, asked, name, by_token, path, request.receive)
        if name in self._engine.workers.lanes:
            action = partial(self._answer, verb, asked, name, by_token, path)
            return await in_lane(self._engine.workers, name, action, request.receive)
        return self._answer(verb, asked, name, by_token, path)

    def _answer(
        self, verb: AdminRoute, asked: Request, name: str, by_token: bool, path: Mapping[str, str]
    ) -> StarletteResponse:
        call = self._call(verb, asked, name, by_token, path)
        with call.sandbox.transaction:
            answer = verb.answer(call)
            self._engine.settle(call.sandbox)
        return self._reply(verb, call.sandbox, answer)

    async def _answer_in_steps(  # noqa: PLR0917  what a call is made of
        self, verb: AdminRoute, asked: Request, name: str, by_token: bool, path: Mapping[str, str], receive: Receive
    ) -> StarletteResponse:
        """The response of a route with steps: each runs in its sandbox's transaction, the code between them outside."""
        workers, lane = self._engine.workers, own_lane()
        async with LARGE_BODIES.hold(len(asked.body)):
            call = await in_lane(workers, lane, partial(self._call, verb, asked, name, by_token, path), receive)
        steps, found = verb.answer(call), None
        while isinstance(step := await in_lane(workers, lane, partial(_next_step, steps, found), receive), Step):
            found = await in_lane(workers, step.sandbox, step.action, receive)
        return await in_lane(workers, lane, partial(self._reply, verb, call.sandbox, step), receive)

    def _call(self, verb: AdminRoute, asked: Request, name: str, by_token: bool, path: Mapping[str, str]) -> AdminCall:
        query, value = _read_query(verb, asked.query), _read_json(verb, asked.body)
        book = self._engine.sandboxes
        if verb.sets_up:
            book.check_room_to_pin(name)
        sandbox = book.open(name, by_token=by_token) if verb.sets_up else book.peek(name, by_token=by_token)
        return AdminCall(self._engine, sandbox, path, query, value)

    def _reply(self, verb: AdminRoute, sandbox: Sandbox, answer: Any) -> StarletteResponse:
        sandbox.is_set_up = sandbox.is_set_up or verb.sets_up
        told = self._engine.eviction_headers(sandbox) if sandbox.was_evicted else ()
        named = dict((("X-Mock-Sandbox", sandbox.shown_name.encode("ascii", "backslashreplace").decode()), *told))
        if isinstance(answer, Response):  # a route that does not return JSON
            return _sent(answer, named)
        return _json(200, answer, named)


def _next_step(steps: Generator[Step, Any, Any], found: Any) -> Any:
    """The next step after the result of the last one; the response if there is none."""
    try:
        return steps.send(found)
    except StopIteration as ended:
        return ended.value


async def _read_body(request: StarletteRequest, most: int) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise AdminRefusal(413, f"The body is larger than {most} bytes.")
    return bytes(body)


def _read_query(verb: AdminRoute, query: str) -> dict[str, str]:
    arguments: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in verb.parameters:
            known, near = ", ".join(sorted(verb.parameters)) or "none", nearest(name, sorted(verb.parameters))
            hint = f" Did you mean {near}?" if near else ""
            raise AdminRefusal(400, f"Unknown query parameter {name[:MAX_NAME]!r}; known: {known}.{hint}")
        if name in arguments:
            raise AdminRefusal(400, f"The query parameter {name!r} stands twice.")
        arguments[name] = value
    return arguments


def _read_json(verb: AdminRoute, body: bytes) -> Any:
    if verb.body is None:
        if body.strip() not in {b"", b"{}"}:
            raise AdminRefusal(400, f"{verb.method} {ADMIN_PREFIX}{verb.path} takes no body.")
        return {}
    try:
        value = parse_json(body or b"{}", max_document_values(len(body)) if verb.is_large else None)
    except JsonError as error:
        if error.code != "syntax":
            raise AdminRefusal(422, f"{error}.") from None
        definition = verb.body.definition
        wanted = definition.get("description") if isinstance(definition, dict) else None
        raise AdminRefusal(400, f"The body is {error}{f'; wanted {wanted}' if wanted else ''}.") from None
    violations = [] if verb.is_large else verb.body.violations(value, ("body",))  # orjson's error says more
    if violations:
        raise AdminRefusal(422, "The body is not what this call takes.", deduplicated(violations))
    return value


def _json(status: int, value: Any, headers: Mapping[str, str] | None = None) -> StarletteResponse:
    body = value if isinstance(value, bytes) else orjson.dumps(value)
    return StarletteResponse(body, status, headers, "application/json")


def _problem(refusal: AdminRefusal, headers: Mapping[str, str] | None = None) -> StarletteResponse:
    more: dict[str, Any] = (
        {"violations": [violation_json(each) for each in refusal.violations]} if refusal.violations else {}
    )
    return _sent(problem(refusal.status, "Refused", refusal.detail, **more), headers)


def _sent(answer: Response, headers: Mapping[str, str] | None = None) -> StarletteResponse:
    if not isinstance(answer.body, bytes):
        return StreamingResponse(answer.body, answer.status, headers, answer.media_type)
    return StarletteResponse(answer.body, answer.status, headers, answer.media_type)


def _method_not_allowed(path: str, method: str, methods: Any) -> StarletteResponse:
    headers = {"Allow": allowed_methods(methods)}
    if method == "OPTIONS":
        return StarletteResponse(status_code=204, headers=headers)
    detail = f"{path[:MAX_NAME]} does not answer {method[:MAX_NAME]}; it answers {headers['Allow']}."
    return _problem(AdminRefusal(405, detail), headers)


async def _not_found(request: StarletteRequest, _: Exception) -> StarletteResponse:
    path = request.url.path
    near = nearest(path.removeprefix(ADMIN_PREFIX), (verb.path for verb in ROUTES))
    hint = f" Did you mean {ADMIN_PREFIX}{near}?" if near else ""
    return _problem(AdminRefusal(404, f"No admin call has the path {path[:MAX_NAME]}.{hint}"))
