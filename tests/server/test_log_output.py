"""Log lines go to a pipe in order, and wait for no reader."""

import logging
import os
import re
from collections.abc import Iterator
from typing import IO

import pytest

from mockserver.server.log_output import MAX_QUEUED, LogOutput, Throttle

PIPE = 65536


@pytest.fixture
def pipe() -> Iterator[tuple[int, IO[str]]]:
    """Both ends of a pipe."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        yield reader, stream
    os.close(reader)


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("mockserver", logging.INFO, "", 0, text, (), None)


def read_line(reader: int) -> str:
    line = b""
    while not line.endswith(b"\n"):
        line += os.read(reader, 1)
    return line.decode().rstrip("\n")


def test_a_line_is_written_before_the_call_returns(pipe: tuple[int, IO[str]]) -> None:
    reader, stream = pipe

    LogOutput(stream).emit(record("hello"))

    assert os.read(reader, 100) == b"hello\n"


@pytest.mark.parametrize("size", [10, 1000, 10_000])
def test_lines_keep_their_order_whatever_their_length(pipe: tuple[int, IO[str]], size: int) -> None:
    reader, stream = pipe
    output = LogOutput(stream)
    count = 10 * PIPE // size

    for n in range(count):
        output.emit(record(f"{n} {'x' * (size if n % 2 else 1)}"))

    assert [int(read_line(reader).split()[0]) for _ in range(count)] == list(range(count))
    output.flush()


def test_lines_beyond_the_bound_are_dropped_and_counted(pipe: tuple[int, IO[str]]) -> None:
    reader, stream = pipe
    output = LogOutput(stream)
    count = 4 * MAX_QUEUED // 1000  # more than the queue, and what the thread may hold beside it

    for _ in range(count):
        output.emit(record("x" * 999))
    written = dropped = 0
    while written + dropped < count:
        found = re.fullmatch(r"(\d+) log lines were dropped, because standard error was not read", read_line(reader))
        dropped += int(found[1]) if found else 0
        written += found is None

    assert written + dropped == count
    assert dropped > 0
    output.flush()


def test_a_log_whose_reader_is_gone_fails_no_call() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        output = LogOutput(stream)
        for size in (10, 10_000):
            output.emit(record("x" * size))
        output.flush()


def test_a_throttle_lets_some_through_and_tells_how_many_it_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    throttle = Throttle(2, 10)

    first = [throttle.note() for _ in range(5)]
    now = 110.0

    assert first == [0, 0, None, None, None]
    assert throttle.note() == 3
    assert throttle.note() == 0


def test_by_default_twenty_messages_are_let_through_in_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    throttle = Throttle()

    assert [throttle.note() for _ in range(21)] == [0] * 20 + [None]
    now = 9.9
    assert throttle.note() is None
    now = 10.0
    assert throttle.note() == 2
