"""Ids: the same on every run, another for every body, and no two alike."""

import os
import random
import subprocess
import sys
import uuid
from pathlib import Path

from builders import make_rows
from hypothesis import given, settings
from hypothesis import strategies as st

import mockserver
from mockserver.sandbox.ids import IdSequence, as_uuid, digest

STEADY = settings(derandomize=True)

ROOT = Path(mockserver.__file__).parent.parent

REQUESTS = [(operation, body) for operation in ("queueBatch", "askModel") for body in (b'{"n":1}', b"{}", b"", b"{}")]

ELSEWHERE = """
from mockserver.sandbox.ids import IdSequence, as_uuid
from mockserver.stores.memory import MemoryRows

ids = IdSequence("seed", "sandbox", MemoryRows())
for operation, body in %r:
    print(as_uuid(ids.next(operation, body)))
"""


def given_ids(ids: IdSequence, requests: list[tuple[str, bytes]]) -> list[str]:
    return [as_uuid(ids.next(operation, body)) for operation, body in requests]


def new_sequence(seed: str = "seed", sandbox: str = "sandbox") -> IdSequence:
    return IdSequence(seed, sandbox, make_rows())


def test_another_process_gives_the_same_ids() -> None:
    expected = given_ids(new_sequence(), REQUESTS)

    for hash_seed in ("0", "4024"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
        child = [sys.executable, "-W", "error", "-c", ELSEWHERE % REQUESTS]
        printed = subprocess.run(child, env=environment, capture_output=True, text=True, check=True, timeout=60).stdout
        assert printed.split() == expected


def test_another_release_gives_the_same_ids() -> None:
    assert given_ids(new_sequence(), [("queueBatch", b"{}")] * 2) == [
        "fb4ca673-624a-4367-8c53-e8040b62dc3b",
        "1f377b79-f5f0-41c3-ae15-0d5e9afe98e8",
    ]


@STEADY
@given(st.randoms(use_true_random=False))
def test_ids_do_not_depend_on_requests_in_between(shuffler: random.Random) -> None:
    requests = [(operation, b"%d" % (n % 7)) for operation in ("one", "two") for n in range(21)]
    shuffled = shuffler.sample(requests, len(requests))

    in_order, out_of_order = given_ids(new_sequence(), requests), given_ids(new_sequence(), shuffled)

    for request in set(requests):
        assert [id_ for asked, id_ in zip(requests, in_order, strict=True) if asked == request] == [
            id_ for asked, id_ in zip(shuffled, out_of_order, strict=True) if asked == request
        ]


def test_a_repeated_body_gets_another_id() -> None:
    ids = given_ids(new_sequence(), [("queueBatch", b"{}")] * 1000)

    assert len(set(ids)) == 1000


def test_ids_differ_by_seed_sandbox_operation_and_body() -> None:
    ids = {
        as_uuid(new_sequence(seed, sandbox).next(operation, body))
        for seed in ("a", "ab", "")
        for sandbox in ("bc", "c", "")
        for operation in ("one", "two", "")
        for body in (b"{}", b"[]", b"")
    }

    assert len(ids) == 81


def test_where_one_part_ends_and_the_next_begins_matters() -> None:
    parts = [(b"ab", b"c"), (b"a", b"bc"), (b"abc",), (b"2:ab1:c",), (b"abc", b""), (b"", b"abc"), ()]

    digests = {digest(*each) for each in parts}

    assert len(digests) == len(parts)
    assert {len(each) for each in digests} == {16}


def test_repetitions_are_counted_per_sandbox() -> None:
    seen = make_rows()
    first = IdSequence("seed", "sandbox", seen).next("one", b"{}")

    assert IdSequence("seed", "sandbox", seen).next("one", b"{}") != first
    seen.clear()
    assert IdSequence("seed", "sandbox", seen).next("one", b"{}") == first


@STEADY
@given(st.binary(min_size=16, max_size=16))
def test_an_identity_is_written_as_a_version_4_uuid(identity: bytes) -> None:
    written = uuid.UUID(as_uuid(identity))

    assert str(written) == as_uuid(identity)
    assert (written.version, written.variant) == (4, uuid.RFC_4122)


def test_a_hundred_thousand_ids_are_all_different() -> None:
    ids = new_sequence()

    given_out = {as_uuid(ids.next("queueBatch", b"%d" % (n % 50_000))) for n in range(100_000)}

    assert len(given_out) == 100_000
