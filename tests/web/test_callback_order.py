"""When callbacks are sent, and how many at once: exact waits on a loop that is only written down, and real sockets."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import orjson
import pytest
from builders import ask as ask_engine
from builders import make_engine, make_settings, queue, value_of
from receiver import PATIENCE, join_deliveries, listening, receiving

from mockserver.engine.engine import Engine
from mockserver.sandbox.clock import Clock, ClockConfig
from mockserver.sandbox.sandbox import Sandbox
from mockserver.server.process import ThreadedServer
from mockserver.web.callbacks.dispatcher import CallbackDispatcher


class WrittenLoop:
    """A loop that writes alarms down instead of waiting for them."""

    def __init__(self) -> None:
        self.alarms: list[tuple[float, Callable[[], None]]] = []
        """The seconds to wait, and what to do then; those that were not cancelled."""

    def call_soon_threadsafe(self, action: Callable[[], object]) -> None:
        action()

    def call_later(self, wait: float, action: Callable[..., None], *given: Any) -> Any:
        alarm = (wait, lambda: action(*given))
        self.alarms.append(alarm)
        loop = self

        class Handle:
            def cancel(self) -> None:
                loop.alarms.remove(alarm)

        return Handle()

    @property
    def waits(self) -> list[float]:
        return [wait for wait, _ in self.alarms]

    def ring(self) -> None:
        """Let the only alarm go off."""
        [(_, action)] = self.alarms
        self.alarms.clear()
        action()


class Post:
    """An engine whose callbacks are sent by a dispatcher on a written loop, under a wall clock that a test moves."""

    def __init__(self, **settings: Any) -> None:
        self.engine: Engine = make_engine(clock="flowing", **settings)
        self.loop = WrittenLoop()
        self.dispatcher = CallbackDispatcher(self.engine, make_settings(**settings))
        self.dispatcher.loop = self.loop  # type: ignore[assignment]  # as much of a loop as the dispatcher needs
        self.engine.dispatcher = self.dispatcher
        self.wall = 1000.0
        self.sandbox: Sandbox = self.engine.sandboxes.open("test")
        self.sandbox.clock = Clock(ClockConfig(), lambda: self.wall)

    def queue(self, target: str = "http://127.0.0.1:1/", prompt: str = "hello") -> str:
        return queue(self.engine, prompt, callback=target)

    def ring(self) -> None:
        """Let the only alarm go off, and wait until all that follows from it is done."""
        self.loop.ring()
        self.finish()

    def finish(self) -> None:
        """Wait for the sandbox's lane, for deliveries, and for what these put into the lane."""
        for _ in range(2):
            self.engine.workers.submit(self.sandbox.name, lambda: None).result(PATIENCE)
            join_deliveries()
        self.engine.workers.submit(self.sandbox.name, lambda: None).result(PATIENCE)

    def states(self) -> list[str]:
        return [str(each.state) for each in self.sandbox.open_outbox().every()]


@pytest.mark.parametrize("seconds", [0.2, 2, 3600])
def test_the_timer_is_set_for_the_end_of_the_batch(seconds: float) -> None:
    post = Post(progression=f"time:{seconds}", callbacks="inbox")

    post.queue()

    assert post.loop.waits == [pytest.approx(seconds)]
    assert post.states() == ["pending"]
    post.wall += seconds + 0.001
    post.ring()
    assert post.states() == ["kept"]
    assert post.loop.waits == []


def test_the_timer_counts_real_seconds() -> None:
    post = Post(progression="time:60", callbacks="inbox")
    post.sandbox.clock.scale_by(120)

    post.queue()

    assert post.loop.waits == [pytest.approx(0.5)]


def test_a_sandbox_has_one_timer_for_its_earliest_callback() -> None:
    post = Post(progression="time:60", callbacks="inbox")

    post.queue(prompt="[mock:slow=500s]")
    assert post.loop.waits == [pytest.approx(560)]
    post.queue()
    assert post.loop.waits == [pytest.approx(60)]
    post.queue()
    assert post.loop.waits == [pytest.approx(60)]


def test_a_timer_that_fires_too_early_is_set_again() -> None:
    post = Post(progression="time:60", callbacks="inbox")
    post.queue()

    post.wall += 59.9999
    post.ring()

    assert post.states() == ["pending"]
    assert post.loop.waits == [pytest.approx(0.001)]


def test_a_timer_is_no_longer_than_a_day() -> None:
    post = Post(progression="time:259200", callbacks="inbox")

    post.queue()

    assert post.loop.waits == [86_400]
    post.wall += 86_400
    post.ring()
    assert (post.states(), post.loop.waits) == (["pending"], [86_400])


def test_a_frozen_clock_sets_no_timer() -> None:
    post = Post(progression="time:60", callbacks="inbox")
    post.queue()

    post.sandbox.clock.freeze()
    post.engine.settle(post.sandbox)

    assert post.loop.waits == []


def test_a_failed_attempt_waits_as_long_as_the_retries_say_and_no_more_than_they_are() -> None:
    post = Post(progression="immediate", callback_retries="3,7")
    with receiving(500) as receiver:
        post.queue(receiver.url)
        ask_engine(post.engine, "GET", "/user")
        waits = []
        for attempts in (1, 2):
            receiver.wait()
            post.finish()
            waits += post.loop.waits
            assert len(only(post).attempts) == attempts
            post.ring()
        receiver.wait()
        post.finish()

    assert waits == [3, 7]
    assert post.loop.waits == []
    assert (str(only(post).state), len(only(post).attempts)) == ("failed", 3)


def only(post: Post) -> Any:
    [callback] = post.sandbox.open_outbox().every()
    return callback


# Real sockets.


@contextmanager
def serving(**changes: Any) -> Iterator[tuple[ThreadedServer, httpx.Client]]:
    settings = make_settings(**{"callback_retries": "none", "progression": "time:60", **changes})
    with (
        ThreadedServer(settings) as server,
        httpx.Client(base_url=server.url, headers={"Authorization": "Bearer test"}, trust_env=False) as api,
    ):
        yield server, api


def send(api: httpx.Client, target: str, **headers: str) -> str:
    asked = api.post("/ai/batches", json={"prompts": ["hello"], "callback": target}, headers=headers)
    assert asked.status_code == 202, asked.text
    return str(asked.json()["id"])


@pytest.mark.parametrize("clock", ["flowing", "frozen"])
def test_twenty_callbacks_in_a_row_arrive_without_waiting_for_the_next_request(clock: str) -> None:
    progression = "time:0.01" if clock == "flowing" else "time:60"
    with receiving() as receiver, serving(clock=clock, progression=progression) as (_, api):
        for _ in range(20):
            id_ = send(api, receiver.url)
            if clock == "frozen":
                api.post("/__admin/clock/advance", json={"seconds": 60})

            assert receiver.wait().value["id"] == id_


def test_twenty_sandboxes_in_a_row_are_called_back_each_before_the_next() -> None:
    with receiving() as receiver, serving(progression="immediate") as (_, api):
        for n in range(20):
            id_ = send(api, receiver.url, Authorization=f"Bearer token-{n}")

            assert receiver.wait().value["id"] == id_


def test_a_batch_of_a_fifth_of_a_second_is_called_back_for_before_one_of_four_fifths() -> None:
    with receiving() as receiver, serving(clock="flowing", progression="time:0.8") as (_, api):
        later = send(api, receiver.url)
        assert api.put("/__admin/progression", json="time:0.2").status_code == 200
        sooner = send(api, receiver.url)

        assert [receiver.wait().value["id"] for _ in range(2)] == [sooner, later]


def test_a_seventeenth_callback_is_sent_once_another_has_been_answered() -> None:
    with (
        listening() as listener,
        listening() as other,
        serving(progression="immediate", callback_timeout="60") as (_, api),
    ):
        for n in range(12):
            send(api, target_of(listener), Authorization=f"Bearer token-{n}")
        for n in range(12, 17):
            send(api, target_of(other), Authorization=f"Bearer token-{n}")
        wires = [listener.accept()[0] for _ in range(12)] + [other.accept()[0] for _ in range(4)]
        other.settimeout(0)
        with suppress(BlockingIOError):
            wires.append(other.accept()[0])
        assert len(wires) == 16

        wires[0].recv(65_536)
        wires[0].sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        other.settimeout(PATIENCE)
        wires.append(other.accept()[0])

        for wire in wires:
            wire.close()


def target_of(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}/"


def test_a_callback_without_a_batch_to_speak_of_is_refused() -> None:
    post = Post(progression="time:60", callbacks="inbox")
    id_ = post.queue()
    post.sandbox.batches.delete(id_)

    post.wall += 60
    post.engine.settle(post.sandbox)

    callback = only(post)
    assert (str(callback.state), callback.payload) == ("refused", b"")
    assert [(each.at, each.status, each.error) for each in callback.attempts] == [
        (post.sandbox.clock.now(), None, "the batch is gone")
    ]


def test_the_payload_of_a_callback_is_the_status_of_the_batch() -> None:
    post = Post(progression="time:60", callbacks="inbox")
    id_ = post.queue()
    post.wall += 60

    status = value_of(ask_engine(post.engine, "GET", "/ai/batches", query={"id": id_}))

    assert orjson.loads(only(post).payload) == status


def test_an_internal_error_in_a_timer_is_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = Post(progression="time:60", callbacks="inbox")
    post.queue()
    post.wall += 61
    monkeypatch.setattr(post.sandbox.open_outbox(), "claim_next", lambda _: 1 / 0)

    post.ring()

    assert "the callback dispatcher met a bug in mockserver" in caplog.text
    assert "ZeroDivisionError" in caplog.text
