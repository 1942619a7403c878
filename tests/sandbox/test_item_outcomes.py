"""Fates: what the markers in a text say of its item."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mockserver.sandbox.batches import PLAIN, Batch, ItemOutcome, read_outcome

STEADY = settings(derandomize=True)

MakeBatch = Callable[..., Batch]


def test_failed_items_are_counted_separately(make_batch: MakeBatch) -> None:
    batch = make_batch(texts=["[mock:fail]", "plain", "[mock:fail=404][mock:slow=1s]"])

    assert (batch.tally(0), batch.tally(1)) == ((1, 1), (1, 2))
    assert [batch.outcome(index) for index in range(3)] == [ItemOutcome(500), PLAIN, ItemOutcome(404, 1.0)]


def test_markers_have_no_effect_if_turned_off(make_batch: MakeBatch) -> None:
    batch = make_batch(texts=["[mock:fail]", "[mock:hang]"], applies_markers=False)

    assert batch.with_outcomes().outcomes == {}
    assert batch.tally(0) == (2, 0)


def test_outcomes_are_read_once(make_batch: MakeBatch) -> None:
    batch = make_batch(texts=["plain", "[mock:fail]"])

    assert batch.outcomes is None
    assert batch.with_outcomes().outcomes == {1: ItemOutcome(500)}
    assert batch.with_outcomes().with_outcomes().outcomes == {1: ItemOutcome(500)}
    assert (known := batch.with_outcomes()).with_outcomes() is known


def test_the_status_of_a_thousand_marked_items_reads_the_body_once(
    make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, readings, read = make_batch(texts=["[mock:fail]"] * 1000), [], Batch.request
    monkeypatch.setattr(Batch, "request", lambda self: readings.append(self) or read(self))  # type: ignore[func-returns-value]  # append gives None, and so the other value counts

    for question in (Batch.items_end, Batch.end, lambda it: it.tally(0.0)):
        readings.clear()
        question(batch)
        assert len(readings) == 1


def test_one_text_is_a_batch_of_one(make_batch: MakeBatch) -> None:
    batch = make_batch()._replace(body=b'{"prompt":"[mock:fail]"}', texts_key="prompt")

    assert batch.request() == {"prompt": "[mock:fail]"}
    assert batch.texts() == ["[mock:fail]"]
    assert batch.outcome(0) == ItemOutcome(500)


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("[mock:fail]", ItemOutcome(500)),
        ("[mock:fail=429]", ItemOutcome(429)),
        ("[mock:slow=30s]", ItemOutcome(None, 30.0)),
        ("[mock:slow=250ms] [mock:fail]", ItemOutcome(500, 0.25)),
        ("[mock:slow=999999999h]", ItemOutcome(None, 999_999_999 * 3600.0)),
        ("[mock:hang]", ItemOutcome(None, math.inf)),
        ("[mock:hang][mock:fail]", ItemOutcome(500, math.inf)),
        ("", PLAIN),
        ("no marker", PLAIN),
        ("a [mock:fail=503] in the middle", ItemOutcome(503)),
        ("[mock:slow=2m]", ItemOutcome(None, 120.0)),
        ("[mock:slow=1.5h]", ItemOutcome(None, 5400.0)),
        ("[mock:slow=0s]", PLAIN),
        ("[mock:fail=404] [mock:fail=429]", ItemOutcome(429)),
        ("[mock:slow=1s] [mock:slow=2s]", ItemOutcome(None, 3.0)),
        ("[mock:slow=1s][mock:hang]", ItemOutcome(None, math.inf)),
        ("[[mock:fail]]", ItemOutcome(500)),
        ("[mock:fail=99]", PLAIN),
        ("[mock:fail=099]", PLAIN),
        ("[mock:fail=1000]", PLAIN),
        ("[mock:fail=-42]", PLAIN),
        ("[mock:fail=]", PLAIN),
        ("[mock:fail=٤٢٩]", PLAIN),
        ("[mock:slow]", PLAIN),
        ("[mock:slow=30]", PLAIN),
        ("[mock:slow=30d]", PLAIN),
        ("[mock:slow=-1s]", PLAIN),
        ("[mock:slow=1e9s]", PLAIN),
        ("[mock:slow=infs]", PLAIN),
        ("[mock:slow=.5s]", PLAIN),
        ("[mock:slow=1.s]", PLAIN),
        ("[mock:slow=1.0001s]", PLAIN),
        ("[mock:slow=1234567890s]", PLAIN),
        ("[mock:hang=1]", PLAIN),
        ("[mock:hang", PLAIN),
        ("[mock: fail]", PLAIN),
        ("[Mock:Fail]", PLAIN),
        ("mock:fail", PLAIN),
        ("[mock:]", PLAIN),
    ],
)
def test_markers_determine_the_outcome_of_an_item(text: str, outcome: ItemOutcome) -> None:
    assert read_outcome(text) == outcome


@STEADY
@given(
    st.lists(st.sampled_from(["[mock:", "fail", "=4", "29", "slow=", "1", ".", "s", "hang", "]", " ", "é"])).map(
        "".join
    )
)
def test_any_text_has_a_valid_outcome(text: str) -> None:
    outcome = read_outcome(text)

    assert outcome.failure is None or 100 <= outcome.failure <= 999
    assert outcome.slowness >= 0


@pytest.mark.parametrize(
    "piece", ["[mock:", "[mock:slow=111111111.", "[", "[mock:fail=42", "[mock:slow=1.111m", "[mock:slow=1s]", "1"]
)
def test_a_long_text_is_searched_without_going_over_it_twice(piece: str) -> None:
    # Were the search quadratic, a text of five megabytes would keep the suite for hours.
    assert read_outcome(piece * (5_000_000 // len(piece)) + "[mock:fail=418]").failure == 418


def test_a_marker_in_json_escapes_counts(make_batch: Callable[..., Batch]) -> None:
    batch = make_batch()._replace(body=b'{"prompts": ["\\u005bmock:fail]"]}')

    assert batch.outcome(0) == ItemOutcome(failure=500)


def test_escapes_alone_are_no_marker(make_batch: Callable[..., Batch]) -> None:
    batch = make_batch()._replace(body=b'{"prompts": ["\\u005bmock]"]}')

    assert batch.outcome(0) == PLAIN
