"""Delivers responses with faults: late, in pieces, in part, or not at all.

Faults that break the framing of HTTP need the connection's transport, which mockserver's server puts into the scope.
Under another ASGI server, a cut body is an exception of the app after the first bytes. Before the head that server
answers 500; in the same process, the client gets the ConnectionResetError.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from mockserver.http import FIRST_PART, DeliveryFaultKind, Response
from mockserver.web.answers.delivery import close_stream
from mockserver.web.lanes import wait_for_disconnect
from mockserver.web.scopes import TRANSPORT

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    Deliver = Callable[[Response, str, Receive, Send], Awaitable[None]]
    Message = MutableMapping[str, Any]

NO_SIZE = b"not a size\r\n"
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of 0 seconds: closing discards unsent data and sends a RST."""


class DeliveryFaultError(ConnectionResetError):
    """The connection is broken on purpose; the server offers no other way."""


class _Over(Exception):
    """Ends a delivery that is to be incomplete."""


class _Delivery(NamedTuple):
    """The delivery of one response."""

    response: Response
    method: str
    transport: Any
    """None under another ASGI server."""
    receive: "Receive"
    send: "Send"
    deliver: "Deliver"

    async def through(self, send: "Send") -> None:
        """Deliver the response completely, through `send`."""
        await self.deliver(self.response, self.method, self.receive, send)


async def deliver_with_fault(
    response: Response, scope: "Scope", receive: "Receive", send: "Send", deliver: "Deliver"
) -> None:
    """Deliver the response with its delay and fault; stop when the client disconnects or the server stops."""
    leaving = asyncio.ensure_future(wait_for_disconnect(receive))

    async def left() -> "Message":
        await asyncio.shield(leaving)
        return {"type": "http.disconnect"}

    transport = scope.get(TRANSPORT)
    if transport is not None:
        transport.disturb()
    work = asyncio.ensure_future(_perform(_Delivery(response, scope["method"], transport, left, send, deliver)))
    try:
        await asyncio.wait({leaving, work}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            if work.result():  # our server learns that the connection is lost before the app returns
                await leaving
            elif transport is not None:
                transport.is_disturbed = False
    finally:
        leaving.cancel()
        work.cancel()
        await asyncio.wait({leaving, work})
        close_stream(response.body)


async def _perform(delivery: _Delivery) -> bool:
    """Perform the fault; returns whether the connection was closed."""
    await asyncio.sleep(delivery.response.delay)
    disturbance = delivery.response.disturbance
    if disturbance is None:
        await delivery.through(delivery.send)
        return False
    return await PERFORMERS[disturbance.kind](delivery)


async def _trickle(delivery: _Delivery) -> bool:
    """A body of known length is sent in pieces of equal size; of a stream the first parts are the pieces."""
    disturbance = delivery.response.disturbance
    assert disturbance is not None
    whole = delivery.response.body
    left = max(min(disturbance.amount, len(whole)), 1) if isinstance(whole, bytes) else disturbance.amount
    pause = disturbance.seconds / left

    async def slowly(message: "Message") -> None:
        nonlocal left
        body = message.get("body", b"")
        while body and left:
            await asyncio.sleep(pause)
            size = -(-len(body) // left) if isinstance(whole, bytes) else len(body)
            piece, body = body[:size], body[size:]
            left -= 1
            await delivery.send({**message, "body": piece, "more_body": True})
        if "body" not in message or body or not message.get("more_body"):
            await delivery.send({**message, "body": body} if "body" in message else message)

    await delivery.through(slowly)
    return False


async def _cut(delivery: _Delivery) -> bool:
    await _pass_through(delivery, delivery.send)
    return _close(delivery)


async def _malformed_chunk(delivery: _Delivery) -> bool:
    async def chunked(message: "Message") -> None:
        if message["type"] == "http.response.start":
            kept = [each for each in message["headers"] if each[0] != b"content-length"]
            message = {**message, "headers": kept}
        await delivery.send(message)

    await _pass_through(delivery, chunked)
    has_body = delivery.method != "HEAD" and delivery.response.status not in {204, 304}
    return _close(delivery, NO_SIZE if has_body else b"")


async def _pass_through(delivery: _Delivery, send: "Send") -> None:
    """Deliver the head, and as much of the body as the fault allows."""
    disturbance = delivery.response.disturbance
    assert disturbance is not None
    left = disturbance.amount

    async def limited(message: "Message") -> None:
        nonlocal left
        if message["type"] == "http.response.start":
            await send(message)
            return
        body = message["body"]
        passed = body if left == FIRST_PART else body[:left]
        await send({**message, "body": passed, "more_body": True})
        is_over = bool(passed) if left == FIRST_PART else len(passed) == left
        left -= 0 if left == FIRST_PART else len(passed)
        if is_over or not message.get("more_body"):
            raise _Over

    with suppress(_Over):
        await delivery.through(limited)


async def _garbage(delivery: _Delivery) -> bool:
    assert isinstance(delivery.response.body, bytes)
    return _close(delivery, delivery.response.body)


async def _empty(delivery: _Delivery) -> bool:
    return _close(delivery)


async def _reset(delivery: _Delivery) -> bool:
    if delivery.transport is None:
        raise DeliveryFaultError("the connection is reset")
    delivery.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    delivery.transport.abort()
    return True


async def _timeout(delivery: _Delivery) -> bool:
    disturbance = delivery.response.disturbance
    assert disturbance is not None
    await asyncio.sleep(disturbance.seconds)
    return _close(delivery)


def _close(delivery: _Delivery, last: bytes = b"") -> bool:
    """Close the connection after the data sent so far and these last bytes."""
    if delivery.transport is None:
        raise DeliveryFaultError("the connection is closed before the reply has ended")
    if last:
        delivery.transport.write(last)
    delivery.transport.close()
    return True


PERFORMERS: Mapping[DeliveryFaultKind, Callable[[_Delivery], Awaitable[bool]]] = {
    DeliveryFaultKind.TRICKLE: _trickle,
    DeliveryFaultKind.CUT: _cut,
    DeliveryFaultKind.MALFORMED_CHUNK: _malformed_chunk,
    DeliveryFaultKind.GARBAGE: _garbage,
    DeliveryFaultKind.EMPTY: _empty,
    DeliveryFaultKind.RESET: _reset,
    DeliveryFaultKind.TIMEOUT: _timeout,
}
"""The function for each kind; it returns whether it closed the connection."""
