"""Sends responses: small ones at once, large ones and streams in parts, each when the one before was taken."""

import asyncio
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, suppress
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from mockserver.errors import Refusal
from mockserver.http import EMPTY_STATUSES, Response
from mockserver.openapi.responses import problem
from mockserver.sandbox.blobs import BlobParts
from mockserver.web.answers.space import LEAST_PART, SMALL_BYTES, AnswerSpace
from mockserver.web.lanes import busy, own_lane, wait_for_disconnect
from mockserver.web.large_bodies import LARGE_BODIES
from mockserver.workers import LaneFull, Workers

if TYPE_CHECKING:
    from starlette.types import Receive, Send

KEPT_AT_ONCE = 4 * 1024 * 1024
"""Bytes of a response that are written to disk on the event loop."""
_NOTHING_YET = {"type": "http.response.body", "body": b"", "more_body": True}
_END = {"type": "http.response.body", "body": b""}


def is_large(response: Response) -> bool:
    """Whether the body is in memory, and large enough to be counted."""
    return isinstance(response.body, bytes) and len(response.body) > SMALL_BYTES


class Delivery:
    """Sends the responses of a server."""

    def __init__(self, workers: Workers, space: AnswerSpace, *, shows_source: bool) -> None:
        self.space = space
        self._workers = workers
        self._shows_source = shows_source

    def standing_headers(self, media_type: str, source: str) -> tuple[tuple[bytes, bytes], ...]:
        """The headers of every response with this media type and source."""
        return _standing_headers(media_type, source if self._shows_source else "")

    def _headers(self, response: Response) -> list[tuple[bytes, bytes]]:
        own = ((_header_name(name), value.encode("latin-1", "replace")) for name, value in response.headers)
        return [*self.standing_headers(response.media_type, response.source), *own]

    @asynccontextmanager
    async def hold(self, response: Response) -> AsyncIterator[Response]:
        """The response, whose memory counts inside the block; a large one is on disk if there are many already.

        The caller must keep no other reference to it.
        """
        body = response.body
        if not (isinstance(body, bytes) and is_large(response)):
            yield response
            return
        size = len(body)
        del body
        if not self._fits(size):
            held = [response]
            del response
            if size > KEPT_AT_ONCE:
                held = [await self._workers.run(own_lane(), lambda: self.kept(held.pop()))]
            response = self.kept(held.pop())
        with self.space.hold(size if is_large(response) else 0):
            yield response

    def _fits(self, size: int) -> bool:
        try:
            return self.space.is_in_memory(size)
        except LaneFull:
            return False

    def kept(self, response: Response) -> Response:
        """The response; with its body on disk if there are many large ones in memory. Called in any thread."""
        body = response.body
        if not (isinstance(body, bytes) and is_large(response)):
            return response
        try:
            if self.space.is_in_memory(len(body)):
                return response
            blob = self.space.keep((body,))
        except (LaneFull, Refusal) as full:
            return no_space(full)
        headers = (*response.headers, ("Content-Length", str(len(body))))
        return response._replace(body=blob.chunks(), headers=headers)

    async def deliver(self, response: Response, method: str, receive: "Receive", send: "Send") -> None:
        """Send a response undisturbed."""
        body = response.body if response.status not in EMPTY_STATUSES else b""
        headers = self._headers(response)
        start = {"type": "http.response.start", "status": response.status, "headers": headers}
        if not isinstance(body, bytes):
            await send(start)
            await self._stream(body, receive, send, only_head=method == "HEAD")
            return
        if response.status != 204:
            headers.append((b"content-length", b"%d" % len(body)))
        await send(start)
        if len(body) > SMALL_BYTES and method != "HEAD":
            await self._send_slices(body, send)
        else:
            await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})

    async def _send_slices(self, body: bytes, send: "Send") -> None:
        at = 0
        with self.space.stream():
            while at < len(body):
                async with self.space.part():
                    part = body[at : at + self.space.part_bytes]
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                at += len(part)
                await _flush(send, _END if at == len(body) else _NOTHING_YET)

    async def _stream(self, parts: Iterator[bytes], receive: "Receive", send: "Send", *, only_head: bool) -> None:
        """Send parts as they are made; stop when the client leaves."""
        lane, leaving = own_lane(), asyncio.ensure_future(wait_for_disconnect(receive))
        unread = 0
        try:
            with self.space.stream():
                while not (only_head or leaving.done()):
                    if isinstance(parts, BlobParts):
                        parts.part_bytes = self.space.part_bytes
                    async with self.space.part():
                        part = await self._workers.run(lane, partial(next, parts, None))
                        if part is None:
                            break
                        await send({"type": "http.response.body", "body": part, "more_body": True})
                    unread += len(part)
                    if unread >= LEAST_PART:
                        unread = 0
                        del part
                        await _flush(send, _NOTHING_YET)
            if not leaving.done():
                await send(_END)
        except ConnectionResetError:  # the server ends; without its last part the response is seen to be cut off
            return
        finally:
            is_abandoned = leaving.done()
            leaving.cancel()
            close_stream(parts)
            if is_abandoned:  # what many abandoned streams kept lies in small pieces all over the heap
                LARGE_BODIES.trim_soon()


def close_stream(body: bytes | Iterator[bytes]) -> None:
    """Stop producing a stream, which the journal would otherwise keep alive."""
    if isinstance(body, Generator | BlobParts):
        with suppress(ValueError):  # the server stops, and a thread is still producing a part
            body.close()


async def _flush(send: "Send", message: dict[str, Any]) -> None:
    """Send a message without content, as soon as the client has read most of what was sent before."""
    await asyncio.sleep(0)  # our transport writes at the end of the loop's turn
    await send(message)


def no_space(full: LaneFull | Refusal) -> Response:
    """The response where there is no room for the requested one."""
    if isinstance(full, LaneFull):
        return busy(full)
    return problem(full.status or 503, "No Space", str(full))


@lru_cache(maxsize=256)
def _header_name(name: str) -> bytes:
    return name.lower().encode("latin-1")


@lru_cache(maxsize=4096)
def _standing_headers(media_type: str, source: str) -> tuple[tuple[bytes, bytes], ...]:
    named = ((b"content-type", _with_charset(media_type)), (b"x-mock-source", source))
    return tuple((name, value.encode("latin-1", "replace")) for name, value in named if value)


def _with_charset(media_type: str) -> str:
    return (
        f"{media_type}; charset=utf-8" if media_type.startswith("text/") and "charset" not in media_type else media_type
    )
