"""Faults as values. To add one, write a class here and register its name in FAULTS."""

import hashlib
import math
import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from http import HTTPStatus
from statistics import NormalDist
from typing import Any, ClassVar

import orjson

from mockserver.http import FAULT_SOURCE, FIRST_PART, DeliveryFault, DeliveryFaultKind, Response
from mockserver.sandbox.stubs.fields import (
    choice_field,
    fields_json,
    int_field,
    number_field,
    read_fields,
    schema_of,
    seconds_or_date,
)

MAX_SECONDS = 600
MAX_BYTES = 2**40
MAX_GARBAGE = 65536
MAX_RETRY_AFTER = 366 * 24 * 3600


class Fault:
    """A deliberate disturbance of a response. An immutable value that web/ performs; its fields are those of a
    definition.
    """

    sees: ClassVar[str]
    """The effect for a client, in one sentence."""
    forms: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Groups of fields that exclude each other."""
    status: int | None = None
    """The status whose documented response replaces the response; None to keep the response."""

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Headers that `apply` adds."""
        return ()

    def apply(self, response: Response, key: bytes) -> Response:
        """The response with this fault. `key` is 16 bytes that seed its random numbers."""
        raise NotImplementedError

    def described(self) -> dict[str, Any]:
        """The definition, as `read_fault` takes it."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}  # type: ignore[arg-type]  # each fault is a dataclass
        return {"type": WORDS[type(self)], **{name: value for name, value in given.items() if value is not None}}


@dataclass(frozen=True)
class Latency(Fault):
    sees = "The whole response, delayed: by fixed `seconds`, evenly between `min` and `max`, or lognormal up to `cap`."
    forms = (("seconds",), ("min", "max"), ("median", "sigma"), ("median", "sigma", "cap"))

    seconds: float | None = number_field(0, MAX_SECONDS, default=None)
    min: float | None = number_field(0, MAX_SECONDS, default=None)
    max: float | None = number_field(0, MAX_SECONDS, default=None)
    median: float | None = number_field(0, MAX_SECONDS, default=None)
    sigma: float | None = number_field(0, 10, default=None)
    cap: float | None = number_field(0, MAX_SECONDS, default=None)

    def __post_init__(self) -> None:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"latency.min is {self.min:g}; wanted no more than max, which is {self.max:g}")

    def apply(self, response: Response, key: bytes) -> Response:
        return response._replace(delay=response.delay + self.drawn(key))

    def drawn(self, key: bytes) -> float:
        """The delay in seconds, drawn with the key."""
        if self.seconds is not None:
            return self.seconds
        chance = _chance(key)
        if self.min is not None:
            assert self.max is not None
            return min(self.min + (self.max - self.min) * chance, self.max)
        assert self.median is not None
        assert self.sigma is not None
        spread = math.exp(self.sigma * NormalDist().inv_cdf(chance))
        return min(self.median * spread, MAX_SECONDS if self.cap is None else self.cap)


@dataclass(frozen=True)
class Trickle(Fault):
    sees = "The head at once, the body in `pieces` over `seconds`; complete in the end."

    seconds: float = number_field(0, MAX_SECONDS)
    pieces: int = int_field(1, 1000, default=10)

    def apply(self, response: Response, _key: bytes) -> Response:
        return response._replace(disturbance=DeliveryFault(DeliveryFaultKind.TRICKLE, self.seconds, self.pieces))


@dataclass(frozen=True)
class Status(Fault):
    sees = "That status, with the documented response if there is one, and `Retry-After` if given."

    status: int = int_field(400, 599)
    retry_after: int | str | None = seconds_or_date(MAX_RETRY_AFTER, default=None)

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        return () if self.retry_after is None else (("Retry-After", str(self.retry_after)),)

    def apply(self, response: Response, _key: bytes) -> Response:
        """The engine supplies the documented response; without one the body is a problem document."""
        if response.status != self.status:
            said = {"type": "about:blank", "title": _phrase(self.status), "status": self.status}
            response = Response(self.status, "application/problem+json", orjson.dumps(said), delay=response.delay)
        return response._replace(source=FAULT_SOURCE).with_headers(*self.headers)


@dataclass(frozen=True)
class Empty(Fault):
    sees = "The connection is closed without a byte."

    def apply(self, response: Response, _key: bytes) -> Response:
        return response._replace(disturbance=DeliveryFault(DeliveryFaultKind.EMPTY))


@dataclass(frozen=True)
class Reset(Fault):
    sees = "The connection is reset (TCP RST) without a byte."

    def apply(self, response: Response, _key: bytes) -> Response:
        return response._replace(disturbance=DeliveryFault(DeliveryFaultKind.RESET))


@dataclass(frozen=True)
class Cut(Fault):
    sees = "The head, and the first bytes or that share of the body, never all of it; then the connection is closed."
    forms = (("after",), ("share",))

    after: int | None = int_field(0, MAX_BYTES, default=None)
    share: float | None = number_field(0, 1, default=None)

    def apply(self, response: Response, _key: bytes) -> Response:
        return response._replace(disturbance=DeliveryFault(DeliveryFaultKind.CUT, amount=self._kept(_length(response))))

    def _kept(self, length: int | None) -> int:
        if length is None:
            return FIRST_PART if self.after is None else self.after
        if self.share is not None:
            kept = int(length * self.share)
        else:
            assert self.after is not None
            kept = self.after
        return max(min(kept, length - 1), 0)


@dataclass(frozen=True)
class MalformedChunk(Fault):
    sees = "Chunked encoding with half of the body and a size that is no number; then the connection is closed."

    def apply(self, response: Response, _key: bytes) -> Response:
        kept = FIRST_PART if (length := _length(response)) is None else length // 2
        return response._replace(disturbance=DeliveryFault(DeliveryFaultKind.MALFORMED_CHUNK, amount=kept))


@dataclass(frozen=True)
class Garbage(Fault):
    sees = "Random bytes instead of the body, or of the whole response (not HTTP; then the connection is closed)."

    size: int = int_field(1, MAX_GARBAGE, default=256)
    instead_of: str = choice_field("body", "reply", default="body")

    def apply(self, response: Response, key: bytes) -> Response:
        # 0xFF is no valid first byte of JSON, UTF-8 or HTTP.
        noise = b"\xff" + hashlib.shake_128(key).digest(self.size - 1)
        noisy = _framed(response, noise)
        return (
            noisy if self.instead_of == "body" else noisy._replace(disturbance=DeliveryFault(DeliveryFaultKind.GARBAGE))
        )


@dataclass(frozen=True)
class BrokenJson(Fault):
    sees = "The status and a well-framed body that is the first half of the JSON it should be."

    def apply(self, response: Response, _key: bytes) -> Response:
        body = response.body
        return _framed(response, _half(body) if isinstance(body, bytes) else _first_half(body))


@dataclass(frozen=True)
class Timeout(Fault):
    sees = "Nothing until the client disconnects; the connection is closed after `seconds` at the latest."

    seconds: float = number_field(0, MAX_SECONDS, default=MAX_SECONDS)

    def apply(self, response: Response, _key: bytes) -> Response:
        return response._replace(disturbance=DeliveryFault(DeliveryFaultKind.TIMEOUT, self.seconds))


FAULTS: Mapping[str, type[Fault]] = {
    "latency": Latency,
    "trickle": Trickle,
    "status": Status,
    "empty": Empty,
    "reset": Reset,
    "cut": Cut,
    "malformed_chunk": MalformedChunk,
    "garbage": Garbage,
    "broken_json": BrokenJson,
    "timeout": Timeout,
}
"""Every fault by its `type`. Parsing, schema, listing and docs are derived from it."""

WORDS: Mapping[type[Fault], str] = {kind: each for each, kind in FAULTS.items()}


def read_fault(definition: Mapping[str, Any]) -> Fault:
    """The fault of a definition such as `{"type": "latency", "seconds": 2}`; raises ValueError."""
    if not isinstance(definition, Mapping):
        raise ValueError(f"the fault is {reprlib.repr(definition)}; wanted an object with a type")
    given = dict(definition)
    type_word = given.pop("type", None)
    kind = FAULTS.get(type_word) if isinstance(type_word, str) else None
    if kind is None:
        raise ValueError(f"the fault's type is {reprlib.repr(type_word)}; there are {', '.join(FAULTS)}")
    return kind(**read_fields(type_word, kind, given))


def fault_schema() -> dict[str, Any]:
    """The JSON Schema of a definition."""
    ways = [
        {
            "if": {"required": ["type"], "properties": {"type": {"const": type_word}}},
            "then": schema_of(type_word, kind),
        }
        for type_word, kind in FAULTS.items()
    ]
    named = {"type": {"type": "string", "enum": list(FAULTS)}}
    return {"type": "object", "required": ["type"], "properties": named, "allOf": ways}


FAULT_SCHEMA: Mapping[str, Any] = fault_schema()


def faults_json() -> list[dict[str, Any]]:
    """Every fault as JSON for documentation: type, fields and effect."""
    return [{"type": type_word, "fields": fields_json(kind), "sees": kind.sees} for type_word, kind in FAULTS.items()]


def _chance(key: bytes) -> float:
    """A number strictly between 0 and 1, with 52 bits so that it is exact."""
    return ((int.from_bytes(key[:8]) >> 12) + 0.5) / 2**52


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Fault"


def _length(response: Response) -> int | None:
    """The length of the body; None for a stream of unknown length."""
    if isinstance(response.body, bytes):
        return len(response.body)
    stated = next((value for name, value in response.headers if name.lower() == "content-length"), None)
    return None if stated is None else int(stated)


def _framed(response: Response, body: bytes | Iterator[bytes]) -> Response:
    """The response with another body and its length."""
    headers = tuple(each for each in response.headers if each[0].lower() != "content-length")
    return response._replace(body=body, headers=headers, source=FAULT_SOURCE)


def _half(body: bytes) -> bytes:
    """The first half of a text, which is never valid JSON."""
    text = body.strip()
    half = text[: len(text) // 2]
    return b"{" + half if not half or _is_json(half) else half


def _is_json(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except ValueError:
        return False
    return True


def _first_half(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Half of a stream's first non-empty part."""
    yield _half(next(filter(None, parts), b""))
