"""Sandbox time: it flows, stands, jumps and hurries, and never runs backwards."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mockserver.sandbox.clock import LATEST, Clock, ClockConfig

STEADY = settings(derandomize=True)


class Wall:
    """A wall clock that a test turns by hand."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("wall"), st.one_of(st.floats(-1e5, 1e5), st.floats(-1, 1))),
        st.tuples(st.just("advance"), st.floats(0, 1e6)),
        st.tuples(st.just("set"), st.floats(0, 1e6)),
        st.tuples(st.just("scale_by"), st.floats(1e-6, 1e12)),
        st.tuples(st.sampled_from(["freeze", "resume", "look"]), st.none()),
    ),
    max_size=40,
)


def act(clock: Clock, wall: Wall, action: str, amount: Any) -> None:
    """Do one thing to the clock or its wall; a jump that is refused for lying beyond the last instant is no matter."""
    if action == "wall":
        wall.now += amount
    elif action in {"freeze", "resume"}:
        getattr(clock, action)()
    elif action == "scale_by":
        clock.scale_by(amount)
    elif clock.now() + (amount or 0) <= LATEST:
        clock.advance(amount or 0) if action == "advance" else clock.set(clock.now() + (amount or 0))


@STEADY
@given(ACTIONS, st.booleans(), st.sampled_from([0.0, 1.7e9, LATEST - 10]))
def test_sandbox_time_never_goes_back_when_the_wall_clock_does(
    actions: list[tuple[str, Any]], frozen: bool, start: float
) -> None:
    wall = Wall(1.7e9)
    clock = Clock(ClockConfig(frozen, start), wall)
    seen = [clock.now()]

    for action, amount in actions:
        act(clock, wall, action, amount)
        seen.append(clock.now())

    assert seen == sorted(seen)
    assert seen[-1] <= LATEST


@STEADY
@given(ACTIONS)
def test_freezing_resuming_and_scaling_do_not_change_the_time(actions: list[tuple[str, Any]]) -> None:
    wall = Wall(1.7e9)
    clock = Clock(ClockConfig(), wall)

    for action, amount in actions:
        before = clock.now()
        act(clock, wall, action, amount)
        if action in {"freeze", "resume", "scale_by", "look"}:
            assert clock.now() == before


def test_time_flows_with_the_wall_clock_from_its_start() -> None:
    wall = Wall(500)
    here, elsewhere = Clock(wall=wall), Clock(ClockConfig(instant=0.0), wall)

    wall.now += 7

    assert (here.now(), elsewhere.now()) == (507, 7)
    assert (here.born, elsewhere.born) == (500, 0)


def test_a_wall_clock_set_back_between_reads_does_not_set_time_back() -> None:
    wall = Wall(0)
    clock = Clock(wall=wall)
    wall.now = 10
    assert clock.now() == 10

    wall.now = 4
    assert clock.now() == 10

    wall.now = 5
    assert clock.now() == 11


def test_a_wall_clock_set_back_before_the_first_read_does_not_set_time_back() -> None:
    wall = Wall(1000)
    clock = Clock(wall=wall)

    wall.now = 400
    assert clock.now() == 1000

    wall.now = 402
    assert clock.now() == 1002


def test_a_fast_clock_keeps_its_time_when_the_wall_clock_is_set_back() -> None:
    wall = Wall(0)
    clock = Clock(ClockConfig(scale=60.0), wall)
    wall.now = 10
    assert clock.now() == 600

    wall.now = 4
    assert clock.now() == 600

    wall.now = 5
    assert clock.now() == 660


def test_a_frozen_clock_does_not_move_until_it_is_resumed() -> None:
    wall = Wall(0)
    clock = Clock(ClockConfig(frozen=True, instant=100.0), wall)

    wall.now = 50
    assert (clock.now(), clock.is_frozen) == (100, True)

    clock.resume()
    wall.now = 53
    assert (clock.now(), clock.is_frozen) == (103, False)

    clock.freeze()
    wall.now = 60
    assert (clock.now(), clock.is_frozen) == (103, True)


def test_a_frozen_clock_can_be_advanced_and_set() -> None:
    clock = Clock(ClockConfig(frozen=True, instant=100.0), Wall(0))

    clock.advance(86_400)
    assert clock.now() == 86_500

    clock.set(90_000.5)
    assert (clock.now(), clock.is_frozen) == (90_000.5, True)


def test_a_scale_applies_from_the_current_time() -> None:
    wall = Wall(0)
    clock = Clock(wall=wall)
    wall.now = 10

    clock.scale_by(3600)
    wall.now = 12
    assert clock.now() == 10 + 7200

    clock.scale_by(0.5)
    wall.now = 14
    assert (clock.now(), clock.scale) == (7211, 0.5)


def test_a_scale_is_unchanged_by_freezing_and_setting() -> None:
    wall = Wall(0)
    clock = Clock(wall=wall)
    clock.scale_by(60)
    clock.freeze()
    clock.advance(5)
    clock.resume()

    wall.now = 1

    assert clock.now() == 65


def test_a_reset_restarts_the_clock() -> None:
    wall = Wall(0)
    clock = Clock(ClockConfig(frozen=True, instant=100.0), wall)
    clock.resume()
    clock.scale_by(9)
    clock.advance(1000)

    clock.reset()

    assert (clock.now(), clock.is_frozen, clock.scale, clock.born) == (100, True, 1, 100)


def test_a_reset_of_a_clock_without_an_instant_starts_at_the_wall_clock() -> None:
    wall = Wall(0)
    clock = Clock(wall=wall)
    clock.advance(1000)
    wall.now = 30

    clock.reset()

    assert (clock.now(), clock.born) == (30, 30)


@pytest.mark.parametrize("seconds", [-1.0, -1e-9, math.nan, math.inf, -math.inf])
def test_an_invalid_advance_is_rejected(seconds: float) -> None:
    clock = Clock(ClockConfig(frozen=True, instant=100.0))

    with pytest.raises(ValueError) as refused:
        clock.advance(seconds)

    assert str(refused.value) == f"a clock advances by zero or more seconds, not by {seconds!r}"
    assert clock.now() == 100


@pytest.mark.parametrize(
    ("instant", "told"),
    [
        (99.0, "1970-01-01T00:01:39Z"),
        (LATEST + 1, f"{LATEST + 1!r} (Unix seconds)"),
        (math.nan, "nan (Unix seconds)"),
        (math.inf, "inf (Unix seconds)"),
        (-1e15, "-1000000000000000.0 (Unix seconds)"),
    ],
)
def test_a_clock_is_not_set_to_the_past_nor_past_the_last_instant(instant: float, told: str) -> None:
    clock = Clock(ClockConfig(frozen=True, instant=100.0))

    with pytest.raises(ValueError) as refused:
        clock.set(instant)

    assert str(refused.value) == (
        f"the clock stands at 1970-01-01T00:01:40Z and moves forward only, up to the year 9999; {told} is refused"
    )
    assert clock.now() == 100


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf])
def test_an_invalid_scale_is_rejected(scale: float) -> None:
    clock = Clock(ClockConfig(frozen=True, instant=100.0))

    with pytest.raises(ValueError) as refused:
        clock.scale_by(scale)

    assert str(refused.value) == f"a clock is scaled by a positive number, not by {scale!r}"
    assert clock.scale == 1


def test_a_step_beyond_the_last_instant_is_refused_and_one_up_to_it_is_not() -> None:
    clock = Clock(ClockConfig(frozen=True, instant=LATEST - 5))

    with pytest.raises(ValueError, match="up to the year 9999"):
        clock.advance(6)
    clock.advance(5)
    clock.advance(0)
    clock.set(LATEST)

    assert clock.now() == LATEST


def test_a_flowing_clock_stops_at_the_last_instant() -> None:
    wall = Wall(0)
    clock = Clock(ClockConfig(instant=LATEST - 5), wall)
    clock.scale_by(1e12)

    wall.now = 1e9

    assert clock.now() == LATEST


def test_by_default_the_wall_clock_drives_a_clock() -> None:
    clock = Clock()

    assert 0 < clock.born <= clock.now()
