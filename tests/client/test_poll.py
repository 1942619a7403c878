"""Looking again until something has happened, tried on a clock that moves only when somebody pauses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.client.poll import FIRST_PAUSE, LONGEST_PAUSE, MAX_POLLS, poll


class Wall:
    """A clock of the wall that pauses move; a look takes a while, too."""

    def __init__(self, effort: float = 0.0) -> None:
        self.time = 0.0
        self.pauses: list[float] = []
        self._effort = effort

    def now(self) -> float:
        return self.time

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.time += seconds

    def look(self, timeout: float) -> int:
        """How often one looks in vain."""
        count = 0
        for _ in poll(timeout, now=self.now, pause=self.pause):
            count += 1
            self.time += self._effort
        return count


def test_a_condition_that_already_holds_is_seen_by_the_first_poll() -> None:
    wall = Wall()

    next(poll(10, now=wall.now, pause=wall.pause))

    assert wall.pauses == []


def test_a_timeout_of_zero_polls_once() -> None:
    assert Wall().look(0) == 1


@given(st.floats(0, MAX_POLLS), st.floats(0, 5))
def test_the_last_poll_comes_at_the_timeout_after_short_pauses(timeout: float, effort: float) -> None:
    wall = Wall(effort)

    count = wall.look(timeout)

    assert wall.time >= timeout
    assert sum(wall.pauses) <= timeout + 1e-6
    assert all(0 < each <= LONGEST_PAUSE for each in wall.pauses)
    assert count == len(wall.pauses) + 1 <= timeout / LONGEST_PAUSE + LONGEST_PAUSE / FIRST_PAUSE


@pytest.mark.parametrize("timeout", [-1, MAX_POLLS + 1, float("nan"), float("inf")])
def test_an_invalid_timeout_of_polling_is_rejected(timeout: float) -> None:
    with pytest.raises(ValueError, match="wanted 0 to 600 seconds"):
        next(poll(timeout))
