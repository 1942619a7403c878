"""The admin API under /__admin: authorisation, validation and dispatch."""

import asyncio
import re
from collections.abc import Generator, Mapping
from contextlib import nullcontext, suppress
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple
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

from mockserver.engine.engine import Engine
from mockserver.engine.prepared import sandbox_name
from mockserver.engine.refusals import MAKE_ROOM
from mockserver.errors import Conflict, Refusal, StoreUnavailable
from mockserver.http import Request, Response
from mockserver.json_bodies import JsonError, parse_json
from mockserver.openapi.operations import JSON
from mockserver.openapi.responses import problem, violation_json
from mockserver.openapi.router import MAX_NAME, allowed_methods
from mockserver.openapi.security import read_token
from mockserver.percent import parse_qsl
from mockserver.sandbox.blobs import Blob
from mockserver.sandbox.manager import SandboxesFull, shortened_name
from mockserver.sandbox.sandbox import Sandbox
from mockserver.sandbox.snapshot.export import MAX_DOCUMENT, max_document_values
from mockserver.settings.table import Settings
from mockserver.stores.retry import retried
from mockserver.text import nearest
from mockserver.web.admin.call import AdminCall, AdminRefusal, AdminRoute, Step, deduplicated, is_large_sandbox
from mockserver.web.admin.routes import ROUTES
from mockserver.web.admin_auth import AdminAuth
from mockserver.web.answers.delivery import Delivery, is_large
from mockserver.web.answers.encoding import encode_pieces, has_pieces
from mockserver.web.answers.loop_turns import LoopTurns
from mockserver.web.answers.space import SMALL_BYTES
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


def build_admin(engine: Engine, settings: Settings, delivery: Delivery, turns: LoopTurns) -> ASGIApp:
    """The Starlette app for the admin API; `delivery` sends the answers of the whole server, `turns` are its turns.

    It does not keep the engine alive: Starlette's router and middleware form reference cycles, which would keep it
    until garbage collection.
    """
    known: Engine = proxy(engine)
    by_path: dict[str, dict[str, AdminRoute]] = {}
    for route in ROUTES:
        by_path.setdefault(route.path, {})[route.method] = route
    endpoints = {path: _Endpoint(known, settings, delivery, turns, routes) for path, routes in by_path.items()}
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
        await _sent(_method_not_allowed(scope["path"], scope["method"], self._methods))(scope, receive, send)


class _Endpoint:
    """All routes of one admin path."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        delivery: Delivery,
        turns: LoopTurns,
        routes: Mapping[str, AdminRoute],
    ) -> None:
        self._engine = engine
        self._delivery = delivery
        self._turns = turns
        self._gate = AdminAuth(settings)
        self._body_timeout = settings.body_timeout
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = StarletteRequest(scope, receive)
        route = self._routes.get("GET" if request.method == "HEAD" else request.method)
        if route is None:
            response = _method_not_allowed(request.url.path, request.method, self._routes)
        else:
            try:
                self._gate.admit(request.headers)
                async with asyncio.timeout(self._body_timeout):
                    body = await _read_body(request, MAX_DOCUMENT if route.is_large else MAX_BODY)
                response = await self._respond(route, request, body)
            except TimeoutError:
                response = _problem(AdminRefusal(408, f"The body did not arrive within {self._body_timeout} seconds."))
            except AdminRefusal as refusal:
                response = _problem(refusal)
            except SandboxesFull as full:
                response = _problem(AdminRefusal(503, f"No sandbox can be made or pinned: {full}. {MAKE_ROOM}"))
            except LaneFull as full:
                response = busy(full)
            except StoreUnavailable as problem:
                response = self._engine.unavailable(_asked_of(request), problem)
            except Refusal as refusal:  # the disk is full
                response = _problem(AdminRefusal(refusal.status or 503, refusal.detail))
            except (ClientDisconnect, ConnectionResetError):
                return
            except Exception:  # the server would close the client's connection after an exception
                response = internal_error(request.method, request.url.path)
        if is_large(response):
            async with self._delivery.hold(response) as response:
                await self._delivery.deliver(response, request.method, receive, send)
        else:
            await self._delivery.deliver(response, request.method, receive, send)

    async def _respond(self, route: AdminRoute, request: StarletteRequest, body: bytes) -> Response:
        asked = _read_request(route, request, body)
        dispatcher = self._engine.dispatcher
        if isinstance(dispatcher, CallbackDispatcher):
            dispatcher.loop = asyncio.get_running_loop()
        action = partial(retried, partial(self._answer, asked))
        name = self._engine.sandboxes.name_of(asked.sandbox) or asked.sandbox  # its lane has its name, not its key
        if route.grows and self._is_large(route, name):
            async with self._delivery.space.turn(name):
                if route.in_steps:
                    return await self._answer_in_steps(asked, request.receive)
                may_stop = route.method == "GET"
                return await in_lane(self._engine.workers, name, action, request.receive, may_stop=may_stop)
        if route.in_steps:
            return await self._answer_in_steps(asked, request.receive)
        turns = self._turns
        await turns.wait(len(asked.body) + len(request.url.query))
        if name not in self._engine.workers.lanes:
            since = perf_counter()
            with suppress(Conflict):  # further attempts wait for other processes, and the event loop should not
                response = self._answer(asked)
                turns.count(since)
                return response
        return await in_lane(self._engine.workers, name, action, request.receive)

    def _answer(self, asked: "_AdminRequest") -> Response:
        call = self._call(asked)
        with call.sandbox.transaction:
            answer = self._encode(asked.route.answer(call))
            if asked.route.sets_up:
                call.sandbox.is_set_up = True
            self._engine.settle(call.sandbox)
        return self._reply(asked.route, call.sandbox, answer)

    async def _answer_in_steps(self, asked: "_AdminRequest", receive: Receive) -> Response:
        """The response of a route with steps: each runs in its sandbox's transaction, the code between them outside."""
        workers, lane, route = self._engine.workers, own_lane(), asked.route
        async with LARGE_BODIES.hold(len(asked.body)) if asked.body else nullcontext():
            call = await in_lane(workers, lane, partial(self._call, asked), receive)
            steps, sandbox = route.answer(call), call.sandbox
            del call  # the parsed body, several times as large as its text, lives until the first step
            step = await in_lane(workers, lane, partial(_next_step, steps, None), receive, may_stop=True)
        while isinstance(step, Step):
            found = await in_lane(workers, step.sandbox, partial(retried, step.action), receive)
            step = await in_lane(workers, lane, partial(_next_step, steps, found), receive, may_stop=True)
        return await in_lane(workers, lane, lambda: self._reply(route, sandbox, self._encode(step)), receive)

    def _is_large(self, route: AdminRoute, name: str) -> bool:
        """Whether the answer may be large, or take long."""
        found = self._engine.sandboxes.named(name)
        return found is not None and (route.is_large or is_large_sandbox(found))

    def _call(self, asked: "_AdminRequest") -> AdminCall:
        value = _read_json(asked.route, asked.body)
        book, name = self._engine.sandboxes, asked.sandbox
        if asked.route.sets_up:
            book.check_room_to_pin(name)
        find = book.open if asked.route.sets_up else book.peek
        sandbox = find(name, by_token=asked.by_token)
        return AdminCall(self._engine, sandbox, asked.path, asked.query, value, self._delivery.space.keep)

    def _encode(self, answer: Any) -> bytes | Blob | Response:
        """The answer in JSON; as it is if it is no JSON value."""
        if isinstance(answer, bytes | Blob | Response):
            return answer
        return self._delivery.space.keep(encode_pieces(answer)) if has_pieces(answer) else orjson.dumps(answer)

    def _reply(self, route: AdminRoute, sandbox: Sandbox, answer: bytes | Blob | Response) -> Response:
        if route.sets_up and not sandbox.is_set_up:
            sandbox.is_set_up = True
        told = self._engine.eviction_headers(sandbox) if sandbox.was_evicted else ()
        named = (("X-Mock-Sandbox", sandbox.shown_name.encode("ascii", "backslashreplace").decode()), *told)
        if isinstance(answer, Response):  # a route that does not return JSON
            return answer.with_headers(*named)
        if isinstance(answer, bytes):
            return Response(200, JSON, answer, named)
        if answer.size <= SMALL_BYTES:
            return Response(200, JSON, answer.read(), named)
        return Response(200, JSON, answer.chunks(), (*named, ("Content-Length", str(answer.size))))


class _AdminRequest(NamedTuple):
    """An admin request whose body is not parsed yet."""

    route: AdminRoute
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    sandbox: str
    """The name or key of its sandbox."""
    by_token: bool
    """Whether its bearer token names the sandbox."""


def _read_request(route: AdminRoute, request: StarletteRequest, body: bytes) -> _AdminRequest:
    query = _read_query(route, request.url.query)
    asked = _asked_of(request)
    token = read_token(asked)
    if SANDBOX in query:
        name, by_token = shortened_name(_read_sandbox(query.pop(SANDBOX))), False
    else:
        name, by_token = sandbox_name(asked, token)
    return _AdminRequest(route, dict(request.path_params), query, body, name, by_token)


def _asked_of(request: StarletteRequest) -> Request:
    """The request as a value, without its body."""
    return Request(request.method, request.url.path, request.url.query, dict(request.headers), b"")


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


def _read_query(route: AdminRoute, query: str) -> dict[str, str]:
    arguments: dict[str, str] = {}
    known = route.parameters | {SANDBOX}
    for name, value in parse_qsl(query):
        if name not in known:
            near = nearest(name, sorted(known))
            hint = f" Did you mean {near}?" if near else ""
            detail = f"Unknown query parameter {name[:MAX_NAME]!r}; known: {', '.join(sorted(known))}.{hint}"
            raise AdminRefusal(400, detail)
        if name in arguments:
            raise AdminRefusal(400, f"The query parameter {name!r} stands twice.")
        arguments[name] = value
    return arguments


def _read_json(route: AdminRoute, body: bytes) -> Any:
    if route.body is None:
        if body.strip() not in {b"", b"{}"}:
            raise AdminRefusal(400, f"{route.method} {ADMIN_PREFIX}{route.path} takes no body.")
        return {}
    try:
        value = parse_json(body or b"{}", max_document_values(len(body)) if route.is_large else None)
    except JsonError as error:
        if error.code != "syntax":
            raise AdminRefusal(422, f"{error}.") from None
        definition = route.body.definition
        wanted = definition.get("description") if isinstance(definition, dict) else None
        raise AdminRefusal(400, f"The body is {error}{f'; wanted {wanted}' if wanted else ''}.") from None
    violations = [] if route.is_large else route.body.violations(value, ("body",))  # orjson's error says more
    if violations:
        raise AdminRefusal(422, "The body is not what this call takes.", deduplicated(violations))
    return value


def _problem(refusal: AdminRefusal) -> Response:
    more: dict[str, Any] = (
        {"violations": [violation_json(each) for each in refusal.violations]} if refusal.violations else {}
    )
    return problem(refusal.status, "Refused", refusal.detail, **more)


def _sent(answer: Response) -> StarletteResponse:
    """The response as one of Starlette's."""
    return StarletteResponse(answer.body, answer.status, dict(answer.headers), answer.media_type or None)


def _method_not_allowed(path: str, method: str, methods: Any) -> Response:
    allow = ("Allow", allowed_methods(methods))
    if method == "OPTIONS":
        return Response(204, headers=(allow,))
    detail = f"{path[:MAX_NAME]} does not answer {method[:MAX_NAME]}; it answers {allow[1]}."
    return _problem(AdminRefusal(405, detail)).with_headers(allow)


async def _not_found(request: StarletteRequest, _: Exception) -> StarletteResponse:
    path = request.url.path
    near = nearest(path.removeprefix(ADMIN_PREFIX), (route.path for route in ROUTES))
    hint = f" Did you mean {ADMIN_PREFIX}{near}?" if near else ""
    return _sent(_problem(AdminRefusal(404, f"No admin call has the path {path[:MAX_NAME]}.{hint}")))
