"""Large bodies of batches: in memory up to a limit, then in files that go with the last of them."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mockserver.errors import Refusal
from mockserver.sandbox import blobs
from mockserver.sandbox.blobs import BodySpace, KeptBody, read_body
from mockserver.sandbox.sandbox import Sandbox, SandboxDefaults
from mockserver.stores.memory import MemoryStore

LARGE = b"x" * 20_000


def files_open() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


def test_a_small_body_is_kept_as_it_is() -> None:
    assert BodySpace(0).keep(b"{}") == b"{}"


def test_bodies_beyond_the_limit_are_in_one_file_and_the_same_when_read() -> None:
    space, before = BodySpace(50_000), files_open()

    kept = [space.keep(LARGE + b"%d" % number) for number in range(10)]

    assert files_open() == before + 1
    assert [read_body(each) for each in kept] == [LARGE + b"%d" % number for number in range(10)]
    assert kept[0] == LARGE + b"0"
    assert kept[9] == KeptBody(LARGE + b"9", 20_001)
    del kept
    space.keep(LARGE)
    assert files_open() == before + 1  # the file that is being filled


def test_a_full_file_goes_with_the_last_of_its_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "FILE_BYTES", 30_000)
    space, before = BodySpace(0), files_open()

    kept = [space.keep(LARGE) for _ in range(5)]
    assert files_open() == before + 3

    del kept[:2]
    assert files_open() == before + 2


def test_memory_that_was_freed_is_used_again() -> None:
    space, before = BodySpace(50_000), files_open()

    for _ in range(10):
        space.keep(LARGE)

    assert files_open() == before


def test_a_full_disk_is_said_and_the_next_body_finds_a_new_file(monkeypatch: pytest.MonkeyPatch) -> None:
    space, write = BodySpace(0), os.write

    def fails(descriptor: int, content: memoryview) -> int:
        write(descriptor, content[:100])
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "write", fails)
    with pytest.raises(Refusal) as refused:
        space.keep(LARGE)
    monkeypatch.setattr(os, "write", write)

    assert refused.value.status == 507
    assert read_body(space.keep(LARGE)) == LARGE


def test_a_sandbox_shares_the_space_it_is_given_and_has_its_own_else(
    make_beginnings: Callable[..., SandboxDefaults],
) -> None:
    space = BodySpace(7)

    assert Sandbox("one", MemoryStore(), make_beginnings(), bodies=space).bodies is space
    assert Sandbox("one", MemoryStore(), make_beginnings()).bodies.keep(b"{}") == b"{}"
