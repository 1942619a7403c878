"""The cache of answers: within a day the same one, after it another, in whatever order somebody looks."""

import random
from collections.abc import Callable, Iterable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mockserver.providers.agentfirst import answer_versions
from mockserver.providers.agentfirst.answer_versions import AnswerVersions
from mockserver.sandbox.batches import IMMEDIATE, Batch
from mockserver.sandbox.clock import DAY, ClockConfig
from mockserver.sandbox.sandbox import Sandbox, SandboxDefaults
from mockserver.stores.memory import MemoryRows, MemoryStore

STEADY = settings(derandomize=True)

MakeBatch = Callable[..., Batch]

BORN = 1_700_000_000.0


def asked_by(batch: Batch) -> Iterable[bytes]:
    return [text.encode() for text in batch.texts()]


def new_book() -> Sandbox:
    """A sandbox without answers."""
    beginnings = SandboxDefaults("seed", ClockConfig(frozen=True, instant=BORN), IMMEDIATE, {}, {}, 10)
    return Sandbox("box", MemoryStore(), beginnings)


def versions(book: Sandbox, batches: dict[str, Batch], question: bytes, moments: Iterable[float]) -> list[int]:
    for id_, batch in batches.items():
        book.batches.put(id_, batch)
    return [AnswerVersions(book).version(question, at, asked_by) for at in moments]


@pytest.fixture(scope="session")
def make_batch() -> MakeBatch:
    def make(*, id_: str, texts: list[str], created: float) -> Batch:
        body = orjson.dumps({"prompts": texts})
        return Batch(id_, "batch", "some-token", len(texts), body, "prompts", created, IMMEDIATE)

    return make


@pytest.fixture(scope="session")
def make_history(make_batch: MakeBatch) -> Callable[[list[tuple[float, str]]], dict[str, Batch]]:
    """Batches of one question each: when, after the sandbox's birth, and what."""

    def make(asked: list[tuple[float, str]]) -> dict[str, Batch]:
        batches = [make_batch(id_=str(n), texts=[text], created=BORN + at) for n, (at, text) in enumerate(asked)]
        return {batch.id: batch for batch in batches}

    return make


MakeHistory = Callable[[list[tuple[float, str]]], dict[str, Batch]]


def test_a_cached_completion_is_unchanged_within_a_day(make_history: MakeHistory) -> None:
    batches = make_history([(0, "q"), (100, "q"), (DAY - 1, "q")])

    assert versions(new_book(), batches, b"q", [BORN, BORN + 100, BORN + DAY - 1]) == [0, 0, 0]


def test_a_cached_completion_is_renewed_after_a_day(make_history: MakeHistory) -> None:
    moments = [0, DAY, DAY + 1, 2 * DAY - 1, 2 * DAY, 9 * DAY]
    batches = make_history([(at, "q") for at in moments])

    assert versions(new_book(), batches, b"q", [BORN + at for at in moments]) == [0, 1, 1, 1, 2, 3]


def test_the_day_of_a_cached_completion_begins_when_it_is_generated(make_history: MakeHistory) -> None:
    moments = [at * DAY / 2 for at in range(5)]
    batches = make_history([(at, "q") for at in moments])

    assert versions(new_book(), batches, b"q", [BORN + at for at in moments]) == [0, 0, 1, 1, 2]


def test_a_new_prompt_gets_version_0_of_its_completion(make_history: MakeHistory) -> None:
    batches = make_history([(0, "q"), (5 * DAY, "other")])

    assert versions(new_book(), batches, b"other", [BORN + 5 * DAY]) == [0]
    assert versions(new_book(), batches, b"never", [BORN + 5 * DAY]) == [0]
    assert versions(new_book(), batches, b"other", [BORN + 2 * DAY]) == [0]


HISTORIES = st.lists(st.tuples(st.sampled_from([0.0, 1.0, DAY / 2, DAY - 1, DAY, 3 * DAY]), st.sampled_from("pq")))


@STEADY
@given(HISTORIES, st.randoms(use_true_random=False))
def test_the_order_of_reads_does_not_matter_for_completions(
    make_history: MakeHistory, steps: list[tuple[float, str]], shuffler: random.Random
) -> None:
    at, asked = 0.0, []
    for step, question in steps:
        at += step
        asked.append((at, question))
    batches = make_history(asked)

    fresh = [versions(new_book(), batches, q.encode(), [BORN + at])[0] for at, q in asked]

    book, order = new_book(), shuffler.sample(range(len(asked)), len(asked))
    looked = {n: versions(book, batches, asked[n][1].encode(), [BORN + asked[n][0]])[0] for n in order}
    early, known = new_book(), {}
    for (moment, question), (id_, batch) in zip(asked, batches.items(), strict=True):
        known[id_] = batch
        fresh_now = versions(early, known, question.encode(), [BORN + moment])[0]
        assert fresh_now == fresh[int(id_)]
    assert [looked[n] for n in range(len(asked))] == fresh


def test_within_the_first_day_no_batch_is_read_for_versions(make_history: MakeHistory) -> None:
    batches = make_history([(0, "q"), (DAY, "q")])

    def refuse(batch: Batch) -> Iterable[bytes]:
        raise AssertionError("no batch needs to be read")

    just_before = BORN + DAY - 1
    book = new_book()
    versions(book, batches, b"q", ())
    assert AnswerVersions(book).version(b"q", just_before, refuse) == 0


def test_each_batch_is_read_once_for_versions(make_history: MakeHistory, monkeypatch: pytest.MonkeyPatch) -> None:
    book = new_book()
    versions(book, make_history([(n * DAY, "q") for n in range(3)]), b"q", ())
    walks = 0
    latest = MemoryRows.latest

    def counted(rows: MemoryRows, start: int, most: int) -> list[Any]:
        nonlocal walks
        walks += 1
        return latest(rows, start, most)

    monkeypatch.setattr(MemoryRows, "latest", counted)
    read: list[str] = []

    def noted(batch: Batch) -> Iterable[bytes]:
        read.append(batch.id)
        return asked_by(batch)

    for _ in range(5):
        assert AnswerVersions(book).version(b"q", BORN + 2 * DAY, noted) == 2

    assert (read, walks) == (["0", "1", "2"], 1)


def test_of_many_batches_those_that_were_not_read_are_read_in_parts(
    make_history: MakeHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer_versions, "READ_AT_ONCE", 2)
    book = new_book()
    read: list[str] = []

    def noted(batch: Batch) -> Iterable[bytes]:
        read.append(batch.id)
        return asked_by(batch)

    for count in (3, 8):
        versions(book, make_history([(n * DAY, "q") for n in range(count)]), b"q", ())
        AnswerVersions(book).version(b"q", BORN + 9 * DAY, noted)

    assert read == [str(n) for n in range(8)]
