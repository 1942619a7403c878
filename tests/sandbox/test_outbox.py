"""An outbox: what is counted, found, received, withdrawn, and read again after a change by another process."""

import math
from typing import Any

import pytest
from builders import make_rows

from mockserver.sandbox import callbacks
from mockserver.sandbox.callbacks import Attempt, Callback, Outbox, State


def make_callback(id_: str, **changes: Any) -> Callback:
    return Callback(id_, 1, "agentfirst", "http://127.0.0.1/", "http://here")._replace(**changes)


def note(outbox: Outbox, id_: str, due: float) -> None:
    outbox.note(id_, provider="agentfirst", target="http://127.0.0.1/", base_url="http://here", due=due)


def test_callbacks_are_numbered_from_1_in_the_order_in_which_they_are_noted() -> None:
    outbox = Outbox()
    note(outbox, "a", 5)
    outbox.note_request(make_callback("b", number=9, due=1))
    outbox.receive(make_callback("c", number=9, state=State.DELIVERED))

    assert [(each.id, each.number) for each in (*outbox.pending.values(), *outbox.claimed.values())] == [
        ("a", 1),
        ("b", 2),
        ("c", 3),
    ]


def test_pending_and_claimed_callbacks_and_their_attempts_are_counted() -> None:
    outbox = Outbox()
    assert (outbox.counts(), outbox.attempts(), outbox.has_pending()) == ((0, 0), 0, False)
    for n in range(3):
        note(outbox, str(n), n)

    assert (outbox.counts(), outbox.has_pending()) == ((3, 0), True)
    for each in outbox.claim_due(1):
        outbox.update(each.tried(Attempt(1, 500, "no"), State.RETRYING).tried(Attempt(2, 200, ""), State.DELIVERED))
    assert (outbox.counts(), outbox.attempts(), outbox.has_pending()) == ((1, 2), 4, True)
    outbox.claim_due(2)
    assert (outbox.counts(), outbox.has_pending()) == ((0, 3), False)


@pytest.mark.parametrize(
    ("now", "most", "found"),
    [
        (0.9, 9, set()),
        (1, 9, {"1"}),
        (3, 9, {"1", "2", "3"}),
        (9, 9, {"1", "2", "3", "4", "5", "6", "7"}),
    ],
)
def test_the_callbacks_that_are_due_are_found(now: float, most: int, found: set[str]) -> None:
    outbox = Outbox()
    for n in (4, 2, 6, 1, 3, 5, 7):
        note(outbox, str(n), n)

    assert set(outbox.find_due(now, most)) == found
    assert len(outbox.find_due(now, most)) == len(found)


@pytest.mark.parametrize("most", [0, 1, 3, 7, 8])
def test_at_most_so_many_callbacks_are_found(most: int) -> None:
    outbox = Outbox()
    for n in range(7):
        note(outbox, str(n), n)

    assert len(outbox.find_due(math.inf, most)) == min(most, 7)


def test_clearing_removes_pending_and_claimed_callbacks_and_their_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "MAX_CLAIMED", 1)
    outbox = Outbox()
    for n in range(4):
        note(outbox, str(n), n)
    for each in outbox.claim_due(2):
        outbox.update(each._replace(state=State.DELIVERED))
    assert (outbox.counts(), outbox.dropped) == ((1, 1), 2)

    outbox.clear()

    assert (outbox.counts(), outbox.dropped, outbox.every(), outbox.next_due()) == ((0, 0), 0, [], math.inf)


def test_a_received_callback_replaces_a_known_one_and_keeps_its_number() -> None:
    outbox = Outbox()
    note(outbox, "a", 5)
    note(outbox, "b", 6)
    received = make_callback("a", number=7, state=State.DELIVERED, is_received=True)

    outbox.receive(received)
    outbox.receive(received._replace(target="http://127.0.0.1/other"))

    assert list(outbox.pending) == ["b"]
    assert outbox.claimed == {"a": received._replace(number=1, target="http://127.0.0.1/other")}
    note(outbox, "c", 7)
    assert outbox.pending["c"].number == 3


def test_received_callbacks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "MAX_CLAIMED", 2)
    outbox = Outbox()

    for n in range(5):
        outbox.receive(make_callback(str(n), state=State.DELIVERED))

    assert (list(outbox.claimed), outbox.dropped) == (["3", "4"], 3)


@pytest.mark.parametrize("state", [State.PENDING, State.SENDING, State.RETRYING])
def test_a_callback_that_is_still_to_be_sent_is_not_dropped(monkeypatch: pytest.MonkeyPatch, state: State) -> None:
    monkeypatch.setattr(callbacks, "MAX_CLAIMED", 1)
    outbox = Outbox()
    for n in range(3):
        note(outbox, str(n), n)
    first, *others = outbox.claim_due(9)
    outbox.update(first._replace(state=state))

    for each in others:
        outbox.update(each._replace(state=State.DELIVERED))

    assert (list(outbox.claimed), outbox.dropped) == (["0", "1", "2"], 0)
    outbox.update(first._replace(state=State.FAILED))
    assert (list(outbox.claimed), outbox.dropped) == (["2"], 2)


def test_a_withdrawn_callback_does_not_come() -> None:
    outbox = Outbox()
    note(outbox, "a", 5)
    note(outbox, "b", 6)

    outbox.withdraw("a")
    outbox.withdraw("unknown")

    assert (outbox.next_due(), list(outbox.pending)) == (6, ["b"])
    assert outbox.find("a") is None


def test_a_callback_is_found_pending_and_claimed() -> None:
    outbox = Outbox()
    note(outbox, "a", 5)

    assert outbox.find("a") == outbox.pending["a"]
    assert outbox.find_claimed("a") is None
    outbox.claim_due(5)
    assert outbox.find("a") == outbox.find_claimed("a") == outbox.claimed["a"]
    assert outbox.find("b") is None


def test_a_callback_is_claimed_one_by_one() -> None:
    outbox = Outbox()
    note(outbox, "a", 5)
    note(outbox, "b", math.inf)

    assert outbox.claim_next(4.9) is None
    first = outbox.claim_next(5)
    assert first is not None
    assert (first.id, first.state) == ("a", State.SENDING)
    assert outbox.claim_next(math.inf) is None


def test_an_unknown_callback_is_neither_updated_nor_redelivered() -> None:
    outbox = Outbox()

    outbox.update(make_callback("a"))
    outbox.redeliver("a")

    assert outbox.every() == []


def test_what_another_process_has_changed_is_read_again() -> None:
    pending, claimed = make_rows(), make_rows()
    outbox = Outbox(pending=pending, claimed=claimed)
    pending.put("a", make_callback("a", number=4, due=7.0))
    claimed.put("b", make_callback("b", number=6, state=State.DELIVERED))
    assert outbox.next_due() == math.inf

    outbox.reload()

    assert outbox.next_due() == 7
    note(outbox, "c", 1)
    assert outbox.pending["c"].number == 7


def test_callbacks_of_another_outbox_keep_their_numbers() -> None:
    outbox = Outbox(
        [make_callback("a", number=4, due=2.0), make_callback("b", number=9, state=State.DELIVERED)],
    )
    note(outbox, "c", 1)

    assert {each.id: each.number for each in outbox.every()} == {"a": 4, "b": 9, "c": 10}
    assert [each.id for each in outbox.every()] == ["b", "c", "a"]
