"""Provider states: their names and parameters, and which ids an answer has told."""

from typing import Any

import pytest

from mockserver.errors import Reason
from mockserver.verify.pact import states
from mockserver.verify.pact.states import KnownIds, ProviderState, existing, missing

ONE, TWO = "batch_0123456789ab", "3f2504e0-4f89-41d3-9a0c-0305e82c3301"


def test_a_state_has_a_name_and_parameters() -> None:
    assert ProviderState("ready").as_json() == {"name": "ready", "params": {}}
    assert existing("id", "a").as_json() == {"name": "id exists", "params": {"id": "a"}}
    assert missing([("id", "a"), ("part", "b")]) == [
        ProviderState("id does not exist", {"id": "a"}),
        ProviderState("part does not exist", {"part": "b"}),
    ]
    assert states.STATES == {
        Reason.NO_CREDITS: "the account has no credits",
        Reason.RATE_LIMITED: "the rate limit is exceeded",
    }


@pytest.mark.parametrize(
    ("answer", "knows"),
    [
        ({"id": ONE}, True),
        ({"data": [{"batch_id": ONE}]}, True),
        ({"ids": ["x", ONE]}, True),
        ({"name": ONE}, False),
        (ONE, False),
        ([ONE], False),
        ({"id": 5}, False),
        ({"id": "one"}, False),
        ({"custom_id": ONE}, False),
    ],
)
def test_ids_are_texts_that_a_machine_made_under_the_name_of_an_id(answer: Any, knows: bool) -> None:
    known = KnownIds()

    known.learn("POST /x", answer)

    assert known.knows(ONE) is knows


def test_an_id_comes_from_the_first_answer_that_told_it_with_the_latest_status() -> None:
    known = KnownIds()
    known.learn("POST /x", {"id": ONE, "inner": {"id": TWO}}, {"status": "queued"})
    known.learn("GET /x", {"id": ONE}, {"status": "done"})
    known.learn("GET /y", {"id": ONE})
    known.learn("GET /z", [ONE], {"status": "lost"})
    known.learn("GET /z", {"id": 5}, {"status": "lost"})

    assert known.state("x", ONE) == ProviderState(
        "x comes from POST /x, and status is done", {"x": ONE, "status": "done"}
    )
    assert known.state("x", ONE, {}) == ProviderState("x comes from POST /x", {"x": ONE})
    assert known.state("x", ONE, {"a": "b", "c": "d"}) == ProviderState(
        "x comes from POST /x, and a is b, and c is d", {"x": ONE, "a": "b", "c": "d"}
    )
    assert known.state("x", TWO) == ProviderState("x comes from POST /x", {"x": TWO})


def test_as_many_ids_are_known_as_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert states.MAX_IDS == 100_000
    monkeypatch.setattr(states, "MAX_IDS", 2)
    known = KnownIds()

    known.learn("POST /x", {"ids": [ONE, TWO, "9" * 12]})

    assert [known.knows(each) for each in (ONE, TWO, "9" * 12)] == [True, True, False]
