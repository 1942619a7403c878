"""Copies of bodies that pass through, within bounds: for validation, the journal and recordings."""

import hashlib
import zlib
from collections.abc import Mapping
from typing import cast

from mockserver.http import Upload
from mockserver.sandbox.blobs import Blob, BlobWriter
from mockserver.web.forms import FormError, FormReader

CHECKED_BYTES = 1024 * 1024
"""The most bytes of a body that is validated, since that takes time on the event loop."""
SHOWN_BYTES = 64 * 1024
"""Bytes of a longer body that the journal shows."""
MULTIPART = "multipart/form-data"
_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 47}


class Capture:
    """A copy of a body: all of it if it is not larger than the limit, else its beginning."""

    def __init__(self, limit: int = CHECKED_BYTES) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._held = 0
        self.size = 0
        """Bytes that have passed."""
        self.has_ended = False

    def add(self, chunk: bytes) -> None:
        """Bytes have passed."""
        self.size += len(chunk)
        if self.size <= self._limit:
            self._parts.append(chunk)
            self._held += len(chunk)
        elif self._held > SHOWN_BYTES:
            self._parts = [b"".join(self._parts)[:SHOWN_BYTES]]
            self._held = SHOWN_BYTES
        elif self._held < SHOWN_BYTES:
            self._parts.append(chunk[: SHOWN_BYTES - self._held])
            self._held += len(self._parts[-1])

    @property
    def is_whole(self) -> bool:
        """Whether the body has ended and was kept completely."""
        return self.has_ended and self.size <= self._limit

    @property
    def content(self) -> bytes:
        """What was kept."""
        if len(self._parts) > 1:
            self._parts = [b"".join(self._parts)]
        return self._parts[0] if self._parts else b""


class FileDigest:
    """An uploaded file of which only size and digest are known: its content went to the upstream."""

    def __init__(self, size: int, sha256: str) -> None:
        self.size = size
        self.sha256 = sha256

    def digest(self) -> bytes:
        """The SHA-256."""
        return bytes.fromhex(self.sha256)

    def __repr__(self) -> str:
        return f"<a file of {self.size} bytes, {self.sha256}>"


class _DigestWriter(BlobWriter):
    """Takes the content of a file without keeping it."""

    def __init__(self) -> None:
        super().__init__()
        self._sha = hashlib.sha256()
        self._length = 0

    def write(self, *parts: bytes) -> None:
        for part in parts:
            self._sha.update(part)
            self._length += len(part)

    def finish(self) -> Blob:
        return cast(Blob, FileDigest(self._length, self._sha.hexdigest()))


class FormCapture(FormReader):
    """Parses a form that passes through. Of its files only name, media type, size and digest are kept."""

    def _on_headers_finished(self) -> None:
        super()._on_headers_finished()
        if isinstance(self._part.content, BlobWriter):
            self._part.content = _DigestWriter()


class BodyCapture:
    """The body of a request as it passes: a copy of its bytes, or the fields of a form."""

    def __init__(self, headers: Mapping[str, str], limit: int = CHECKED_BYTES) -> None:
        """`headers` of the request have names in lower case."""
        self.bytes = Capture(limit)
        self._reader: FormCapture | None = None
        self.form: Mapping[str, str | Upload] | None = None
        self.form_parts: tuple[tuple[str, str | Upload], ...] = ()
        self.form_problem = ""
        """Why the form is invalid."""
        media_type = headers.get("content-type", "")
        if media_type.partition(";")[0].strip().lower() == MULTIPART:
            try:
                self._reader = FormCapture(media_type)
            except FormError as problem:
                self.form_problem = str(problem)

    @property
    def is_form(self) -> bool:
        return self._reader is not None or bool(self.form_problem)

    @property
    def can_be_checked(self) -> bool:
        """Whether the body has passed completely, and is a form or small."""
        return self.bytes.has_ended and (self.is_form or self.bytes.size <= CHECKED_BYTES)

    def add(self, chunk: bytes) -> None:
        """Bytes have passed."""
        self.bytes.add(chunk)
        if self._reader is not None and not self.form_problem:
            try:
                self._reader.feed(chunk)
            except FormError as problem:
                self.form_problem = str(problem)

    def end(self) -> None:
        """The body has passed completely."""
        self.bytes.has_ended = True
        if self._reader is not None and not self.form_problem:
            try:
                self.form_parts = tuple(self._reader.parts)
                self.form = self._reader.finish()
            except FormError as problem:
                self.form_problem = str(problem)

    def close(self) -> None:
        """Free what was parsed of a form that did not end."""
        if self._reader is not None:
            self._reader.close()


def decoded_body(content: bytes, coding: str, limit: int = CHECKED_BYTES) -> bytes | None:
    """A body without its content coding; None if that is unknown, broken, or the body is larger than `limit`."""
    for each in reversed([part.strip().lower() for part in coding.split(",")]):
        if each in {"", "identity"}:
            continue
        if each not in _WINDOWS:
            return None
        inflater = zlib.decompressobj(_WINDOWS[each])
        try:
            content = inflater.decompress(content, limit + 1)
        except zlib.error:
            return None
        if len(content) > limit or not inflater.eof:
            return None
    return content
