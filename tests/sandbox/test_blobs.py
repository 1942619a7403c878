"""Bytes at rest, in memory and on disk: they come back as they were written, whole, in part and line by line."""

import gc
import io
import json
import os
import tempfile
import threading
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import orjson
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from mockserver.sandbox import blobs
from mockserver.sandbox.blobs import CHUNK_BYTES, MAX_LINE, MEMORY_BYTES, Blob, BlobWriter

OPEN_FILES = Path("/proc/self/fd")


def written(*parts: bytes) -> Blob:
    writer = BlobWriter()
    for part in parts:
        writer.write(part)
    return writer.finish()


def lines_of(blob: Blob) -> list[bytes]:
    return [*chain.from_iterable(blob.line_groups())]


def open_files() -> int:
    gc.collect()
    return len(os.listdir(OPEN_FILES))  # noqa: PTH208  the listing itself is closed at once


@pytest.fixture(params=["memory", "disk"])
def content(request: pytest.FixtureRequest) -> bytes:
    """No two neighbouring pieces of it are alike; it ends within one."""
    size = MEMORY_BYTES if request.param == "memory" else MEMORY_BYTES + CHUNK_BYTES + 7
    return b"".join(b"%07d\n" % n for n in range(size // 8 + 1))[:size]


def test_a_blob_has_the_bytes_that_were_written(content: bytes) -> None:
    blob = written(content[:10], b"", content[10:])

    assert blob.size == len(content)
    assert blob.read() == content
    assert b"".join(blob.chunks()) == content
    assert max(map(len, blob.chunks())) == CHUNK_BYTES


def test_many_small_pieces_are_one_content(content: bytes) -> None:
    assert written(*(content[at : at + 1000] for at in range(0, len(content), 1000))).read() == content


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 0), (0, 1), (5, 300_000), (9, None), (3, 10**9), (10**9, None), (8, 4)]
)
def test_a_part_of_a_blob_is_a_slice_of_its_content(content: bytes, start: int, stop: int | None) -> None:
    blob = written(content)

    assert blob.read(start, stop) == content[start:stop]
    assert b"".join(blob.chunks(start, stop)) == content[start:stop]


def test_the_digest_is_that_of_the_whole_content(content: bytes) -> None:
    assert written(content).digest() == xxhash.xxh3_128_digest(content)


def test_an_empty_blob_has_no_chunks_and_no_lines() -> None:
    blob = written()

    assert (blob.size, blob.read(), [*blob.chunks()], lines_of(blob)) == (0, b"", [], [])
    assert blob.digest() == xxhash.xxh3_128_digest(b"")


def test_lines_that_cross_chunks_are_read_whole(content: bytes) -> None:
    assert lines_of(written(content)) == content.splitlines()


@given(st.lists(st.sampled_from([b"\n", b"\r", b"a", b"\xe2\x80\xa8", b"\x85", b"\x00", b"bc"])), st.integers(1, 4))
def test_only_a_newline_ends_a_line(parts: list[bytes], chunk: int) -> None:
    content = b"".join(parts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blobs, "CHUNK_BYTES", chunk)
        lines = lines_of(Blob.in_memory(content))

    assert lines == [line.removesuffix(b"\n") for line in io.BytesIO(content).readlines()]


def test_a_line_of_the_greatest_length_is_whole() -> None:
    line = b"x" * MAX_LINE

    assert lines_of(written(line, b"\nnext")) == [line, b"next"]


@pytest.mark.parametrize("end", [b"", b"\n", b"\nnext\n"])
def test_a_line_that_is_too_long_is_cut_so_that_it_cannot_be_parsed(end: bytes) -> None:
    line, *others = lines_of(written(b"{}", b" " * (MAX_LINE - 2), b" " * CHUNK_BYTES * 2, end))

    assert len(line) == MAX_LINE + 1
    assert others == ([b"next"] if b"next" in end else [])
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(line)
    with pytest.raises(json.JSONDecodeError):
        json.loads(line)


def test_threads_read_one_blob_at_once(content: bytes) -> None:
    blob = written(content)
    seen: list[bytes] = []
    threads = [threading.Thread(target=lambda: seen.append(b"".join(blob.chunks()))) for _ in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert seen == [content] * 8


def test_an_open_file_becomes_a_blob_that_outlives_it() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"not yet on disk")
        blob = Blob.on_disk(file)

    assert (blob.size, blob.read(4, 7)) == (15, b"yet")


def test_a_blob_whose_file_was_truncated_is_an_error() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"content")
        blob = Blob.on_disk(file)
        file.truncate(3)

    with pytest.raises(OSError, match="a file of 7 bytes ends at 3"):
        blob.read()


@pytest.mark.skipif(not OPEN_FILES.exists(), reason="open files are counted as Linux shows them")
def test_a_blob_on_disk_has_no_name_and_is_closed_when_unreferenced() -> None:
    before = open_files()
    blob = written(b"x" * (MEMORY_BYTES + 1))
    assert open_files() == before + 1
    assert blob.read(MEMORY_BYTES) == b"x"

    chunks: Iterator[bytes] = blob.chunks()
    next(chunks)
    del blob
    assert open_files() == before + 1, "who reads it holds it"

    del chunks
    assert open_files() == before


@pytest.mark.skipif(not OPEN_FILES.exists(), reason="open files are counted as Linux shows them")
def test_a_writer_that_is_dropped_leaves_nothing() -> None:
    before = open_files()
    writer = BlobWriter()
    writer.write(b"x" * (MEMORY_BYTES + 1))
    assert open_files() == before + 1

    del writer

    assert open_files() == before
