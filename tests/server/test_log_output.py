"""Log lines go to a pipe in order, and wait for no reader."""

import asyncio
import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from typing import IO, Any

import pytest
from builders import make_settings

from mockserver.server import log_output as module
from mockserver.server.log_format import JsonFormatter, LineFormatter
from mockserver.server.log_output import MAX_QUEUED, LogOutput, Throttle, is_no_cut, set_up_logging

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


def test_queued_lines_are_bounded_by_their_bytes(pipe: tuple[int, IO[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    assert (MAX_QUEUED, module.FLUSH_SECONDS, module.LOGGER) == (1024 * 1024, 1.0, "mockserver")
    monkeypatch.setattr(module, "MAX_QUEUED", 10)
    output = LogOutput(pipe[1])
    output._is_writing = True  # as if a thread waited for the reader

    for text in ("abcd", "efgh", "i", "j"):
        output.emit(record(text))

    assert output._take() == b"abcd\nefgh\n2 log lines were dropped, because standard error was not read\n"
    assert output._take() is None
    assert not output._is_writing
    output.emit(record("next"))
    assert os.read(pipe[0], 100) == b"next\n"


def test_a_line_waits_for_those_that_are_queued(pipe: tuple[int, IO[str]]) -> None:
    output = LogOutput(pipe[1])
    output._queue.append(b"first\n")

    output.emit(record("second"))
    output.flush()

    assert os.read(pipe[0], 100) == b"first\nsecond\n"


def test_without_another_thread_a_line_is_written_with_the_next_one(
    pipe: tuple[int, IO[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = LogOutput(pipe[1])
    output._queue.append(b"first\n")

    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr("threading.Thread.start", refuse)
        output.emit(record("second"))
    assert not output._is_writing
    output.emit(record("third"))
    output.flush()

    assert os.read(pipe[0], 100) == b"first\nsecond\nthird\n"


def test_a_record_that_cannot_be_formatted_is_reported_by_logging(
    pipe: tuple[int, IO[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    output, reported = LogOutput(pipe[1]), list[Any]()
    monkeypatch.setattr(output, "handleError", reported.append)
    broken = logging.LogRecord("mockserver", logging.INFO, "", 0, "%d", ("x",), None)

    output.emit(broken)

    assert reported == [broken]


def error_of(error: BaseException) -> Any:
    try:
        raise error
    except BaseException:
        return sys.exc_info()


@pytest.mark.parametrize(
    ("error", "is_shown"), [(None, True), (ValueError("x"), True), (asyncio.CancelledError(), False)]
)
def test_the_traceback_of_a_request_that_was_cut_is_hidden(error: BaseException | None, is_shown: bool) -> None:
    info = error_of(error) if error is not None else None

    assert is_no_cut(logging.LogRecord("x", logging.ERROR, "", 0, "t", (), info)) is is_shown


def test_a_record_is_one_line_of_text_with_its_traceback_below() -> None:
    plain = logging.LogRecord("mockserver", logging.WARNING, "", 0, "a %s\r\nb", ("x",), None)
    broken = logging.LogRecord("mockserver", logging.ERROR, "", 0, "bug", (), error_of(ValueError("why")))

    assert LineFormatter().format(plain) == "mockserver: WARNING: a x\\r\\nb"
    first, second, *_, last = LineFormatter().format(broken).splitlines()
    assert (first, second, last) == (
        "mockserver: ERROR: bug", "    Traceback (most recent call last):", "    ValueError: why"
    )  # fmt: skip


def test_a_record_is_an_object_of_json_with_the_fields_of_its_request() -> None:
    made = logging.LogRecord("mockserver", logging.WARNING, "", 0, "a %s", ("x",), None)
    made.created = 1775952000.1239
    made.request = {"method": "GET", "status": 200}
    broken = logging.LogRecord("mockserver", logging.ERROR, "", 0, "bug", (), error_of(ValueError("why")))

    assert json.loads(JsonFormatter().format(made)) == {
        "time": "2026-04-12T00:00:00.123+00:00", "level": "warning", "logger": "mockserver", "message": "a x",
        "method": "GET", "status": 200,
    }  # fmt: skip
    assert json.loads(JsonFormatter().format(broken))["exception"].endswith("ValueError: why")


@pytest.mark.parametrize(
    ("form", "has_error", "formatter", "handler"),
    [
        ("text", True, LineFormatter, LogOutput),
        ("json", True, JsonFormatter, LogOutput),
        ("text", False, LineFormatter, logging.StreamHandler),
    ],
)
def test_the_log_goes_to_standard_error_in_the_chosen_format(  # noqa: PLR0917  one for each parameter
    pipe: tuple[int, IO[str]],
    monkeypatch: pytest.MonkeyPatch,
    form: str,
    has_error: bool,
    formatter: type,
    handler: type,
) -> None:
    given: list[Any] = []
    monkeypatch.setattr(logging, "basicConfig", lambda *, handlers: given.extend(handlers))
    monkeypatch.setattr(sys, "stderr", pipe[1] if has_error else None)

    set_up_logging(make_settings(log_format=form, log_level="info"))

    assert [type(each) for each in given] == [handler]
    assert type(given[0].formatter) is formatter
    assert logging.getLogger("mockserver").level == logging.INFO


@pytest.mark.parametrize(("size", "is_written"), [(1, True), (4096, True), (4097, False)])
def test_a_line_that_a_pipe_takes_at_once_needs_no_thread(
    pipe: tuple[int, IO[str]], size: int, is_written: bool
) -> None:
    assert LogOutput(pipe[1])._is_written(b"x" * size) is is_written
    if is_written:
        assert os.read(pipe[0], 10_000) == b"x" * size


def test_a_line_for_a_full_pipe_is_left_to_a_thread(pipe: tuple[int, IO[str]]) -> None:
    output = LogOutput(pipe[1])
    while output._is_written(b"x" * 4096):
        pass

    assert not output._is_written(b"x")


@pytest.mark.parametrize("error", [OSError("closed"), ValueError("no file number")])
def test_a_standard_error_without_a_descriptor_is_logged_to_all_the_same(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    given: list[Any] = []

    class Stream:
        def fileno(self) -> int:
            raise error

    monkeypatch.setattr(logging, "basicConfig", lambda *, handlers: given.extend(handlers))
    monkeypatch.setattr(sys, "stderr", Stream())

    set_up_logging(make_settings())

    assert [type(each) for each in given] == [logging.StreamHandler]
    known = [each() for each in vars(logging)["_handlerList"]]  # which are flushed at the end of the process
    assert all(hasattr(each, "_changed") for each in known if isinstance(each, LogOutput))
