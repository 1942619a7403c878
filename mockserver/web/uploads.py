"""Receives forms with files in bounded memory."""

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, NamedTuple

from mockserver.errors import Reason, Refusal
from mockserver.http import Upload
from mockserver.sandbox.blobs import no_room
from mockserver.web.forms import FormError, FormReader

if TYPE_CHECKING:
    from starlette.types import Receive

GATHERED_BYTES = 512 * 1024
"""The bytes that are parsed at once."""
INLINE_BYTES = 16 * 1024
"""Bytes up to which parsing stays on the event loop; more is parsed in a thread."""


class ReceivedForm(NamedTuple):
    """A received form: its fields (of a repeated one the last), or why it is invalid."""

    fields: dict[str, str | Upload] | None
    problem: str = ""
    parts: tuple[tuple[str, str | Upload], ...] = ()
    """All fields in their order, repeated ones included."""


async def read_form(content_type: str, receive: "Receive", limit: int) -> ReceivedForm:
    """The form of a request, received completely even if it is invalid.

    Raises Refusal if it is larger than `limit` bytes or the disk is full, and ConnectionResetError if the client
    disconnects.
    """
    stream = _receive_pieces(receive, limit)
    reader = None
    try:
        reader = FormReader(content_type)
        async for data in stream:
            if len(data) > INLINE_BYTES:
                await asyncio.to_thread(reader.feed, data)
            else:
                reader.feed(data)
        parts = tuple(reader.parts)
        return ReceivedForm(reader.finish(), parts=parts)
    except FormError as problem:
        said = str(problem)
    except ConnectionResetError:
        _close(reader)
        raise
    except OSError as problem:
        _close(reader)
        await _drain(stream)
        raise no_room(problem) from None
    except BaseException:
        _close(reader)
        raise
    _close(reader)
    async for _ in stream:  # A client whose connection is closed while it sends does not read the response.
        pass
    return ReceivedForm(None, said)


async def skip_body(receive: "Receive", limit: int) -> bool:
    """Receive and discard a body of at most `limit` bytes; returns whether that was all."""
    return await _drain(_receive_pieces(receive, limit))


def upload_too_large(limit: int) -> Refusal:
    """The rejection of a form larger than `limit` bytes."""
    return Refusal(Reason.TOO_LARGE, f"The upload is larger than {limit} bytes.")


async def _drain(stream: AsyncGenerator[bytes, None]) -> bool:
    try:
        async for _ in stream:
            pass
    except Refusal:
        return False
    return True


def _close(reader: FormReader | None) -> None:
    if reader is not None:
        reader.close()


async def _receive_pieces(receive: "Receive", limit: int) -> AsyncGenerator[bytes, None]:
    size, is_more = 0, True
    parts: list[bytes] = []
    gathered = 0
    while is_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        part = message.get("body", b"")
        is_more = message.get("more_body", False)
        size += len(part)
        if size > limit:
            raise upload_too_large(limit)
        parts.append(part)
        gathered += len(part)
        if gathered >= GATHERED_BYTES or not is_more:
            yield b"".join(parts)
            parts, gathered = [], 0
