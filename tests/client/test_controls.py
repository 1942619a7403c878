"""What each control of a sandbox asks of the admin API, and what it returns of the answer."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from mockserver.client.controls import Clock, SandboxControls, clock_body, progression_body, sandbox_body
from mockserver.errors import SettingsError

NOON = {"unix": 1_776_000_000, "frozen": True, "now": "2026-04-12T13:20:00Z"}
ANSWER = {
    **NOON,
    "progression": "time",
    "seconds": 2.5,
    "stubs": [
        {"id": "a", "origin": "next", "claimed": 0},
        {"id": "b", "origin": "next", "claimed": 1},
        {"id": "c", "origin": "fault", "claimed": 0},
    ],
    "removed": "3",
    "faults": ({"id": "f"},),
    "scenarios": ({"name": "s"},),
    "conditions": {"expires": True},
    "credits": "7",
    "accounts": ({"token": "t"},),
}


class Recorder(SandboxControls):
    """Notes what it is asked, and gives one answer to everything."""

    __slots__ = ("answer", "asked")

    def __init__(self, answer: dict[str, Any] = ANSWER) -> None:
        self.answer = answer
        self.asked: list[Any] = []

    @property
    def token(self) -> str:
        return "mine"

    def ask(self, verb: str, body: Any = None, *, path: Any = None, **query: Any) -> dict[str, Any]:
        self.asked.append((verb, body, path or {}, {name: each for name, each in query.items() if each is not None}))
        return self.answer


STATUS_500 = {"type": "status", "status": 500}


@pytest.mark.parametrize(
    ("call", "verb", "body", "path", "query"),
    [
        (lambda it: it.reset(), "POST /reset", None, {}, {}),
        (lambda it: it.reset("stubs"), "POST /reset/{part}", None, {"part": "stubs"}, {}),
        (lambda it: it.next(), "POST /next", {}, {}, {}),
        (lambda it: it.next("a", for_="t", status=503), "POST /next", {"operation": "a", "for": "t", "status": 503},
         {}, {}),
        (lambda it: it.fail(), "POST /next", {"fault": STATUS_500, "times": 1}, {}, {}),
        (lambda it: it.fail("a", status=429, retry_after=0, times=None), "POST /next",
         {"operation": "a", "fault": {"type": "status", "status": 429, "retry_after": 0}, "times": None}, {}, {}),
        (lambda it: it.fail(fault="reset", retry_after=3, status=429), "POST /next",
         {"fault": {"type": "reset"}, "times": 1}, {}, {}),
        (lambda it: it.fail(fault={"type": "slow", "seconds": 2}, times=3, path="/a"), "POST /next",
         {"fault": {"type": "slow", "seconds": 2}, "times": 3, "path": "/a"}, {}, {}),
        (lambda it: it.stubs(), "GET /stubs", None, {}, {}),
        (lambda it: it.unused_stubs(), "GET /stubs", None, {}, {}),
        (lambda it: it.drop_stubs(), "DELETE /stubs", None, {}, {}),
        (lambda it: it.drop_stub("a"), "DELETE /stubs/{id}", None, {"id": "a"}, {}),
        (lambda it: it.faults, "GET /faults", None, {}, {}),
        (lambda it: setattr(it, "faults", [{"fault": 1}]), "PUT /faults", {"faults": [{"fault": 1}]}, {}, {}),
        (lambda it: it.drop_faults(), "DELETE /faults", None, {}, {}),
        (lambda it: it.scenario("s"), "POST /scenarios/{name}", None, {"name": "s"}, {}),
        (lambda it: it.scenario("s", reset=True), "POST /scenarios/{name}", None, {"name": "s"}, {"reset": True}),
        (lambda it: it.scenarios(), "GET /scenarios", None, {}, {}),
        (lambda it: it.read_scenario("s"), "GET /scenarios/{name}", None, {"name": "s"}, {}),
        (lambda it: it.cancel_batch("b"), "POST /batches/{id}/cancel", None, {"id": "b"}, {}),
        (lambda it: it.progression, "GET /progression", None, {}, {}),
        (lambda it: setattr(it, "progression", "polls:3"), "PUT /progression", {"progression": "polls", "polls": 3},
         {}, {}),
        (lambda it: it.conditions, "GET /conditions", None, {}, {}),
        (lambda it: setattr(it, "conditions", {"a": 1}), "PUT /conditions", {"a": 1}, {}, {}),
        (lambda it: delattr(it, "conditions"), "DELETE /conditions", None, {}, {}),
        (lambda it: it.credits, "GET /accounts/{token}", None, {"token": "mine"}, {}),
        (lambda it: setattr(it, "credits", 0), "PUT /accounts/{token}", {"credits": 0}, {"token": "mine"}, {}),
        (lambda it: it.accounts, "GET /accounts", None, {}, {}),
        (lambda it: it.account("t"), "GET /accounts/{token}", None, {"token": "t"}, {}),
        (lambda it: it.set_account("t", revoked=True), "PUT /accounts/{token}", {"revoked": True}, {"token": "t"}, {}),
        (lambda it: it.ledger(limit=0, after=2), "GET /accounts/{token}/ledger", None, {"token": "mine"},
         {"limit": 0, "after": 2}),
        (lambda it: it.ledger("t"), "GET /accounts/{token}/ledger", None, {"token": "t"}, {}),
        (lambda it: Clock(it).read(), "GET /clock", None, {}, {}),
        (lambda it: Clock(it).now, "GET /clock", None, {}, {}),
        (lambda it: Clock(it).advance(), "POST /clock/advance",
         {"seconds": 0, "minutes": 0, "hours": 0, "days": 0}, {}, {}),
        (lambda it: Clock(it).advance(seconds=1, hours=2), "POST /clock/advance", {"seconds": 1, "hours": 2}, {}, {}),
        (lambda it: Clock(it).advance(minutes=3, days=1, weeks=2), "POST /clock/advance", {"minutes": 3, "days": 15},
         {}, {}),
        (lambda it: Clock(it).set("2026-01-01"), "PUT /clock", {"now": "2026-01-01"}, {}, {}),
        (lambda it: Clock(it).set(0.5), "PUT /clock", {"now": 0.5}, {}, {}),
        (lambda it: Clock(it).set(datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2)))), "PUT /clock",
         {"now": "2026-01-01T00:00:00+02:00"}, {}, {}),
        (lambda it: Clock(it).freeze(), "POST /clock/freeze", None, {}, {}),
        (lambda it: Clock(it).resume(), "POST /clock/resume", None, {}, {}),
        (lambda it: Clock(it).scale(3), "POST /clock/scale", {"scale": 3}, {}, {}),
    ],
)  # fmt: skip
def test_what_a_control_asks(call: Callable[[Any], Any], verb: str, body: Any, path: Any, query: Any) -> None:
    sandbox = Recorder()

    call(sandbox)

    assert sandbox.asked == [(verb, body, path, query)]


@pytest.mark.parametrize(
    ("call", "result"),
    [
        (lambda it: it.unused_stubs(), [ANSWER["stubs"][0]]),  # type: ignore[index]
        (lambda it: it.stubs(), ANSWER["stubs"]),
        (lambda it: it.drop_stubs(), 3),
        (lambda it: it.drop_faults(), 3),
        (lambda it: it.faults, [{"id": "f"}]),
        (lambda it: it.scenarios(), [{"name": "s"}]),
        (lambda it: it.conditions, {"expires": True}),
        (lambda it: it.credits, 7),
        (lambda it: it.accounts, [{"token": "t"}]),
        (lambda it: Clock(it).is_frozen, True),
        (lambda it: Clock(it).read(), ANSWER),
        *(
            (call, datetime(2026, 4, 12, 13, 20, tzinfo=UTC))
            for call in (
                lambda it: Clock(it).now,
                lambda it: Clock(it).advance(hours=1),
                lambda it: Clock(it).set(5),
                lambda it: Clock(it).freeze(),
                lambda it: Clock(it).resume(),
                lambda it: Clock(it).scale(2),
            )
        ),
    ],
)
def test_what_a_control_returns(call: Callable[[Any], Any], result: Any) -> None:
    assert call(Recorder()) == result


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"progression": "immediate"}, "immediate"),
        ({"progression": "time", "seconds": 2.0}, "time:2"),
        ({"progression": "time", "seconds": 0.25}, "time:0.25"),
        ({"progression": "polls", "polls": 3}, "polls:3"),
    ],
)
def test_a_progression_is_shown_as_it_is_written(answer: dict[str, Any], text: str) -> None:
    assert Recorder(answer).progression == text
    kind, _, _ = text.partition(":")
    assert progression_body(text) == {**answer, "progression": kind}


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("flowing", {"frozen": False}),
        ("frozen", {"frozen": True}),
        ("1970-01-01T00:00:00Z", {"frozen": False, "now": 0.0}),
        ("frozen@1970-01-01T00:00:09Z", {"frozen": True, "now": 9.0}),
    ],
)
def test_the_initial_clock(text: str, body: dict[str, Any]) -> None:
    assert clock_body(text) == body
    assert sandbox_body(name="a", clock=text, progression="polls:1", ids_of="b") == {
        "name": "a",
        "ids_of": "b",
        "clock": body,
        "progression": {"progression": "polls", "polls": 1},
    }


def test_what_is_not_said_of_a_sandbox_is_left_to_the_server() -> None:
    assert sandbox_body(name=None, clock=None, progression="", ids_of="") == {}
    with pytest.raises(SettingsError):
        sandbox_body(name=None, clock="noon", progression=None, ids_of=None)


def test_a_stub_that_is_passed_as_the_operation_is_refused() -> None:
    with pytest.raises(TypeError, match=r"next\(\*\*stub\)"):
        Recorder().next({"status": 500})  # type: ignore[arg-type]


def test_advance_says_what_it_was_given() -> None:
    with pytest.raises(TypeError) as caught:
        Clock(Recorder()).advance(5, years=1)  # type: ignore[arg-type]

    assert str(caught.value) == (
        "advance(5, years=1): wanted seconds, minutes, hours, days and weeks, by name, such as advance(hours=24)"
    )
