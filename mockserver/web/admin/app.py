"""The admin API under /__admin: authorisation, validation and dispatch."""

import asyncio
import re
from collections.abc import Generator, Mapping
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import parse_qsl
from weakref import proxy

import orjson
from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response as StarletteResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from mockserver.engine.engine import MAKE_ROOM, Engine, is_named_by_token, sandbox_name
from mockserver.http import Request, Response
from mockserver.json_bodies import JsonError, parse_json
from mockserver.openapi.responses import problem, violation_json
from mockserver.openapi.router import MAX_NAME, allowed_methods
from mockserver.openapi.security import read_token
from mockserver.sandbox.manager import SandboxesFull, shortened_name
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
SANDBOX = "sandbox"
"""The query parameter of every admin call that names its sandbox; it has precedence over headers."""
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


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
        asked = _read_request(verb, request, body)
        courier = self._engine.courier
        if isinstance(courier, CallbackDispatcher):
            courier.loop = asyncio.get_running_loop()
        if verb.in_steps:
            return await self._answer_in_steps(asked, request.receive)
        if asked.sandbox in self._engine.workers.lanes:
            return await in_lane(self._engine.workers, asked.sandbox, partial(self._answer, asked), request.receive)
        return self._answer(asked)

    def _answer(self, asked: "_AdminRequest") -> StarletteResponse:
        call = self._call(asked)
        with call.sandbox.transaction:
            answer = asked.verb.answer(call)
            self._engine.settle(call.sandbox)
        return self._reply(asked.verb, call.sandbox, answer)

    async def _answer_in_steps(self, asked: "_AdminRequest", receive: Receive) -> StarletteResponse:
        """The response of a route with steps: each runs in its sandbox's transaction, the code between them outside."""
        workers, lane = self._engine.workers, own_lane()
        async with LARGE_BODIES.hold(len(asked.body)):
            call = await in_lane(workers, lane, partial(self._call, asked), receive)
        steps, found = asked.verb.answer(call), None
        while isinstance(step := await in_lane(workers, lane, partial(_next_step, steps, found), receive), Step):
            found = await in_lane(workers, step.sandbox, step.action, receive)
        return await in_lane(workers, lane, partial(self._reply, asked.verb, call.sandbox, step), receive)

    def _call(self, asked: "_AdminRequest") -> AdminCall:
        value = _read_json(asked.verb, asked.body)
        book, name = self._engine.sandboxes, asked.sandbox
        if asked.verb.sets_up:
            book.check_room_to_pin(name)
        find = book.open if asked.verb.sets_up else book.peek
        return AdminCall(self._engine, find(name, by_token=asked.by_token), asked.path, asked.query, value)

    def _reply(self, verb: AdminRoute, sandbox: Sandbox, answer: Any) -> StarletteResponse:
        sandbox.is_set_up = sandbox.is_set_up or verb.sets_up
        told = self._engine.eviction_headers(sandbox) if sandbox.was_evicted else ()
        named = dict((("X-Mock-Sandbox", sandbox.shown_name.encode("ascii", "backslashreplace").decode()), *told))
        if isinstance(answer, Response):  # a route that does not return JSON
            return _sent(answer, named)
        return _json(200, answer, named)


class _AdminRequest(NamedTuple):
    """An admin request whose body is not parsed yet."""

    verb: AdminRoute
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    sandbox: str
    """The name or key of its sandbox."""
    by_token: bool
    """Whether its bearer token names the sandbox."""


def _read_request(verb: AdminRoute, request: StarletteRequest, body: bytes) -> _AdminRequest:
    query = _read_query(verb, request.url.query)
    asked = Request(request.method, request.url.path, request.url.query, dict(request.headers), b"")
    token = read_token(asked)
    if SANDBOX in query:
        name, by_token = shortened_name(_read_sandbox(query.pop(SANDBOX))), False
    else:
        name, by_token = sandbox_name(asked, token), is_named_by_token(asked, token)
    return _AdminRequest(verb, dict(request.path_params), query, body, name, by_token)


def _read_sandbox(text: str) -> str:
    """The name or key in a query, as it would be read from the bytes of a header."""
    name = text.encode("utf-8", "replace").decode("latin-1")
    if not name or name != name.strip() or _CONTROLS.search(name):
        raise AdminRefusal(400, f"sandbox is {text[:MAX_NAME]!r}; wanted a sandbox's name or key.")
    return name


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
    known = verb.parameters | {SANDBOX}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            near = nearest(name, sorted(known))
            hint = f" Did you mean {near}?" if near else ""
            detail = f"Unknown query parameter {name[:MAX_NAME]!r}; known: {', '.join(sorted(known))}.{hint}"
            raise AdminRefusal(400, detail)
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
