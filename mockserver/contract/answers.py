"""Answers of the upstream: which are held back, with what headers they are sent, and as what the journal keeps them."""

from typing import TYPE_CHECKING, Any

from mockserver.contract.capture import CHECKED_BYTES, SHOWN_BYTES, Capture, decoded_body
from mockserver.contract.upstream import Headers, UpstreamResponse
from mockserver.http import EMPTY_STATUSES, UPSTREAM_SOURCE, Response
from mockserver.openapi.operations import is_json
from mockserver.web.scopes import decode_text

if TYPE_CHECKING:
    from mockserver.contract.callbacks.relay import CallbackRelay, Redirection

_OWN_HEADERS = frozenset({b"x-mock-violations", b"x-mock-source"})
"""Of an upstream that is a mockserver, too; ours take their place."""
_OWN_FRAMING = _OWN_HEADERS | {b"content-length"}
_NOT_IN_JOURNAL = _OWN_FRAMING | {b"content-type"}
_UNPRINTABLE = bytes({*range(9), *range(10, 32), 127})


def is_held(answer: UpstreamResponse, method: str) -> bool:
    """Whether the answer is sent when it is whole: JSON, and other small bodies of known length."""
    if method == "HEAD" or answer.status in EMPTY_STATUSES:
        return False
    if is_json(answer.header(b"content-type")):
        return True
    length = answer.header(b"content-length")
    return length.isdigit() and int(length) <= SHOWN_BYTES


def answer_headers(answer: UpstreamResponse, method: str, size: int | None) -> Headers:
    """The headers with which an answer is sent; `size` is that of its body, None for one that is streamed."""
    has_other_length = size is not None or (answer.status in EMPTY_STATUSES and method != "HEAD")
    left_out = _OWN_FRAMING if has_other_length else _OWN_HEADERS
    headers = [(name, value.translate(None, _UNPRINTABLE)) for name, value in answer.headers if name not in left_out]
    if size is not None:
        headers.append((b"content-length", b"%d" % size))
    return headers


def response_value(answer: UpstreamResponse, capture: Capture) -> Response:
    """The answer as the journal keeps it. A body that is not whole is an iterator, which is not validated."""
    headers = [
        (decode_text(name), value.decode("latin-1")) for name, value in answer.headers if name not in _NOT_IN_JOURNAL
    ]
    content: Any = iter(())
    if capture.is_whole and capture.size <= CHECKED_BYTES:
        coding = answer.header(b"content-encoding")
        plain = decoded_body(capture.content, coding) if coding else capture.content
        content = iter(()) if plain is None else plain
    return Response(answer.status, answer.header(b"content-type"), content, tuple(headers), UPSTREAM_SOURCE)


def changeable_answer(
    relay: "CallbackRelay | None",
    redirection: "Redirection | None",
    answer: UpstreamResponse,
    capture: Capture,
    held: list[bytes],
) -> tuple[Capture, list[bytes]]:
    """The body, if it is whole, without a content coding, so that URLs in it can be replaced, and with the client's own
    URLs for callbacks; the headers, too.
    """
    coding = answer.header(b"content-encoding")
    plain = decoded_body(b"".join(held), coding) if coding and capture.has_ended else None
    if plain is not None:
        answer.remove_header(b"content-encoding")
        capture, held = captured(plain), [plain]
    if redirection is not None:
        redirection.note_answer(answer.status, capture)
    if relay is None:
        return capture, held
    answer.headers = [(name, relay.restored(value)) for name, value in answer.headers]
    content = b"".join(held) if capture.has_ended else b""
    made = relay.restored(content)
    return (capture, held) if made == content else (captured(made), [made])


def captured(content: bytes) -> Capture:
    """A body that was changed, whole."""
    capture = Capture(max(len(content), CHECKED_BYTES))
    capture.add(content)
    capture.has_ended = True
    return capture
