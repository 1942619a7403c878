"""Turns an HTTP request into a value, has the engine answer it, and turns the answer back into HTTP."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from mockserver.engine.engine import Engine
from mockserver.engine.prepared import PreparedRequest
from mockserver.errors import Conflict, Reason, Refusal, StoreUnavailable
from mockserver.http import Request, Response
from mockserver.lazy import lazy_module
from mockserver.openapi.responses import problem
from mockserver.redaction import shown_path
from mockserver.settings.parse import CORS_OFF
from mockserver.settings.table import Settings
from mockserver.stores.retry import retried
from mockserver.web.answers.delivery import Delivery, is_large
from mockserver.web.answers.loop_turns import LoopTurns
from mockserver.web.answers.space import AnswerSpace
from mockserver.web.body_timeout import BodyTimeout
from mockserver.web.callbacks.dispatcher import CallbackDispatcher
from mockserver.web.cors import CrossOrigin
from mockserver.web.lanes import busy, in_lane
from mockserver.web.large_bodies import LARGE_BODIES
from mockserver.web.scopes import read_headers, read_request
from mockserver.workers import LaneFull

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from mockserver.web import fault_delivery, uploads
else:
    fault_delivery = lazy_module("mockserver.web.fault_delivery")
    uploads = lazy_module("mockserver.web.uploads")

THREAD_BYTES = 256 * 1024
"""A larger body is handled in a thread, so that reading it does not hold up other requests."""
MAX_UPLOAD = 513 * 1024 * 1024
"""Largest form, in bytes: the largest file that is documented, and room for the fields around it."""
UPLOAD_TIMEOUT = 600
"""Longest wait for the rest of a form, in seconds."""
MULTIPART = "multipart/"

_log = logging.getLogger("mockserver")
_CLOSE = (("Connection", "close"),)
_FETCHED = "empty"
"""What browsers send in Sec-Fetch-Dest for `fetch`. Other values mean that the response becomes a page or part of one.
"""
_NO_ORIGIN = (("Content-Security-Policy", "sandbox"), ("X-Content-Type-Options", "nosniff"))
"""Headers by which a response, which a client may have chosen, runs no script in the origin of the inspector."""
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})

Answer = Callable[..., Response]
"""Answers a request."""


def _becomes_a_page(headers: Mapping[str, str]) -> bool:
    """Whether a browser will show the response as a page or as part of one."""
    return headers.get("sec-fetch-dest", _FETCHED) != _FETCHED


def _is_multipart(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "")[: len(MULTIPART)].lower() == MULTIPART


def _size(request: Request) -> int:
    """The bytes on which the time for an answer depends."""
    return len(request.body) + len(request.query) + len(request.path)


class Gateway:
    """Receives a request whole, has the engine answer it, and delivers the answer."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._engine.dispatcher = self.dispatcher = CallbackDispatcher(engine, settings)
        self._max_body = settings.max_body
        self.max_direct_body = min(settings.max_body, THREAD_BYTES)
        """The most bytes of a body for which `respond` may have a response."""
        self._body_timeout = BodyTimeout(settings.body_timeout)
        self._upload_timeout = BodyTimeout(UPLOAD_TIMEOUT)
        self.delivery = Delivery(engine.workers, AnswerSpace(), shows_source=settings.debug_headers)
        self._cors = (
            None if settings.cors == CORS_OFF else CrossOrigin(settings.cors, shows_source=settings.debug_headers)
        )
        self._workers = engine.workers
        self.group = engine.sandboxes.group
        """Commits what `respond` has changed; None if nothing has to be committed."""
        self.turns = LoopTurns()

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        method, headers = scope["method"], read_headers(scope)
        if self._cors is not None and (origin := headers.get("origin")) is not None:
            preflight = self._cors.preflight(origin, method, headers)
            if preflight is not None:
                await self.deliver(preflight, method, receive, send)
                return
        try:
            response = await self._respond(scope, headers, receive)
        except ConnectionResetError:
            return
        if self._cors is not None and "origin" in headers:
            response = self._cors.with_origin(response, headers["origin"])
        if _becomes_a_page(headers):
            response = response.with_headers(*_NO_ORIGIN)
        held = [response]  # only the callee refers to it then
        del response
        await self.send_response(held.pop(), scope, receive, send)

    async def send_response(self, response: Response, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Send a response, with its delay and its fault. The caller must keep no reference to it."""
        if is_large(response):
            async with self.delivery.hold(response) as kept:
                del response
                await self._deliver_with_faults(kept, scope, receive, send)
        else:
            await self._deliver_with_faults(response, scope, receive, send)

    def prepare(self, request: Request) -> PreparedRequest | None:
        """What a whole request says of itself, for `respond`; changes nothing.

        None if the event loop should not wait for its answer, or if its origin, a form or a browser needs more work.
        """
        headers, size = request.headers, len(request.body)
        if (self._cors is not None and "origin" in headers) or _becomes_a_page(headers):
            return None
        if size > self.max_direct_body or _is_multipart(headers) or self._engine.is_slow(request):
            return None
        return self._engine.prepare(request)

    def respond(self, request: Request, prepared: PreparedRequest) -> Response | None:
        """The response to a request that `prepare` has prepared; None, with nothing done, if the event loop should not
        wait for it.

        With a shared store it may be sent when `group` has committed what it waits for.
        """
        if self._workers.lanes and self._is_queued(request):
            return None
        if self.turns.is_counting and not self.turns.is_free(_size(request)):
            return None
        since = perf_counter()
        try:
            if self.group is None:
                response = self._attempt(request, self._engine.handle, prepared)
            else:
                response = self.group.run(self._attempt, request, self._engine.handle, prepared)
        except Conflict:
            return None
        self.turns.count(since)
        return response

    def standing_headers(self, media_type: str, source: str) -> tuple[tuple[bytes, bytes], ...]:
        """The headers of every response with this media type and source."""
        return self.delivery.standing_headers(media_type, source)

    async def _respond(self, scope: "Scope", headers: dict[str, str], receive: "Receive") -> Response:
        """The response; raises ConnectionResetError when the client left before there was one."""
        try:
            has_body = scope["method"] not in _BODILESS or "content-length" in headers or "transfer-encoding" in headers
            if has_body and _is_multipart(headers):
                request = await self._read_multipart(read_request(scope, headers, b""), receive)
            else:
                body = await self._read_body(headers, receive) if has_body else b""
                request = read_request(scope, headers, body)
        except Refusal as refusal:
            response = await self._refuse(read_request(scope, headers, b""), refusal.without_frames(), receive)
            # A client that is cut off while it sends never sees the answer; a body of known length is passed over.
            # One that waited for "100 Continue" may send its body all the same, or not.
            if refusal.reason is not Reason.TOO_LARGE or "content-length" not in headers or "expect" in headers:
                response = response._replace(headers=(*response.headers, *_CLOSE))
            return response
        if self._is_long(request):
            return await self._answer_in_lane(request, partial(self._answer_kept, request), receive)
        return await self._answer_in_turn(request, self._engine.handle, receive)

    async def _answer_in_turn(self, request: Request, answer: Answer, receive: "Receive") -> Response:
        """The answer, made on the event loop when it has time; in a thread if the sandbox is busy by then.

        So are further attempts after a conflict with another process, which wait for each other.
        """
        try:
            await self.turns.wait(_size(request))
        except LaneFull as full:
            return busy(full)
        if not self._is_queued(request):
            since = perf_counter()
            with suppress(Conflict):
                response = self._attempt(request, answer)
                self.turns.count(since)
                return response
        return await self._answer_in_lane(request, partial(self._insist, request, answer), receive)

    async def _read_body(self, headers: dict[str, str], receive: "Receive") -> bytes:
        """The whole body; raises Refusal TOO_LARGE or TIMED_OUT, and ConnectionResetError when the client left."""
        stated = headers.get("content-length", "0")
        if stated.isdigit() and int(stated) > self._max_body:
            raise self._too_large()
        return await self._body_timeout.wait(self._receive(receive))

    async def _receive(self, receive: "Receive") -> bytes:
        parts, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionResetError
            part = message.get("body", b"")
            size += len(part)
            if size > self._max_body:
                raise self._too_large()
            parts.append(part)
            if not message.get("more_body"):
                return part if len(parts) == 1 else b"".join(parts)

    async def _read_multipart(self, request: Request, receive: "Receive") -> Request:
        """The request with its form, files kept on disk, if the operation takes one from this account; else with its
        body, as any other. Raises as _read_body does, and Refusal when the disk is full."""
        if not self._engine.takes_form(request):
            return request._replace(body=await self._read_body(dict(request.headers), receive))
        if not self._engine.may_send_form(request):
            if await self._upload_timeout.wait(uploads.skip_body(receive, MAX_UPLOAD)):
                return request
            raise uploads.upload_too_large(MAX_UPLOAD)
        stated = request.headers.get("content-length", "0")
        if stated.isdigit() and int(stated) > MAX_UPLOAD:
            raise uploads.upload_too_large(MAX_UPLOAD)
        content_type = request.headers["content-type"]
        form = await self._upload_timeout.wait(uploads.read_form(content_type, receive, MAX_UPLOAD))
        return request._replace(form=form.fields, form_problem=form.problem, form_parts=form.parts)

    def _too_large(self) -> Refusal:
        return Refusal(Reason.TOO_LARGE, f"The body is larger than {self._max_body} bytes (setting --max-body).")

    def _is_long(self, request: Request) -> bool:
        """Whether the loop should not wait for the answer: it may take long, or its sandbox is busy."""
        is_large = len(request.body) > THREAD_BYTES or request.form is not None
        return is_large or self._engine.is_slow(request) or self._is_queued(request)

    def _is_queued(self, request: Request) -> bool:
        """Whether the request's sandbox is busy."""
        return bool(self._workers.lanes) and self._engine.lane(request) in self._workers.lanes

    def _attempt(self, request: Request, answer: Answer, *more: PreparedRequest) -> Response:
        """The response, also to what fails; raises Conflict if another process has changed the sandbox meanwhile.

        `more` is given to `answer` beside the request.
        """
        try:
            return answer(request, *more)
        except Conflict:
            raise
        except StoreUnavailable as problem:
            return self._engine.unavailable(request, problem)
        except Exception:
            return internal_error(request.method, request.path)

    def _insist(self, request: Request, answer: Answer) -> Response:
        """The response, after as many attempts as it takes. Made in a thread."""
        return self._attempt(request, lambda asked: retried(partial(answer, asked)))

    def _answer_kept(self, request: Request) -> Response:
        """The answer, on disk if it is large and there are many such ones. Made in a thread."""
        held = [self._insist(request, self._engine.handle)]
        return self.delivery.kept(held.pop())

    async def _refuse(self, request: Request, refusal: Refusal, receive: "Receive") -> Response:
        """The answer to a request that was not received whole; raises ConnectionResetError when the client left."""
        return await self._answer_in_turn(request, lambda asked: self._engine.refuse(asked, refusal), receive)

    async def _answer_in_lane(self, request: Request, action: Callable[[], Response], receive: "Receive") -> Response:
        """The answer, made in a thread in the turn of the request's sandbox; raises as in_lane does, but LaneFull."""
        self.dispatcher.loop = asyncio.get_running_loop()
        try:
            return await self._in_turn(request, action, receive)
        except LaneFull as full:
            return busy(full)

    async def _in_turn(self, request: Request, action: Callable[[], Response], receive: "Receive") -> Response:
        """A large body waits for others to be parsed; but never while its sandbox is busy, which may take long."""
        lane = self._engine.lane(request)
        if len(request.body) > THREAD_BYTES and lane not in self._workers.lanes:
            async with LARGE_BODIES.hold(len(request.body)):
                if lane not in self._workers.lanes:
                    return await in_lane(self._workers, lane, action, receive)
        return await in_lane(self._workers, lane, action, receive)

    async def _deliver_with_faults(self, response: Response, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if response.delay or response.disturbance is not None:
            await fault_delivery.deliver_with_fault(response, scope, receive, send, self.deliver)
        else:
            await self.deliver(response, scope["method"], receive, send)

    async def deliver(self, response: Response, method: str, receive: "Receive", send: "Send") -> None:
        """Send a response undisturbed."""
        await self.delivery.deliver(response, method, receive, send)


def internal_error(method: str, path: str) -> Response:
    """The response for the exception that is being handled, which is logged."""
    _log.exception("%s %s met a bug in mockserver", method, shown_path(path))
    return problem(500, "Bug in mockserver", "Please report it with the traceback from the server's log.")
