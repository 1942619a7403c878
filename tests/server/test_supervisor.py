"""The parent of several workers: what it starts, replaces, reports and stops, without any process."""

import os
import signal
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from builders import make_settings

from mockserver.errors import MockServerError, SettingsError
from mockserver.server import supervisor
from mockserver.server.supervisor import Supervisor, WorkerError, check_workers, when_closed


class Ended(BaseException):
    """The end of a process."""


class System:
    """An operating system whose processes exist by name only."""

    WNOHANG, path = os.WNOHANG, os.path

    def __init__(self) -> None:
        self.reports: list[bytes] = []
        """What each further worker says when it is started; READY if nothing is left."""
        self.ends: list[Callable[[], int] | int] = []
        """The process ids that the next calls of waitpid return; 0 means that none has ended."""
        self.dies_of: tuple[int, ...] = (signal.SIGTERM, signal.SIGKILL)
        self.killed: list[tuple[int, int]] = []
        self.forked = 0
        self.is_child = False
        self.writer = -1
        self.now = 0.0
        self.pauses: list[float] = []
        self.close, self.read, self.write = os.close, os.read, os.write

    def pipe(self) -> tuple[int, int]:
        reader, self.writer = os.pipe()
        return reader, self.writer

    def fork(self) -> int:
        if self.is_child:
            return 0
        self.forked += 1
        os.write(self.writer, self.reports.pop(0) if self.reports else supervisor.READY)
        return 100 + self.forked

    def kill(self, pid: int, number: int) -> None:
        self.killed.append((pid, number))
        if number in self.dies_of:
            self.ends.append(pid)

    def waitpid(self, pid: int, options: int) -> tuple[int, int]:
        assert (pid, options) == (-1, os.WNOHANG)
        found = self.ends.pop(0) if self.ends else 0
        return (found() if callable(found) else found), 0

    def _exit(self, code: int) -> NoReturn:
        raise Ended(code)

    def monotonic(self) -> float:
        return self.now

    def select(self, read: list[int], write: list[int], failed: list[int], seconds: float) -> tuple[list[int], ...]:
        if not read:
            self.pauses.append(seconds)
            self.now += seconds
        return read, write, failed


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    found = System()
    for name in ("os", "time", "select"):
        monkeypatch.setattr(supervisor, name, found)
    return found


@pytest.fixture
def listener() -> Any:
    closed: list[bool] = []
    return SimpleNamespace(close=lambda: closed.append(True), closed=closed)


def make(listener: Any, drain: float = 0.0, run: Any = None) -> Supervisor:
    return Supervisor(run or (lambda *_: 0), listener, drain)


def stopping(made: Supervisor) -> Callable[[], int]:
    """A look at the ended processes during which a signal comes."""

    def stop() -> int:
        made._stop()
        return 0

    return stop


def test_it_is_ready_when_all_workers_are_and_stops_each_once(system: System, listener: Any) -> None:
    made, ready = make(listener), []
    system.ends = [0, stopping(made)]

    assert made.run(3, lambda: ready.append(system.forked)) == 0

    assert ready == [3]
    assert system.killed == [(101, signal.SIGTERM), (102, signal.SIGTERM), (103, signal.SIGTERM)]
    assert listener.closed == [True]
    assert system.pauses == [0.5, 0.5]


def test_a_worker_that_ends_is_replaced_half_a_second_later(
    system: System, listener: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    made = make(listener)
    system.ends = [101, 55, stopping(made)]

    made.run(2, lambda: None)

    assert capsys.readouterr().err == "mockserver: worker 101 has ended; another one is started\n"
    assert system.forked == 3
    assert system.killed == [(102, signal.SIGTERM), (103, signal.SIGTERM)]
    assert system.pauses == [0.5, 0.5]


def test_a_worker_that_ends_during_the_stop_is_not_replaced(
    system: System, listener: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    made = make(listener)

    def stop() -> int:
        made._stop()
        return 101

    system.ends = [stop]
    made.run(1, lambda: None)

    assert capsys.readouterr().err == ""
    assert system.forked == 1


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (b"port 80: permission denied\n", "port 80: permission denied"),
        ("gr\u00fcn \n".encode(), "gr\u00fcn"),
        (b"\n", "a worker process ended while it started"),
    ],
)
def test_a_worker_that_cannot_start_ends_all_with_what_it_says(
    system: System, listener: Any, report: bytes, said: str
) -> None:
    system.reports = [supervisor.READY, report]

    with pytest.raises(WorkerError) as raised:
        make(listener).run(2, lambda: pytest.fail("it is not ready"))

    assert str(raised.value) == said
    assert sorted(system.killed) == [(101, signal.SIGTERM), (102, signal.SIGTERM)]
    assert listener.closed == [True]


def test_a_worker_that_ends_without_a_word_is_reported(system: System, listener: Any) -> None:
    system.reports = [b""]

    with pytest.raises(WorkerError, match=r"^a worker process ended while it started$"):
        make(listener).run(1, lambda: pytest.fail("it is not ready"))


def test_a_report_that_comes_in_pieces_is_read_to_its_end(system: System, listener: Any) -> None:
    made = make(listener)
    pieces = iter([b"rea", b"dy\n"])
    system.read = lambda descriptor, size: next(pieces)
    system.ends = [stopping(made)]
    ready: list[bool] = []

    made.run(1, lambda: ready.append(True))

    assert ready == [True]


@pytest.mark.parametrize(("drain", "seconds"), [(0.0, 10.0), (2.5, 12.5)])
def test_workers_that_do_not_end_are_killed_ten_seconds_after_the_drain(
    system: System, listener: Any, drain: float, seconds: float
) -> None:
    made = make(listener, drain)
    system.dies_of = (signal.SIGKILL,)
    system.ends = [stopping(made)]

    made.run(2, lambda: None)

    assert system.killed[:2] == [(101, signal.SIGTERM), (102, signal.SIGTERM)]
    assert system.killed[2:] == [(101, signal.SIGKILL), (102, signal.SIGKILL)]
    assert sum(system.pauses) == pytest.approx(seconds + 0.5, abs=0.02)
    assert set(system.pauses) == {0.5, 0.01}


def test_a_second_signal_is_passed_on_to_those_that_stop_already(system: System, listener: Any) -> None:
    made = make(listener)
    system.ends = [stopping(made)]
    made.run(1, lambda: None)
    made._workers[101] = supervisor._Worker(101, -1)

    made._stop()

    assert system.killed == [(101, signal.SIGTERM)] * 2


def test_a_worker_that_is_gone_already_is_no_error(system: System, listener: Any) -> None:
    made = make(listener)

    def kill(pid: int, number: int) -> None:
        system.ends.append(pid)
        raise ProcessLookupError

    system.kill = kill  # type: ignore[method-assign]
    system.ends = [stopping(made)]

    assert made.run(1, lambda: None) == 0


def test_a_system_without_children_has_none_that_ended(system: System) -> None:
    def waitpid(pid: int, options: int) -> tuple[int, int]:
        raise ChildProcessError

    system.waitpid = waitpid  # type: ignore[method-assign]

    assert supervisor._ended() is None
    system.waitpid = lambda pid, options: (7, 0)  # type: ignore[method-assign]
    assert supervisor._ended() == 7
    system.waitpid = lambda pid, options: (0, 0)  # type: ignore[method-assign]
    assert supervisor._ended() is None


@pytest.fixture
def own_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def fail_with(error: BaseException) -> Any:
    def run(*_: Any) -> int:
        raise error

    return run


@pytest.mark.parametrize(
    ("run", "code", "report"),
    [
        (lambda *_: 0, 0, b""),
        (lambda _, when_ready, __: when_ready() or 7, 7, b"ready\n"),
        (fail_with(MockServerError("no such file")), 3, b"no such file\n"),
        (fail_with(MockServerError("x" * 5000)), 3, b"x" * 4096),
        (fail_with(SystemExit(4)), 4, b""),
        (fail_with(SystemExit("why")), 1, b""),
        (fail_with(SystemExit(None)), 1, b""),
    ],
)
@pytest.mark.usefixtures("own_signals")
def test_a_worker_ends_with_an_exit_code_and_reports_why(
    system: System, listener: Any, run: Any, code: int, report: bytes
) -> None:
    reader, writer = os.pipe()

    with pytest.raises(Ended) as ended:
        make(listener, run=run)._work(writer)

    os.close(writer)
    assert ended.value.args == (code,)
    assert os.read(reader, 10_000) == report
    assert signal.getsignal(signal.SIGTERM) == signal.getsignal(signal.SIGINT) == signal.SIG_DFL
    os.close(reader)


@pytest.mark.usefixtures("own_signals")
def test_a_bug_in_a_worker_is_shown_and_ends_it_with_code_1(
    system: System, listener: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("sys.excepthook", lambda *given: shown.append(given[:2]))
    error = KeyError("bug")

    with pytest.raises(Ended) as ended:
        make(listener, run=fail_with(error))._work(-1)

    assert ended.value.args == (1,)
    assert shown == [(KeyError, error)]


def test_a_forked_worker_closes_what_belongs_to_its_parent(
    system: System, listener: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(listener)
    made._start()
    (first,) = made._workers.values()
    monkeypatch.setattr(made, "_work", fail_with(Ended()))
    closed: list[int] = []
    system.close = closed.append  # type: ignore[assignment]
    system.is_child = True

    with pytest.raises(Ended):
        made._start()

    assert made._life[1] in closed
    assert first.report in closed
    assert made._life[0] not in closed
    assert system.writer not in closed


def test_signals_reach_the_supervisor_and_afterwards_those_before() -> None:
    came: list[bool] = []
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]

    with supervisor._on_signals(lambda: came.append(True)):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert came == [True, True]

    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_an_action_follows_when_the_other_end_of_a_pipe_is_closed() -> None:
    from threading import Event

    reader, writer = os.pipe()
    came = Event()
    when_closed(reader, came.set)
    assert not came.is_set()

    os.close(writer)

    assert came.wait(30)
    os.close(reader)


NO_STORE = (
    "workers: 2 processes need a store that they share; the store 'memory' is that of one process. Name one in --store "
    "(sqlite:///ABSOLUTE/PATH.db or redis://HOST:PORT/DB)"
)
CANNOT_CHANGE = "watch: documents and fixtures cannot change while other processes may use the store"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"workers": 1}, ""),
        ({"workers": 1, "watch": True}, ""),
        ({"workers": 2}, NO_STORE),
        ({"workers": 2, "store": "sqlite:////tmp/a.db"}, ""),
        ({"workers": 2, "store": "sqlite:////tmp/a.db", "watch": True}, CANNOT_CHANGE),
        ({"workers": 1, "store": "sqlite:////tmp/a.db", "watch": True}, CANNOT_CHANGE),
    ],
)
def test_workers_need_a_shared_store_and_files_that_stay(settings: dict[str, Any], problem: str) -> None:
    if not problem:
        check_workers(make_settings(**settings))
        return
    with pytest.raises(SettingsError) as raised:
        check_workers(make_settings(**settings))

    assert str(raised.value) == problem


def test_workers_need_an_operating_system_with_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork")

    check_workers(make_settings(workers=1, store="sqlite:////tmp/a.db"))
    with pytest.raises(SettingsError, match="workers: 2 processes on one port need an operating system with fork"):
        check_workers(make_settings(workers=2, store="sqlite:////tmp/a.db"))
