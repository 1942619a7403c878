"""Exports of a sandbox at their edges: heads, versions, numbers of exchanges, sizes, unknown collections."""

import json
from typing import Any

import pytest
from builders import ask, make_engine, queue

from mockserver import __version__
from mockserver.engine.engine import Engine
from mockserver.sandbox.callbacks import State
from mockserver.sandbox.sandbox import Sandbox
from mockserver.sandbox.snapshot.export import (
    BYTES_PER_VALUE,
    INTERRUPTED,
    MAX_DOCUMENT,
    MAX_DOCUMENT_VALUES,
    Snapshots,
    max_document_values,
    restore,
)
from mockserver.sandbox.snapshot.values import SnapshotError


def make_sandbox(*, requests: int = 2) -> tuple[Engine, Sandbox]:
    engine = make_engine()
    for _ in range(requests):
        ask(engine, "GET", "/user")
    return engine, engine.sandboxes.open("test")


def export(sandbox: Sandbox, *, journal: bool = True) -> Any:
    snapshots = Snapshots()
    with sandbox.transaction:
        snapshot = snapshots.snapshot_of(sandbox, journal=journal)
    return json.loads(b"".join(snapshots.encode(snapshot)))


def refusal_of(document: Any) -> str:
    with pytest.raises(SnapshotError) as caught:
        Snapshots().read(document)
    return str(caught.value)


@pytest.mark.parametrize(
    ("size", "values"),
    [(0, 300_000), (2_400_007, 300_000), (2_400_008, 300_001), (16_000_000, 2_000_000), (10**9, 2_000_000)],
)
def test_a_document_may_have_a_value_for_every_eight_bytes(size: int, values: int) -> None:
    assert max_document_values(size) == values
    assert (MAX_DOCUMENT, MAX_DOCUMENT_VALUES, BYTES_PER_VALUE) == (402_653_184, 2_000_000, 8)


def test_an_export_names_its_format_and_who_wrote_it() -> None:
    document = export(make_sandbox()[1])

    assert list(document) == ["format", "version", "mockserver", "sandbox", "blobs"]
    assert (document["format"], document["version"], document["mockserver"]) == ("mockserver sandbox", 4, __version__)
    assert [each["number"] for each in document["sandbox"]["exchanges"]] == [1, 2]
    assert document["sandbox"]["seen"] == 2


def test_without_the_journal_exchanges_are_null_and_still_counted() -> None:
    document = export(make_sandbox()[1], journal=False)

    assert (document["sandbox"]["exchanges"], document["sandbox"]["seen"]) == (None, 2)
    assert Snapshots().read(document).exchanges is None


WANTED = "no export of a sandbox: wanted an object with blobs, format, mockserver, sandbox, version; here is "


@pytest.mark.parametrize(
    ("changes", "came"),
    [
        ({"format": "another"}, "blobs, format, mockserver, sandbox, version"),
        ({"more": 1}, "blobs, format, mockserver, more, sandbox, version"),
        ({"x" * 400: 1}, "blobs, format, mockserver, sandbox, version, " + "x" * 255),
    ],
)
def test_another_object_is_no_export(changes: dict[str, Any], came: str) -> None:
    assert refusal_of({**export(make_sandbox()[1]), **changes}) == WANTED + came


def test_what_is_no_object_is_no_export() -> None:
    assert refusal_of([]) == WANTED + "list"


@pytest.mark.parametrize("version", [1, 5, "4", None, 10**200])
def test_only_versions_2_to_4_are_read(version: Any) -> None:
    document = {**export(make_sandbox()[1]), "version": version, "mockserver": "0.1"}

    assert refusal_of(document) == (
        f"version: {str(version)[:100]}, written by mockserver 0.1; {__version__} reads 2 to 4"
    )


@pytest.mark.parametrize(
    ("numbers", "seen", "message"),
    [
        ([1, 2], 2, ""),
        ([1, 2], 9, ""),
        ([3, 7], 7, ""),
        ([1, 1], 2, "sandbox.exchanges: their numbers do not rise"),
        ([2, 1], 2, "sandbox.exchanges: their numbers do not rise"),
        ([1, 3], 2, "sandbox.seen: it is less than the number of the last exchange"),
    ],
)
def test_the_numbers_of_exchanges_rise_to_those_that_were_seen(numbers: list[int], seen: int, message: str) -> None:
    document = export(make_sandbox()[1])
    document["sandbox"]["seen"] = seen
    for number, exchange in zip(numbers, document["sandbox"]["exchanges"], strict=True):
        exchange["number"] = number

    if message:
        assert refusal_of(document) == message
    else:
        found = Snapshots().read(document).exchanges
        assert found is not None
        assert [each.number for each in found] == numbers


def test_a_collection_that_no_one_declares_is_neither_written_nor_read() -> None:
    _, sandbox = make_sandbox()
    document = export(sandbox)
    document["sandbox"]["collections"]["x" * 200] = {}
    with sandbox.transaction:
        sandbox.collection("mine.things", int).put("a", 5)
    snapshot = Snapshots().snapshot_of(sandbox)

    with pytest.raises(SnapshotError) as caught:
        b"".join(Snapshots().encode(snapshot))

    assert str(caught.value) == "mine.things is no declared collection: a int is none of the values that can be written"
    assert b"".join(Snapshots({"mine.things": int}).encode(snapshot))
    assert refusal_of(document).startswith(f"sandbox.collections.{'x' * 100}: unknown; known are ")


def test_a_sandbox_is_restored_with_its_journal_and_its_callbacks() -> None:
    engine, sandbox = make_sandbox()
    queue(engine, "one", callback="http://127.0.0.1:9/done")
    with sandbox.transaction:
        snapshot = Snapshots().snapshot_of(sandbox, journal=True)
    other = make_engine().sandboxes.open("other")

    with other.transaction:
        restore(other, Snapshots().read(json.loads(b"".join(Snapshots().encode(snapshot)))))

    assert [each.number for each in other.journal.find(lambda _: True)] == [1, 2, 3]
    assert other.journal.seen == 3
    assert other.outbox is not None
    (callback,) = other.outbox.every()
    assert callback.state is State.PENDING
    assert INTERRUPTED == "it was exported while under way"
