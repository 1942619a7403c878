"""Receives forms with files; however large a file is, memory holds little of it."""

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, NamedTuple

from mockserver.errors import Reason, Refusal
from mockserver.http import Upload
from mockserver.sandbox.blobs import no_room
from mockserver.web.forms import FormError, FormReader

if TYPE_CHECKING:
    from starlette.types import Receive

GATHERED_BYTES = 256 * 1024
"""So many bytes are parsed at once."""
INLINE_BYTES = 16 * 1024
"""As many are parsed on the event loop, more in a thread."""


class Form(NamedTuple):
    """A form that was received: its fields, of a repeated one the last, or what is wrong with it."""

    fields: dict[str, str | Upload] | None
    problem: str = ""


async def read_form(content_type: str, receive: "Receive", limit: int) -> Form:
    """The form that a request brings, received to its end even where it cannot be read.

    Raises Refusal when it is larger than `limit` bytes or the disk is full, and ConnectionResetError when the client
    left.
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
        return Form(reader.finish())
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
    async for _ in stream:  # A client that may not finish what it sends does not read the answer.
        pass
    return Form(None, said)


async def skip_body(receive: "Receive", limit: int) -> bool:
    """Receive a body of at most `limit` bytes and drop it; whether that was all of it."""
    return await _drain(_receive_pieces(receive, limit))


def upload_too_large(limit: int) -> Refusal:
    """The refusal of a form larger than `limit` bytes."""
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
