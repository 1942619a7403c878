"""Forms with files, read while they come in; however large a file is, memory holds little of it."""

from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from mockserver.errors import Reason, Refusal
from mockserver.messages import Upload
from mockserver.stores.blobs import MEMORY_BYTES, Blob

if TYPE_CHECKING:
    from starlette.types import Receive

MAX_FILES = 10
MAX_FIELDS = 100
MAX_FIELD_BYTES = 256 * 1024
"""Of a field that is not a file."""
GATHERED_BYTES = 1024 * 1024
"""So many are handed on together: each piece of a file is written in a thread, and the way there and back is long."""


class _FormParser(MultiPartParser):
    """Starlette's parser within our bounds. By itself it takes a form that was cut off for a whole one."""

    spool_max_size = MEMORY_BYTES

    def __init__(self, headers: Headers, stream: AsyncGenerator[bytes, None]) -> None:
        whole = self._to_its_end(stream)
        super().__init__(headers, whole, max_files=MAX_FILES, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES)
        self._has_ended = False

    def on_end(self) -> None:
        self._has_ended = True

    async def _to_its_end(self, stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        async for part in stream:
            yield part
        if not self._has_ended:
            raise MultiPartException("The form has no end.")


async def read_form(headers: Mapping[str, str], receive: "Receive", limit: int) -> dict[str, str | Upload] | None:
    """The fields of a multipart body, of a repeated one the last; None, once all is received, when it cannot be read.

    Raises Refusal when it is larger than `limit` bytes or the disk is full, and ConnectionResetError when the client
    left.
    """
    stream = _received(receive, limit)
    try:
        fields = await _FormParser(Headers(headers), stream).parse()
    except (MultiPartException, UnicodeError):
        async for _ in stream:  # a client that may not finish what it says does not hear the answer
            pass
        return None
    except ConnectionResetError:
        raise
    except OSError as problem:
        detail = f"The upload could not be kept: {problem.strerror}."
        raise Refusal(Reason.UNAVAILABLE, detail, status=507) from problem
    return {_readable(name): _kept(value) for name, value in fields.multi_items()}


def upload_too_large(limit: int) -> Refusal:
    """The refusal of a form larger than `limit` bytes."""
    return Refusal(Reason.TOO_LARGE, f"The upload is larger than {limit} bytes.")


async def _received(receive: "Receive", limit: int) -> AsyncGenerator[bytes, None]:
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


def _kept(value: str | UploadFile) -> str | Upload:
    if isinstance(value, str):
        return _readable(value)
    with value.file as file:
        blob = Blob.on_disk(file) if (value.size or 0) > MEMORY_BYTES else Blob.in_memory(file.read())
    return Upload(_readable(value.filename or ""), _readable(value.content_type or ""), blob)


def _readable(text: str) -> str:
    """The text without lone surrogates, which some encodings can say and JSON cannot."""
    return text.encode("utf-8", "replace").decode()
