"""One request on its way to the upstream, and the answer on its way back."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from email.utils import formatdate
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from mockserver.contract.answers import answer_headers, changeable_answer, is_held, response_value
from mockserver.contract.callbacks.places import SEARCHED_BYTES, RequestParts
from mockserver.contract.capture import CHECKED_BYTES, SHOWN_BYTES, BodyCapture, Capture
from mockserver.contract.exchange import RESPONSE, DocumentChecker, RequestCheck
from mockserver.contract.journal import record_exchange
from mockserver.contract.upstream import Upstream, UpstreamError, UpstreamResponse, request_headers
from mockserver.engine.engine import Engine
from mockserver.errors import Reason, Refusal, Violation
from mockserver.http import PROXY_SOURCE, UPSTREAM_SOURCE, Request, Response
from mockserver.openapi.responses import VIOLATIONS_HEADER, WARNINGS, problem, violations_text
from mockserver.redaction import shown_path
from mockserver.settings.table import Settings
from mockserver.web.lanes import wait_for_disconnect
from mockserver.web.scopes import TRANSPORT, read_headers, read_request

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from mockserver.contract.callbacks.relay import CallbackRelay
    from mockserver.contract.recording.recorder import Recorder

_log = logging.getLogger("mockserver")
_TITLES = {502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout", 508: "Loop Detected"}


class ProxyContext(NamedTuple):
    """What all exchanges of a proxy share."""

    engine: Engine
    settings: Settings
    upstream: Upstream
    checker: DocumentChecker
    via: bytes
    """The proxy's own entry in Via headers, by which it recognises a request that it has sent itself."""
    deliver: "Callable[[Response, str, Receive, Send], Awaitable[None]]"
    """Sends a response of the proxy's own."""
    fails: bool = False
    """Whether violations are answered with errors: a documented 4xx for a request, 502 for an answer."""
    recorder: "Recorder | None" = None
    relay: "CallbackRelay | None" = None
    """None if callbacks go from the API to their receivers."""


class ClientGone(Exception):
    """The client has disconnected."""


class _Broken(Exception):
    """The answer broke off after it had begun."""


class Passing:
    """One exchange; see the module `proxy`."""

    def __init__(self, proxy: ProxyContext, scope: "Scope", receive: "Receive", send: "Send") -> None:
        self._proxy = proxy
        self._scope = scope
        self._receive = receive
        self._send = send
        self._headers = read_headers(scope)
        self._request = read_request(scope, self._headers, b"")
        self._route = proxy.checker.route(self._request)
        self._has_body = self._headers.get("content-length", "0").strip() != "0" or "transfer-encoding" in self._headers
        limit = proxy.recorder.body_bytes if proxy.recorder is not None else CHECKED_BYTES
        self._limit = limit
        self._body = BodyCapture(self._headers, limit) if self._has_body else None
        operation = None if isinstance(self._route, Refusal) else self._route.operation
        self._redirection = proxy.relay.redirection(self._request, operation) if proxy.relay is not None else None
        self._answer: UpstreamResponse | None = None
        self._check: RequestCheck | None = None
        self._transport = scope.get(TRANSPORT)
        """That of the connection under our server; None under another one."""
        self._leaving: asyncio.Future[None] | None = None
        """Under another server, waits for the client's disconnect."""
        self._is_watched = False
        self._task: asyncio.Task[None] | None = None
        self._has_left = False
        self._started = perf_counter()

    async def run(self) -> None:
        """Pass the request on and answer it; raises ClientGone."""
        self._task = asyncio.current_task()  # not that in which the HTTP client reads the body
        try:
            await self._pass_on()
        except UpstreamError as error:
            if self._has_left:  # the HTTP client reports an error of the body as one of its own
                raise ClientGone from None
            await self._fail(error)
        except _Broken:
            await self._break_off()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._has_left or task is None:
                raise
            task.uncancel()
            raise ClientGone from None
        finally:
            self._unwatch()
            if self._leaving is not None:
                self._leaving.cancel()
            if self._answer is not None:
                self._answer.close()
            if self._body is not None:
                self._body.close()
            if self._redirection is not None:
                self._redirection.end()

    async def _pass_on(self) -> None:
        proxy = self._proxy
        if proxy.via in self._headers.get("via", "").encode("latin-1"):
            raise UpstreamError(508, "The request comes from this proxy itself: its upstream leads back to it.")
        if not self._has_body:
            self._watch_client()
        content = await self._read_body()
        if self._reads_first() and await self._is_answered_here():
            return
        query, headers = self._scope["query_string"], self._scope["headers"]
        if self._redirection is not None:
            query, headers, content = await self._redirection.apply(RequestParts(query, headers, content))
        raw = self._scope.get("raw_path") or self._request.path.encode()
        target = proxy.upstream.target(raw.partition(b"?")[0], query)
        headers = request_headers(headers, proxy.upstream.url, via=proxy.via, has_body=self._has_body)
        self._answer = await proxy.upstream.send(
            self._request.method, target, headers, content, meanwhile=self._checked
        )
        await self._return(self._answer)

    def _reads_first(self) -> bool:
        """Whether the request is read before it is passed on. Forms are not validated before: they may be large."""
        is_form = self._body is not None and self._body.is_form
        return self._replays() or (self._proxy.fails and not is_form)

    def _replays(self) -> bool:
        return self._proxy.recorder is not None and self._proxy.recorder.replays

    async def _is_answered_here(self) -> bool:
        """Answer a request that is not passed on: an invalid one with --fail, or one that is replayed."""
        checked = self._checked()
        if self._proxy.fails and checked.refusal is not None:
            await self._refuse(checked.refusal)
            return True
        if self._replays() and self._proxy.recorder is not None:
            replayed = self._proxy.recorder.replay(self._proxy.engine, self._replayed_request(), checked)
            if replayed is not None:
                self._record(replayed, ())
                await self._deliver(replayed)
                return True
        return False

    async def _refuse(self, refusal: Refusal) -> None:
        """Answer an invalid request as the document says, and as the sandbox would."""
        await self._deliver(self._proxy.engine.refuse(self._request_value(), refusal))

    async def _read_body(self) -> AsyncIterator[bytes] | bytes | None:
        """The body if it has come with the head, or is to be read first and is small enough; else its chunks."""
        if self._body is None:
            return None
        limit = 0 if not self._reads_first() else self._limit if self._replays() else CHECKED_BYTES
        is_searched = self._redirection is not None and self._redirection.reads_body and not self._body.is_form
        if is_searched:
            limit = max(limit, SEARCHED_BYTES)
        parts = [await self._receive_chunk()]
        while not self._body.bytes.has_ended and self._body.bytes.size <= limit:
            parts.append(await self._receive_chunk())
        is_whole = self._body.bytes.has_ended and ("content-length" in self._headers or is_searched)
        return b"".join(parts) if is_whole else _joined(parts, self._chunks())

    async def _chunks(self) -> AsyncIterator[bytes]:
        """The rest of the request's body as it arrives; raises ClientGone."""
        assert self._body is not None
        while not self._body.bytes.has_ended:
            chunk = await self._receive_chunk()
            if chunk:
                yield chunk

    async def _receive_chunk(self) -> bytes:
        """The next bytes of the request's body; raises ClientGone."""
        assert self._body is not None
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._has_left = True
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        if chunk:
            self._body.add(chunk)
        if not message.get("more_body"):  # noted before the upstream has the last chunk, and may answer
            self._body.end()
            self._watch_client()
        return chunk

    def _watch_client(self) -> None:
        """From now on, stop at once if the client leaves. Called when its request is read."""
        if self._is_watched:
            return
        self._is_watched = True
        if self._transport is not None:
            self._transport.when_lost = self._stop
        else:
            self._leaving = asyncio.ensure_future(wait_for_disconnect(self._receive))
            self._leaving.add_done_callback(lambda leaving: None if leaving.cancelled() else self._stop())

    def _stop(self) -> None:
        self._has_left = True
        if self._task is not None:
            self._task.cancel()

    def _unwatch(self) -> None:
        """The end of the answer is about to be sent; the server then reports a disconnect in any case."""
        self._task = None
        if self._transport is not None and self._transport.when_lost == self._stop:
            self._transport.when_lost = None

    def _checked(self) -> RequestCheck:
        """The request as far as it has come: the upstream may answer before it has everything."""
        if self._check is None:
            self._check = self._proxy.checker.check_request(self._request, self._route, self._body)
        return self._check

    def _replayed_request(self) -> Request:
        """The request with all of its body, as recordings are searched for it."""
        if self._body is None:
            return self._request
        if self._body.is_form:
            return self._request._replace(form=self._body.form, form_parts=self._body.form_parts)
        return self._request._replace(body=self._body.bytes.content)

    def _request_value(self) -> Request:
        """The request as the journal keeps it."""
        if self._body is None or self._body.is_form:
            return self._request
        content = self._body.bytes.content
        return self._request._replace(body=content if self._body.bytes.is_whole else content[:SHOWN_BYTES])

    # The answer

    async def _return(self, answer: UpstreamResponse) -> None:
        capture = Capture(self._limit)
        chunks = answer.chunks()
        held: list[bytes] = []
        holds = is_held(answer, self._request.method)
        whole = answer.read_now() if holds else None
        if whole is not None:
            capture.add(whole)
            capture.has_ended = True
            held.append(whole)
        elif holds:
            async for chunk in chunks:
                capture.add(chunk)
                held.append(chunk)
                if capture.size > CHECKED_BYTES:
                    break
            else:
                capture.has_ended = True
        checked = self._checked()
        if self._proxy.fails and checked.refusal is not None:  # a form, which was not read first
            await self._refuse(checked.refusal)
            return
        if self._proxy.relay is not None or self._proxy.recorder is not None:
            capture, held = changeable_answer(self._proxy.relay, self._redirection, answer, capture, held)
        response = response_value(answer, capture)
        violations = self._proxy.checker.check_response(checked.service, self._request.method, response)
        if self._proxy.fails and any(each.code not in WARNINGS for each in violations):
            await self._reject_answer(answer, violations)
            return
        content = b"".join(held) if capture.has_ended else None
        if content is not None and self._proxy.recorder is not None:
            content = self._proxy.recorder.urls.in_bytes(content, self._request.base_url)
        await self._begin(answer, (*checked.violations, *violations), content)
        if content is not None:
            self._unwatch()
            await self._send({"type": "http.response.body", "body": content})
            if self._transport is not None:
                self._transport.flush()  # now, and not after the exchange is recorded
        else:
            await self._stream(held, chunks, capture)
            response = response_value(answer, capture)
            violations = self._proxy.checker.check_response(checked.service, self._request.method, response)
        self._finish(response, capture, violations)

    async def _begin(self, answer: UpstreamResponse, violations: tuple[Violation, ...], content: bytes | None) -> None:
        headers = answer_headers(answer, self._request.method, None if content is None else len(content))
        recorder = self._proxy.recorder
        if recorder is not None:
            headers = recorder.urls.in_headers(headers, self._request.base_url)
        if self._proxy.settings.debug_headers:
            headers.append((b"x-mock-source", UPSTREAM_SOURCE.encode()))
            if violations:
                headers.append((b"x-mock-violations", violations_text(violations).encode()))
        await self._send({"type": "http.response.start", "status": answer.status, "headers": headers})

    async def _stream(self, held: list[bytes], chunks: AsyncIterator[bytes], capture: Capture) -> None:
        """Pass the body on as it arrives, after what was held back of it; raises _Broken."""
        if held:
            await self._send({"type": "http.response.body", "body": b"".join(held), "more_body": True})
            held.clear()
        try:
            async for chunk in chunks:
                capture.add(chunk)
                await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        except UpstreamError as error:
            self._finish_broken(capture, str(error))
            raise _Broken from error
        capture.has_ended = True
        self._unwatch()
        await self._send({"type": "http.response.body", "body": b""})

    # The end

    def _finish(self, response: Response, capture: Capture, violations: tuple[Violation, ...]) -> None:
        if not isinstance(response.body, bytes):
            response = response._replace(body=capture.content[:SHOWN_BYTES])
        self._record(response, violations)
        if self._proxy.recorder is not None and self._answer is not None:
            seconds = perf_counter() - self._started
            self._proxy.recorder.add(self._request, self._checked(), self._body, self._answer, capture, seconds)

    def _finish_broken(self, capture: Capture, why: str) -> None:
        assert self._answer is not None
        response = response_value(self._answer, capture)._replace(body=capture.content[:SHOWN_BYTES])
        self._record(response, (Violation((RESPONSE, "body"), "incomplete", f"{why} {capture.size} bytes had come."),))
        place = shown_path(self._request.path)
        _log.warning("%s %s: %s %d bytes had come.", self._request.method, place, why, capture.size)

    def _record(self, response: Response, violations: tuple[Violation, ...], reason: str = "") -> None:
        """Record the exchange in the journal; without a `reason`, that of an invalid request counts."""
        checked = self._checked()
        record_exchange(
            self._proxy.engine,
            checked.service.operation.key if checked.service else "",
            self._request_value(),
            response,
            reason=reason or (checked.refusal.reason if checked.refusal else ""),
            violations=(*checked.violations, *violations),
            seconds=perf_counter() - self._started,
        )

    async def _reject_answer(self, answer: UpstreamResponse, violations: tuple[Violation, ...]) -> None:
        detail = f"The upstream answered {answer.status}, and not as the document says: {violations_text(violations)}"
        await self._answer_here(502, "Invalid Answer", detail, violations)

    async def _fail(self, error: UpstreamError) -> None:
        """Answer for an upstream that gave no answer."""
        reason = Reason.TIMED_OUT if error.status == 504 else Reason.UNAVAILABLE
        await self._answer_here(error.status, _TITLES[error.status], str(error), reason=reason)

    async def _answer_here(
        self, status: int, title: str, detail: str, violations: tuple[Violation, ...] = (), reason: str = ""
    ) -> None:
        found = (*self._checked().violations, *violations)
        response = problem(status, title, detail)._replace(source=PROXY_SOURCE)
        if found and self._proxy.settings.debug_headers:
            response = response.with_headers((VIOLATIONS_HEADER, violations_text(found)))
        if self._body is not None and not self._body.bytes.has_ended:
            response = response.with_headers(("Connection", "close"))
        self._record(response, violations, reason)
        await self._deliver(response)

    async def _deliver(self, response: Response) -> None:
        """Send an answer of the proxy's own."""
        self._unwatch()
        response = response.with_headers(("Date", formatdate(usegmt=True)))
        await self._proxy.deliver(response, self._request.method, self._receive, self._send)

    async def _break_off(self) -> None:
        """End the connection without an end of the body, so that the client sees that the answer is incomplete."""
        self._unwatch()
        transport = self._transport
        if transport is None:
            raise ConnectionResetError("the upstream broke off")
        if not transport.is_closing():  # else the connection is lost already
            lost = asyncio.get_running_loop().create_future()
            transport.when_lost = partial(lost.set_result, None)
            transport.disturb()
            transport.close()
            await lost


async def _joined(parts: list[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if any(parts):
        yield b"".join(parts)
    parts.clear()
    async for chunk in rest:
        yield chunk
