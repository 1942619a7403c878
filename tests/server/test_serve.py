"""What `serve` sets up around the server, and what it undoes; without signals and without waiting."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from builders import make_settings

from mockserver.errors import SettingsError
from mockserver.server import process
from mockserver.server.limits import ConnectionLimits
from mockserver.server.process import EventDrivenServer, ThreadedServer, serve
from mockserver.server.socket import ListenError
from mockserver.web.app import MockServer


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[SimpleNamespace]:
    """What was served: everything but the server itself is real, or noted."""
    found: list[SimpleNamespace] = []
    steps: list[Any] = []

    def serve_on(listener: Any, app: Any, settings: Any, when_ready: Callable[[], None]) -> None:
        when_ready()
        path = Path(settings.port_file) if settings.port_file else None
        port = path.read_text() if path is not None else ""
        found.append(
            SimpleNamespace(app=app, settings=settings, port=listener.getsockname()[1], port_file=port, steps=steps)
        )

    @contextmanager
    def watching(app: Any, settings: Any) -> Iterator[None]:
        steps.append(("watch", app))
        yield
        steps.append("unwatch")

    monkeypatch.setattr(process, "_serve_on", serve_on)
    for name in ("raise_open_files", "return_freed_memory"):
        monkeypatch.setattr(process, name, lambda name=name: steps.append(name))
    monkeypatch.setattr(process, "set_up_logging", lambda settings: steps.append("log"))
    monkeypatch.setattr(sys, "setswitchinterval", steps.append)
    monkeypatch.setattr("mockserver.server.watch.watching", watching)
    return found


def test_the_address_is_printed_and_the_port_file_is_there_while_it_serves(
    served: list[SimpleNamespace], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = [signal.getsignal(number) for number in process.SIGNALS]
    file = tmp_path / "port"

    assert serve(make_settings(port_file=str(file))) == 0

    (found,) = served
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == (f"mockserver listening on http://127.0.0.1:{found.port}\n", "")
    assert found.port_file == f"{found.port}\n"
    assert not file.exists()
    assert isinstance(found.app, MockServer)
    assert found.steps == [0.001, "raise_open_files", "return_freed_memory", "log"]
    assert [signal.getsignal(number) for number in process.SIGNALS] == before


def test_files_are_watched_only_if_asked_for_and_only_for_our_own_application(served: list[SimpleNamespace]) -> None:
    async def other(scope: Any, receive: Any, send: Any) -> None: ...

    serve(make_settings(watch=True))
    serve(make_settings(watch=True), app=other)
    serve(make_settings())

    watched, given, plain = served
    assert [each for each in watched.steps if each == "unwatch" or isinstance(each, tuple)] == [
        ("watch", watched.app), "unwatch"
    ]  # fmt: skip
    assert given.app is other
    assert plain.app is not other


@pytest.mark.parametrize(("has_stopped", "exits"), [(True, 0), (False, 1)])
def test_threads_that_do_not_stop_end_the_process_at_once(
    served: list[SimpleNamespace], monkeypatch: pytest.MonkeyPatch, has_stopped: bool, exits: int
) -> None:
    ended: list[bool] = []
    asked: list[float] = []

    def stop(self: Any, seconds: float = 0.0) -> bool:
        asked.append(seconds)
        return has_stopped

    monkeypatch.setattr("mockserver.workers.Workers.stop", stop)
    monkeypatch.setattr(process, "_exit_at_once", lambda: ended.append(True))

    assert serve(make_settings()) == 0
    assert len(ended) == exits
    assert asked == [1.5]


def test_settings_that_do_not_fit_each_other_are_refused_before_anything_is_built(
    served: list[SimpleNamespace],
) -> None:
    with pytest.raises(SettingsError, match="workers: 2 processes need a store that they share"):
        serve(make_settings(workers=2))
    with pytest.raises(SettingsError, match="watch: documents and fixtures cannot change"):
        serve(make_settings(watch=True, store="sqlite:////tmp/a.db"))

    assert served == []


def test_several_workers_are_supervised_and_share_one_port_file(
    served: list[SimpleNamespace], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, seen = tmp_path / "port", list[Any]()

    class Supervisor:
        def __init__(self, run: Any, listener: Any, drain: float) -> None:
            seen.append((run.args[0].port_file, drain, listener.getsockname()[1]))

        def run(self, count: int, when_ready: Callable[[], None]) -> int:
            assert not file.exists()
            when_ready()
            seen.append((count, file.read_text()))
            return 5

    monkeypatch.setattr("mockserver.server.supervisor.Supervisor", Supervisor)
    store = f"sqlite:///{tmp_path}/store.db"

    assert serve(make_settings(workers=2, store=store, port_file=str(file), drain=2.5)) == 5

    (worker_file, drain, port), (count, text) = seen
    assert (worker_file, drain, count, text) == ("", 2.5, 2, f"{port}\n")
    assert capsys.readouterr().out == f"mockserver listening on http://127.0.0.1:{port}\n"
    assert not file.exists()
    assert served == []


@pytest.mark.parametrize(("workers", "is_supervised"), [(1, False), (2, True)])
def test_one_worker_needs_no_supervisor(
    served: list[SimpleNamespace], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, workers: int, is_supervised: bool
) -> None:
    monkeypatch.setattr(process, "_supervise", lambda _: 9)

    code = serve(make_settings(workers=workers, store=f"sqlite:///{tmp_path}/store.db"))

    assert (code == 9) is is_supervised


WARNING = (
    "mockserver: warning: {} can be reached from other machines, so /__admin is closed; --admin-token opens it to "
    "clients with the token\n"
)


@pytest.mark.parametrize(
    ("host", "address", "token", "is_warned"),
    [
        ("0.0.0.0", "0.0.0.0", None, True),
        ("mock.example", "192.0.2.1", None, True),
        ("::", "::", None, True),
        ("0.0.0.0", "0.0.0.0", "sesame", False),
        ("localhost", "127.0.0.1", None, False),
        ("127.1.2.3", "127.1.2.3", None, False),
        ("::1", "::1", None, False),
    ],
)
def test_a_server_that_others_can_reach_says_that_its_admin_api_is_closed(
    capsys: pytest.CaptureFixture[str], host: str, address: str, token: str | None, is_warned: bool
) -> None:
    listener: Any = SimpleNamespace(getsockname=lambda: (address, 4024, 0, 0))

    process._print_ready(make_settings(host=host, admin_token=token), listener)

    printed = capsys.readouterr()
    assert printed.err == (WARNING.format(host) if is_warned else "")
    assert printed.out.startswith("mockserver listening on http://")
    assert printed.out.endswith(":4024\n")


def test_a_standard_output_that_is_full_is_an_error_and_a_closed_one_ends_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listener: Any = SimpleNamespace(getsockname=lambda: ("127.0.0.1", 4024))

    def failing(error: OSError) -> Any:
        def write(_: str) -> int:
            raise error

        return SimpleNamespace(write=write, flush=lambda: None)

    monkeypatch.setattr(sys, "stdout", failing(OSError(28, "No space left on device")))
    with pytest.raises(ListenError, match=r"^standard output cannot be written: No space left on device$"):
        process._print_ready(make_settings(), listener)
    monkeypatch.setattr(sys, "stdout", failing(BrokenPipeError()))
    with pytest.raises(BrokenPipeError):
        process._print_ready(make_settings(), listener)


def test_without_a_standard_error_a_server_still_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    listener: Any = SimpleNamespace(getsockname=lambda: ("0.0.0.0", 4024))

    process._print_ready(make_settings(host="0.0.0.0"), listener)

    assert capsys.readouterr().out.startswith("mockserver listening on http://")


def test_the_bounds_of_the_process() -> None:
    assert (process.GRACE, process.WORK_GRACE, process.END) == (3.0, 1.5, 8.0)
    assert (process.KEEP_ALIVE, process.TICK, process.DRAIN_TICK, process.SPARE_FILES) == (75, 1.0, 0.1, 100)


async def app_of_another(scope: Any, receive: Any, send: Any) -> None: ...


@pytest.mark.parametrize(("files", "most"), [(1000, 900), (101, 1), (100_000, 5000)])
def test_connections_are_limited_by_the_files_that_may_be_open(
    monkeypatch: pytest.MonkeyPatch, files: int, most: int
) -> None:
    monkeypatch.setattr(process, "open_files", lambda: files)
    settings = make_settings(max_connections=5000, head_timeout=1.0, max_head=2048, body_timeout=3.0, send_timeout=4.0)

    limits = process._config(app_of_another, settings).http.keywords["limits"]  # type: ignore[union-attr]

    assert limits == ConnectionLimits(1.0, 2048, 3.0, 4.0, most)


def test_another_application_has_no_lifespan_and_no_direct_answers() -> None:
    given = process._config(app_of_another, make_settings())
    with ThreadedServer(make_settings()) as server:
        own = process._config(server._load(), make_settings())

    assert (given.lifespan, own.lifespan) == ("off", "on")
    assert given.http.keywords["direct"] is None  # type: ignore[union-attr]
    assert own.http.keywords["direct"] is not None  # type: ignore[union-attr]
    for config in (given, own):
        assert (config.server_header, config.proxy_headers, config.access_log, config.workers) == (
            False, False, False, 1
        )  # fmt: skip
        assert (config.timeout_keep_alive, config.backlog, config.date_header) == (75, 2048, True)


def test_a_second_signal_does_not_wait_any_more() -> None:
    stopped: list[bool] = []
    server = EventDrivenServer(app_of_another, make_settings(), when_ready=lambda: None)
    server.when_stopped = lambda: stopped.append(True)

    server.handle_exit(signal.SIGTERM, None)
    first = (server.should_exit, server.force_exit)
    server.handle_exit(signal.SIGTERM, None)

    assert first == (True, False)
    assert (server.should_exit, server.force_exit) == (True, True)
    assert stopped == [True, True]


def test_a_signal_before_the_server_ends_the_process_with_code_0() -> None:
    with pytest.raises(SystemExit) as ended:
        process._leave(signal.SIGTERM, None)

    assert ended.value.code == 0


def test_signal_handlers_are_installed_by_the_main_thread_only() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[Any] = []

    def use() -> None:
        with process._signal_handlers(lambda *_: None):
            seen.append(signal.getsignal(signal.SIGTERM))

    use()
    thread = threading.Thread(target=use)
    thread.start()
    thread.join()

    assert seen[0] is not before
    assert seen[1] is before
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("is_blocked", [True, False])
def test_a_process_that_is_blocked_ends_a_while_after_the_signal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_blocked: bool
) -> None:
    ended = threading.Event()
    monkeypatch.setattr(process, "END", 0.0 if is_blocked else 600.0)
    monkeypatch.setattr(process, "_exit_at_once", ended.set)
    file = tmp_path / "port"
    file.write_text("4024\n")

    with process._watchdog(make_settings(port_file=str(file))) as stop:
        stop()
        if is_blocked:
            assert ended.wait(30)

    for thread in threading.enumerate():
        if thread.name == "mockserver-watchdog":
            thread.join(30)
    assert ended.is_set() is is_blocked
    assert file.exists() is not is_blocked


def test_a_process_that_ends_at_once_first_writes_what_it_has_to_say(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[Any] = []

    class Handler(logging.Handler):
        def flush(self) -> None:
            steps.append("flush")
            raise ValueError("closed")

    handler = Handler()
    monkeypatch.setattr(os, "_exit", steps.append)
    logging.getLogger().addHandler(handler)
    try:
        process._exit_at_once()
    finally:
        logging.getLogger().removeHandler(handler)

    assert steps == ["flush", 0]
