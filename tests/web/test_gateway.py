"""The gateway without a socket: bodies that are too large or never come, clients that leave, answers that stream."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from builders import make_engine, make_settings
from wire import Wire

from mockserver.http import Request, Response
from mockserver.web import scopes
from mockserver.web.body_timeout import BodyTimeout
from mockserver.web.gateway import Gateway
from mockserver.web.scopes import KEPT_LENGTH, KEPT_TEXTS


def make_gateway(*, patience: float = 10, **changes: Any) -> Gateway:
    """A gateway that waits for bodies as long as a test can afford to, less than a setting may say."""
    gateway = Gateway(make_engine(**changes), make_settings(**changes))
    gateway._body_timeout = BodyTimeout(patience)  # whole seconds in settings, a moment in tests
    return gateway


def answer_with(response: Response, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """Have the engine answer so, whatever it is asked; what it was asked."""
    seen: list[Request] = []

    def handle(request: Request) -> Response:
        seen.append(request)
        return response

    monkeypatch.setattr(gateway._engine, "handle", handle)
    return seen


PART = {"type": "http.request", "body": b"[", "more_body": True}


def test_a_body_that_stalls_after_its_beginning_is_408() -> None:
    wire = Wire(PART, content_length="9").through(make_gateway(patience=0.01))

    assert wire.status == 408
    assert wire.headers[b"content-type"] == b"application/problem+json"
    assert wire.headers[b"connection"] == b"close"
    assert "did not arrive" in json.loads(wire.body)["detail"]


def test_a_body_that_never_arrives_is_408() -> None:
    assert Wire(content_length="9").through(make_gateway(patience=0.01)).status == 408


def test_a_body_that_never_ends_is_413_however_small_its_parts() -> None:
    parts = [PART | {"body": b"x" * 100}] * 100

    wire = Wire(*parts, transfer_encoding="chunked").through(make_gateway(max_body=1000))

    assert wire.status == 413
    assert len(parts) - len(wire.messages) == 11, "it was read further than needed"


def test_a_body_that_is_stated_too_large_is_413_before_any_of_it_is_read() -> None:
    wire = Wire(PART, content_length="1001").through(make_gateway(max_body=1000))

    assert wire.status == 413
    assert wire.messages == [PART]
    assert json.loads(wire.body)["detail"] == "The body is larger than 1000 bytes (setting --max-body)."


def test_a_body_of_exactly_the_limit_is_read() -> None:
    body = b'{"prompts":["hello"]}'.ljust(1000)

    wire = Wire({"type": "http.request", "body": body}, content_length="1000").through(make_gateway(max_body=1000))

    assert wire.status == 202


def test_a_body_in_one_part_that_states_no_length_is_limited_too() -> None:
    wire = Wire({"type": "http.request", "body": b" " * 1001}).through(make_gateway(max_body=1000))

    assert wire.status == 413


def test_a_client_that_disconnects_within_its_body_is_not_answered_and_not_journaled() -> None:
    gateway = make_gateway()

    wire = Wire(PART, {"type": "http.disconnect"}, content_length="9").through(gateway)

    assert wire.sent == []
    assert gateway._engine.sandboxes.open("test").journal.seen == 0


def test_a_request_rejected_by_the_gateway_is_in_the_journal() -> None:
    gateway = make_gateway(max_body=1000)

    Wire(content_length="1001").through(gateway)

    (noted,) = gateway._engine.sandboxes.open("test").journal.find(lambda _: True)
    assert (noted.operation, noted.reason, noted.response.status) == ("queueBatch", "too-large", 413)


def test_an_internal_error_is_a_500_with_a_traceback_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = make_gateway()
    monkeypatch.setattr(gateway._engine, "handle", lambda request: 1 / 0)

    wire = Wire({"type": "http.request", "body": b"{}"}).through(gateway)

    assert wire.status == 500
    assert json.loads(wire.body)["title"] == "Bug in mockserver"
    assert "ZeroDivisionError" in caplog.text


def test_header_values_that_are_not_latin_are_sent_as_far_as_they_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = make_gateway()
    answer = Response(200, "text/plain", b"", (("X-Name", "Zoë 東京"),), "fixture:東京.yaml#1")
    answer_with(answer, gateway, monkeypatch)

    wire = Wire({"type": "http.request", "body": b""}).through(gateway)

    assert wire.headers[b"x-name"] == "Zoë ??".encode("latin-1")
    assert wire.headers[b"x-mock-source"] == b"fixture:??.yaml#1"


def test_a_request_without_a_host_is_answered_with_the_address_it_came_to(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = make_gateway()
    seen = answer_with(Response(204), gateway, monkeypatch)
    wire = Wire({"type": "http.request"}, {"type": "http.request"})

    wire.through(gateway)
    wire.messages = [{"type": "http.request"}]
    wire.scope["server"] = ("::1", 4024)
    wire.through(gateway)

    assert [each.base_url for each in seen] == ["http://127.0.0.1:4024", "http://[::1]:4024"]


@pytest.mark.parametrize("status", [204, 205, 304])
def test_a_status_that_has_no_body_is_sent_without_one(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = make_gateway()
    answer_with(Response(status, "text/plain", b"too much"), gateway, monkeypatch)

    wire = Wire({"type": "http.request", "body": b""}).through(gateway)

    assert (wire.status, wire.body) == (status, b"")


def test_header_values_are_unchanged_and_only_short_ones_are_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = make_gateway()
    seen = answer_with(Response(204), gateway, monkeypatch)
    texts = [f"é{n}" for n in range(KEPT_TEXTS + 5)] + ["l" * KEPT_LENGTH, "l" * (KEPT_LENGTH + 1)]
    named = [(f"X-{n}".encode(), text.encode("latin-1")) for n, text in enumerate(texts)]

    for _ in range(2):
        wire = Wire(method="GET")
        wire.scope["headers"] = named
        wire.through(gateway)

    assert [[*each.headers.values()] for each in seen] == [texts] * 2
    assert len(scopes._texts) <= KEPT_TEXTS
    assert max(map(len, scopes._texts)) <= KEPT_LENGTH


def test_a_stream_ends_when_the_client_disconnects(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def parts() -> Iterator[bytes]:
        for n in range(100_000):
            made.append(n)
            yield b"part"

    gateway = make_gateway()
    stream = parts()
    answer_with(Response(200, "text/plain", stream), gateway, monkeypatch)
    wire = Wire({"type": "http.request"}, {"type": "http.disconnect"}, method="GET").through(gateway)

    assert len(made) < 1000
    assert wire.sent[0]["status"] == 200
    assert next(stream, "closed") == "closed"


def test_a_head_request_for_a_stream_generates_nothing_and_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = make_gateway()
    stream = (pytest.fail("a part was made") for _ in range(1))
    answer_with(Response(200, "text/plain", stream), gateway, monkeypatch)

    wire = Wire(method="HEAD").through(gateway)

    assert wire.status == 200
    assert wire.body == b""
    assert next(stream, "closed") == "closed"


def test_a_late_answer_waits_no_longer_than_the_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = make_gateway(clock="flowing")
    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr("mockserver.web.gateway.asyncio.sleep", note)
    wire = Wire(method="GET")
    wire.scope |= {"path": "/ai", "query_string": b"prompt=%5Bmock:slow=30s%5D"}

    assert wire.through(gateway).status == 200
    assert waits == [30.0]


def test_a_stream_is_generated_only_as_far_as_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def parts() -> Iterator[bytes]:
        for n in range(100):
            made.append(n)
            yield b"part"

    reads = asyncio.Event()

    class Slow(Wire):
        async def send(self, message: Any) -> None:
            await super().send(message)
            if len(self.sent) == 4:
                reads.set()
                await asyncio.Event().wait()

    gateway = make_gateway()
    answer_with(Response(200, "text/plain", parts()), gateway, monkeypatch)
    wire = Slow({"type": "http.request"}, method="GET")

    async def read_four_times() -> None:
        sending = asyncio.create_task(gateway(wire.scope, wire.receive, wire.send))
        await reads.wait()
        for _ in range(20):  # rounds of the loop in which more could be made
            await asyncio.sleep(0)
        sending.cancel()
        with suppress(asyncio.CancelledError):
            await sending

    asyncio.run(read_four_times())

    assert made == [0, 1, 2]
