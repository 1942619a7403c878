"""Parses multipart/form-data as it arrives. python-multipart finds the parts; one budget bounds each form.

A preamble is legal (RFC 2046, 5.1.1), but python-multipart rejects it. So the parser first gets the head of an
artificial part; the preamble becomes its content, and is discarded.
"""

import logging
import re
from threading import Lock
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from mockserver.http import Upload
from mockserver.sandbox.blobs import BlobWriter

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MAX_FILES = 10
MAX_FIELDS = 100
MAX_FIELD_BYTES = 256 * 1024
"""The most bytes of a field that is not a file."""
MAX_HEADER_BYTES = 8 * 1024
"""The most bytes of all headers of a part."""
MAX_CONTENT_TYPE = 1024
"""The most characters of the header with the boundary."""
MAX_BOUNDARY = 256
SPARE_BOUNDARIES = 1000
"""How often the boundary may occur other than before a part; each costs the parser time."""
SPARE_BYTES = 64 * 1024
"""Bytes of a form that are neither content nor headers nor boundaries."""
MAX_SHOWN = 100

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_EXTENDED = re.compile(r";\s*filename\*\s*=\s*([^;\s]*)", re.IGNORECASE)
_CODINGS = {"utf-8": "utf-8", "iso-8859-1": "latin-1"}
"""The charsets that RFC 5987 requires."""
_NOT_DECODED = frozenset({"base64", "quoted-printable"})

logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # It would log a line for each invalid form.


class FormError(Exception):
    """Why a form is invalid; the message is for the client."""


class _Part:
    """A part as far as it has been parsed: a field, or a file if it has a filename."""

    def __init__(self) -> None:
        self.headers: dict[str, bytes] = {}
        self.size = 0
        """The bytes of its headers."""
        self.name = self.filename = ""
        self.content: bytearray | BlobWriter = bytearray()


class FormReader:
    """Parses one form. `feed` may run in a thread, one call at a time; `close` may be called meanwhile."""

    def __init__(self, content_type: str) -> None:
        """Raises FormError for a Content-Type without a valid boundary."""
        self._boundary = _read_boundary(content_type)
        self._delimiter = b"\r\n--" + self._boundary
        names = (
            *("part_begin", "part_data", "part_end", "end"),
            *("header_field", "header_value", "header_end", "headers_finished"),
        )
        self._callbacks = {f"on_{name}": getattr(self, f"_on_{name}") for name in names}
        self._parser = MultipartParser(self._boundary, cast("MultipartCallbacks", self._callbacks))
        self._fields: dict[str, str | Upload] = {}
        self.parts: list[tuple[str, str | Upload]] = []
        """All fields in their order, repeated ones included."""
        self._part = _Part()
        self._field = self._value = b""
        self._parts = self._files = self._boundaries = 0
        self._spare = SPARE_BYTES + (MAX_FILES + MAX_FIELDS + SPARE_BOUNDARIES) * (len(self._delimiter) + 8)
        self._gathered: list[bytes] = []
        self._tail = b""
        self._has_ended = self._is_closed = self._has_bare_newlines = False
        self._lock = Lock()
        self._parser.write(self._delimiter[2:] + b"\r\n\r\n")  # The artificial part that contains the preamble.
        self._parser.write(b"\r\n")

    def feed(self, data: bytes) -> None:
        """Parse more of the body. Raises FormError, and OSError if the disk is full."""
        with self._lock:
            try:
                if not (self._has_ended or self._is_closed):
                    self._parse(data)
            finally:
                if self._is_closed:
                    self._drop()

    def finish(self) -> dict[str, str | Upload]:
        """The fields; of a repeated one the last. Raises FormError for an incomplete form."""
        if not self._has_ended:
            shown = self._boundary.decode("latin-1")[:MAX_SHOWN]
            if self._has_bare_newlines:
                raise FormError("its lines end with LF alone; wanted CRLF")
            if self._parts <= 1:
                raise FormError(f"the boundary '--{shown}' stands nowhere in the body")
            raise FormError(f"it has no last boundary ('--{shown}--')")
        fields = self._fields
        self._drop()
        return fields

    def close(self) -> None:
        """Close all files, at once or when a running `feed` returns."""
        self._is_closed = True
        if self._lock.acquire(blocking=False):
            self._drop()
            self._lock.release()

    def _drop(self) -> None:
        self._fields, self._part = {}, _Part()
        self.parts = []
        self._callbacks.clear()  # They refer to this object, which would stay alive until garbage collection.

    def _parse(self, data: bytes) -> None:
        line = self._delimiter[2:]
        if line in data or line in self._tail + data[: len(line)]:  # as in few pieces of a file
            seen = self._tail + data
            self._has_bare_newlines |= line + b"\n" in seen or self._stands_after_bare_newline(seen)
            self._boundaries += data.count(self._delimiter)
        self._tail = data[-len(self._delimiter) :]
        if self._boundaries > MAX_FILES + MAX_FIELDS + SPARE_BOUNDARIES:
            raise FormError("its boundary stands in it too often")
        self._spare -= len(data)
        try:
            self._parser.write(data)
        except FormParserError as problem:
            if self._has_bare_newlines:
                raise FormError("its lines end with LF alone; wanted CRLF") from None
            raise FormError(str(problem)[:MAX_SHOWN]) from None
        self._keep()
        if self._spare < 0:
            raise FormError("it has too many bytes between its parts")

    def _stands_after_bare_newline(self, data: bytes) -> bool:
        at = data.find(self._delimiter[1:], 1)
        while at > 0 and data[at - 1] == ord("\r"):
            at = data.find(self._delimiter[1:], at + 1)
        return at > 0

    def _keep(self) -> None:
        """Add the collected bytes to their part."""
        if self._gathered:
            gathered, self._gathered = b"".join(self._gathered), []
            content = self._part.content
            if isinstance(content, BlobWriter):
                content.write(gathered)
            elif len(content) + len(gathered) > MAX_FIELD_BYTES:
                raise FormError(f"the field {self._part.name[:MAX_SHOWN]!r} is longer than {MAX_FIELD_BYTES} bytes")
            else:
                content += gathered

    def _on_part_begin(self) -> None:
        self._part = _Part()
        self._parts += 1

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._spare += end - start
        if self._parts > 1:
            self._gathered.append(data[start:end])

    def _on_part_end(self) -> None:
        self._keep()
        part, self._part = self._part, _Part()
        if self._parts == 1:
            return
        if isinstance(part.content, BlobWriter):
            media_type = part.headers.get("content-type", b"").decode("latin-1")
            value: str | Upload = Upload(part.filename, media_type, part.content.finish())
        else:
            value = _decoded(part.content, f"field {part.name[:MAX_SHOWN]!r}")
        self._fields[part.name] = value
        self.parts.append((part.name, value))

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]
        self._count_header(end - start)

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._count_header(end - start)

    def _count_header(self, size: int) -> None:
        self._spare += size
        self._part.size += size
        if self._part.size > MAX_HEADER_BYTES:
            raise FormError(f"the headers of a part are longer than {MAX_HEADER_BYTES} bytes")

    def _on_header_end(self) -> None:
        if b"\n" in self._value:
            raise FormError("its lines end with LF alone; wanted CRLF")
        self._part.headers[self._field.decode("latin-1").lower()] = self._value
        self._field = self._value = b""

    def _on_headers_finished(self) -> None:
        if self._parts == 1:
            return
        part = self._part
        disposition = part.headers.get("content-disposition")
        if disposition is None:
            raise FormError("a part has no Content-Disposition header")
        _, options = parse_options_header(disposition)
        if b"name" not in options:
            raise FormError("the Content-Disposition header of a part has no name")
        part.name = _decoded(options[b"name"], "name of a part")
        coding = part.headers.get("content-transfer-encoding", b"").strip().lower().decode("latin-1")
        if coding in _NOT_DECODED:
            raise FormError(f"the part {part.name[:MAX_SHOWN]!r} is sent as {coding}, which is not decoded")
        filename = _filename(options, disposition)
        if filename is not None:
            part.filename, part.content = filename, BlobWriter(hashes=True)
            self._files += 1
        if self._files > MAX_FILES:
            raise FormError(f"it has more than {MAX_FILES} files")
        if self._parts - 1 - self._files > MAX_FIELDS:
            raise FormError(f"it has more than {MAX_FIELDS} fields")

    def _on_end(self) -> None:
        self._has_ended = True


def _read_boundary(content_type: str) -> bytes:
    if len(content_type) > MAX_CONTENT_TYPE:
        raise FormError(f"its Content-Type is longer than {MAX_CONTENT_TYPE} characters")
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if boundary is None:
        raise FormError("its Content-Type has no boundary parameter")
    if not 0 < len(boundary) <= MAX_BOUNDARY:
        raise FormError(f"its boundary has {len(boundary)} characters; wanted 1 to {MAX_BOUNDARY}")
    return boundary


def _filename(options: dict[bytes, bytes], disposition: bytes) -> str | None:
    """The filename, or else the decoded `filename*` (RFC 5987). None for a part without either."""
    if b"filename" in options:
        return _decoded(options[b"filename"], "filename of a part")
    extended = _EXTENDED.search(_QUOTED.sub('""', disposition.decode("latin-1")))
    if extended is None:
        return None
    charset, _, rest = extended[1].partition("'")
    _, has_language, encoded = rest.partition("'")
    if charset.lower() not in _CODINGS or not has_language:
        raise FormError("the filename* of a part cannot be decoded; wanted UTF-8'' and percent-encoded text (RFC 5987)")
    return _decoded(unquote_to_bytes(encoded), "filename* of a part", _CODINGS[charset.lower()])


def _decoded(content: bytes | bytearray, what: str, charset: str = "utf-8") -> str:
    try:
        return content.decode(charset)
    except UnicodeDecodeError:
        raise FormError(f"the {what} is not UTF-8") from None
