"""Encodes values as JSON and back. Only declared types are allowed; types that JSON lacks are tagged."""

import math
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from itertools import chain
from typing import Any

import orjson

from mockserver.json_bodies import check_depth, parse_json
from mockserver.records import field_names, is_record
from mockserver.sandbox.blobs import CHUNK_BYTES, Blob, BlobWriter, KeptBody, read_body
from mockserver.sandbox.snapshot.registry import FrozenObject, Registry, SnapshotError, TypeInfo, frozen_copy
from mockserver.sandbox.snapshot.types import LEAST, MOST, is_unicode, type_problem
from mockserver.workers import checkpoint

TAG = "$"
"""The key of an object that holds its type."""
MAX_DEPTH = 100
"""The most levels of JSON. JSON values nested deeper are written as text."""
MAX_DIGITS = 256
"""The most hexadecimal digits of an integer."""
ENCODED_DEPTH = 4
"""Levels of which `Writer.encode` yields each inner value by itself, down to the fields of values in collections."""
BLOB_PART = 192 * 1024
"""Bytes of a blob that are encoded at once; a multiple of 3, so that base64 pads only the last ones."""


class Writer:
    """Encodes values as JSON values. The contents of blobs are collected separately, each once."""

    def __init__(self, registry: Registry, most: int) -> None:
        """`most` bounds the length of all values as JSON text; beyond it SnapshotError is raised."""
        self._tags = registry.tags
        self._most = self._left = most
        self._numbers: dict[int, int] = {}
        self._blobs: list[Blob] = []

    def write(self, value: Any, depth: int = 0) -> Any:  # noqa: PLR0911  one line for each kind of value
        """The value as JSON; raises SnapshotError for an undeclared type."""
        checkpoint()
        match value:
            case None | bool():
                return value
            case _ if type(value) in self._tags:
                return self._write_declared(value, depth)
            case str() | int() | float():
                return self._write_scalar(value)
            case bytes() | KeptBody():
                content = read_body(value)
                self._spend(len(content) * 4 // 3)
                return {TAG: "bytes", "v": b64encode(content).decode()}
            case Blob():
                return {TAG: "blob", "v": self._number(value)}
            case FrozenObject():
                return {TAG: self._tag(value.type), "v": self.write(value.kept, depth + 1)}
            case dict() | list() if depth >= MAX_DEPTH:
                return {TAG: "json", "v": self.write(_text(value))}
            case dict():
                return self._write_object(value, depth)
            case list():
                return self._write_each(value, depth)
            case tuple() if type(value) is tuple:
                return {TAG: "tuple", "v": self._write_each(value, depth + 1)}
            case Iterator():
                return {TAG: "stream"}
            case _ if hasattr(value, "kept"):
                return self.write(frozen_copy(value), depth)
        raise SnapshotError(f"a {type(value).__name__} is none of the values that can be written")

    def encode(self, value: Any, depth: int = 0) -> Iterator[bytes]:
        """The value as `write` returns it, as JSON in pieces: of what is nested little, one for each inner value."""
        if depth < ENCODED_DEPTH and type(value) in self._tags and not isinstance(value, StrEnum):
            yield b"{%b:%b" % (orjson.dumps(TAG), orjson.dumps(self._tags[type(value)]))
            for name in field_names(type(value)):
                yield b",%b:" % orjson.dumps(name)
                yield from self.encode(getattr(value, name), depth + 1)
            yield b"}"
        elif depth < ENCODED_DEPTH and type(value) is dict and _is_object(value):
            self._spend(sum(map(len, value)))
            members = (chain((orjson.dumps(key) + b":",), self.encode(each, depth + 1)) for key, each in value.items())
            yield from _joined(b"{", members, b"}")
        elif depth < ENCODED_DEPTH and type(value) is list:
            yield from _joined(b"[", (self.encode(each, depth + 1) for each in value), b"]")
        else:
            yield orjson.dumps(self.write(value, depth))

    def encode_tuple(self, values: Iterable[Any], depth: int) -> Iterator[bytes]:
        """As `encode` for a tuple, whose values need not exist at the same time."""
        yield b'{%b:"tuple","v":' % orjson.dumps(TAG)
        yield from _joined(b"[", (self.encode(each, depth + 2) for each in values), b"]}")

    def encode_blobs(self) -> Iterator[bytes]:
        """The contents of all blobs that were written, in base64, as JSON in pieces."""
        yield from _joined(b"[", map(_encode_blob, self._blobs), b"]")

    def _write_declared(self, value: Any, depth: int) -> Any:
        tag = self._tags[type(value)]
        if isinstance(value, StrEnum):
            return {TAG: tag, "v": str(value)}
        return {TAG: tag} | {name: self.write(getattr(value, name), depth + 1) for name in field_names(type(value))}

    def _write_scalar(self, value: str | float) -> Any:
        self._spend(16)
        if isinstance(value, str):
            self._spend(len(value))
            text = str(value)
            return text if is_unicode(text) else {TAG: "text", "v": b64encode(_as_untyped(text)).decode()}
        if isinstance(value, float) and not math.isfinite(value):
            return {TAG: "float", "v": str(value)}
        if isinstance(value, int) and not LEAST <= value <= MOST:
            return {TAG: "int", "v": hex(value)}
        return value

    def _write_object(self, value: dict[Any, Any], depth: int) -> Any:
        if _is_object(value):
            self._spend(sum(map(len, value)))
            return {key: self.write(each, depth + 1) for key, each in value.items()}
        return {TAG: "dict", "v": [[self.write(key), self.write(each, depth + 3)] for key, each in value.items()]}

    def _write_each(self, values: Iterable[Any], depth: int) -> list[Any]:
        return [self.write(each, depth + 1) for each in values]

    def _number(self, blob: Blob) -> int:
        if id(blob) not in self._numbers:
            self._spend(blob.size * 4 // 3)
            self._numbers[id(blob)] = len(self._blobs)
            self._blobs.append(blob)
        return self._numbers[id(blob)]

    def _tag(self, type_: type) -> str:
        if type_ not in self._tags:
            raise SnapshotError(f"a {type_.__name__} is none of the values that can be written")
        return self._tags[type_]

    def _spend(self, characters: int) -> None:
        self._left -= characters
        if self._left < 0:
            raise SnapshotError(f"there is more than {self._most} bytes of it")


class Reader:
    """Decodes what Writer encoded. Validates everything; a SnapshotError names the location."""

    def __init__(self, registry: Registry, blobs: Any) -> None:
        self._forms = registry.forms
        self._path: list[str | int] = ["blobs"]
        if not isinstance(blobs, list):
            raise self.error("wanted a list of texts in base64")
        self._blobs = [self._under(n, lambda text: _blob(self._bytes(text)), each) for n, each in enumerate(blobs)]
        self._path.clear()

    def read(self, value: Any, hint: Any, *place: str | int) -> Any:
        """The value, of the type of the hint; `place` is its location."""
        self._path[:] = place
        return self._fitting(self._read(value), hint)

    def error(self, message: str) -> SnapshotError:
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self._path).lstrip(".")
        return SnapshotError(f"{place[:300]}: {message}")

    def _read(self, value: Any) -> Any:
        checkpoint()
        if len(self._path) > 2 * MAX_DEPTH:
            raise self.error("it is nested too deeply")
        if isinstance(value, list):
            return [self._under(n, self._read, each) for n, each in enumerate(value)]
        if not isinstance(value, dict):
            return value
        if TAG not in value:
            return {key: self._under(key, self._read, each) for key, each in value.items()}
        tag, content = value[TAG], value.get("v")
        if isinstance(tag, str) and tag in self._forms:
            return self._made(self._forms[tag], {name: each for name, each in value.items() if name != TAG})
        if not isinstance(tag, str) or tag not in _TAGS or value.keys() - {TAG, "v"}:
            raise self.error(f"{str(tag)[:100]!r} is no known tag, or has more than its value beside it")
        return getattr(self, f"_read_{tag}")(content)

    def _made(self, form: TypeInfo, fields: dict[str, Any]) -> Any:
        if fields.keys() - form.hints.keys() or form.required - fields.keys():
            came, known = ", ".join(sorted(fields))[:300], ", ".join(form.hints)
            raise self.error(f"{form.type.__name__} has the fields {known}; here are {came}")
        made = {name: self._under(name, self._field, each, form.hints[name]) for name, each in fields.items()}
        if issubclass(form.type, StrEnum):
            return self._checked(lambda: form.type(made["v"]), f"no {form.type.__name__}")
        if is_record(form.type):
            return form.type(**made)
        return self._checked(lambda: form.type.restored(made["v"]), f"no {form.type.__name__}")

    def _field(self, value: Any, hint: Any) -> Any:
        return self._fitting(self._read(value), hint)

    def _fitting(self, value: Any, hint: Any) -> Any:
        problem = type_problem(value, hint)
        if problem:
            raise self.error(problem)
        return value

    def _under(self, step: str | int, read: Callable[..., Any], *given: Any) -> Any:
        self._path.append(step)
        found = read(*given)
        self._path.pop()
        return found

    def _checked(self, make: Callable[[], Any], complaint: str) -> Any:
        try:
            return make()
        except (ValueError, TypeError, KeyError) as error:
            raise self.error(f"{complaint}: {error}"[:300]) from error

    def _bytes(self, text: Any) -> bytes:
        return bytes(self._checked(lambda: b64decode(text, validate=True), "no base64"))

    def _read_bytes(self, content: Any) -> bytes:
        return self._bytes(content)

    def _read_text(self, content: Any) -> str:
        return str(self._checked(lambda: self._bytes(content).decode("utf-8", "surrogatepass"), "no text"))

    def _read_float(self, content: Any) -> float:
        if content not in ("inf", "-inf"):
            raise self.error("wanted inf or -inf")
        return float(content)

    def _read_int(self, content: Any) -> int:
        if isinstance(content, str) and len(content) > MAX_DIGITS:
            raise self.error(f"a whole number of more than {MAX_DIGITS} digits")
        return int(self._checked(lambda: int(content, 16), "no whole number"))

    def _read_json(self, content: Any) -> Any:
        value = self._checked(lambda: parse_json(content.encode()), "no JSON")
        self._checked(lambda: check_depth(value), "it is nested too deeply")
        return value

    def _read_tuple(self, content: Any) -> tuple[Any, ...]:
        if not isinstance(content, list):
            raise self.error("wanted a list")
        return tuple(self._read(content))

    def _read_dict(self, content: Any) -> dict[Any, Any]:
        if not (isinstance(content, list) and all(isinstance(each, list) and len(each) == 2 for each in content)):
            raise self.error("wanted a list of pairs")
        return dict(self._checked(lambda: dict(map(tuple, self._read(content))), "no keys"))

    def _read_blob(self, content: Any) -> Blob:
        if isinstance(content, bool) or not isinstance(content, int) or not 0 <= content < len(self._blobs):
            raise self.error(f"there are {len(self._blobs)} blobs, and none is number {str(content)[:100]}")
        found: Blob = self._blobs[content]
        return found

    def _read_stream(self, content: Any) -> Iterator[bytes]:
        """The content of a stream is not exported, only that it was one."""
        del content
        return iter(())


_TAGS = {"bytes", "text", "float", "int", "json", "tuple", "dict", "blob", "stream"}


def _is_object(value: dict[Any, Any]) -> bool:
    """Whether the value is an object in JSON; another one is written as a list of pairs."""
    return TAG not in value and all(type(key) is str and is_unicode(key) for key in value)


def _joined(start: bytes, values: Iterable[Iterable[bytes]], end: bytes) -> Iterator[bytes]:
    for value in values:
        yield start
        yield from value
        start = b","
    yield end if start == b"," else start + end


def _encode_blob(blob: Blob) -> Iterator[bytes]:
    parts = blob.chunks()
    parts.part_bytes = BLOB_PART
    yield b'"'
    for part in parts:
        checkpoint()
        yield b64encode(part)
    yield b'"'


def _as_untyped(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _text(value: Any) -> str:
    try:
        text = orjson.dumps(value)
    except TypeError as error:
        raise SnapshotError(f"a value is nested too deeply: {error}") from error
    if orjson.loads(text) != value:
        raise SnapshotError("a value is nested too deeply")
    return text.decode()


def _blob(content: bytes) -> Blob:
    writer = BlobWriter()
    for start in range(0, len(content), CHUNK_BYTES):
        writer.write(content[start : start + CHUNK_BYTES])
    return writer.finish()
