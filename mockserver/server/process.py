"""The process: listens, reports that it is ready, and stops on a signal."""

import asyncio
import gc
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, cast

import uvicorn

from mockserver.engine.engine import Engine
from mockserver.lazy import lazy_module
from mockserver.malloc import return_freed_memory
from mockserver.server.direct import DirectAnswers
from mockserver.server.limits import ConnectionLimits
from mockserver.server.log_output import FLUSH_SECONDS, is_no_cut, set_up_logging
from mockserver.server.protocol import NoUpgradeProtocol
from mockserver.server.socket import (
    BACKLOG,
    ListenError,
    PendingWrites,
    accepting_many,
    listen,
    open_files,
    port_file,
    raise_open_files,
)
from mockserver.settings.table import Settings, url_of
from mockserver.web.app import MockServer, create_app

if TYPE_CHECKING:
    from mockserver.server import supervisor, watch
else:
    supervisor = lazy_module("mockserver.server.supervisor")
    watch = lazy_module("mockserver.server.watch")

App = Callable[..., Awaitable[None]]
GRACE, WORK_GRACE = 3.0, 1.5
"""Seconds that running requests have to finish after a signal, and that work in threads then has to do so."""
END = 8.0
"""Seconds after a signal when the process ends, even if the event loop is blocked."""
KEEP_ALIVE = 75
"""Seconds an idle connection stays open: long enough for the connection pool of a slow test."""
TICK, SETTLED = 1.0, 0.1
"""Seconds between two updates of the Date header, and from the start until what no client waits for is done."""
DRAIN_TICK = 0.1
"""Seconds until a second signal ends the drain."""
SPARE_FILES = 100
"""Open files that are reserved for storage and callbacks."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)
LOG = logging.getLogger("uvicorn.error")


def serve(settings: Settings, *, app: App | None = None) -> int:
    """Serve in the foreground until SIGTERM or SIGINT; returns the exit code. `app` replaces the usual one."""
    sys.setswitchinterval(0.001)  # the event loop waits this long for the interpreter lock when threads compute
    raise_open_files()
    set_up_logging(settings)
    if settings.workers > 1 or settings.watch:
        supervisor.check_workers(settings)
    if settings.workers > 1 and app is None:
        gc.enable()
        return _supervise(settings)
    workers = None
    with _signal_handlers(_leave):
        ours = None
        if app is None:
            app = ours = create_app(settings)
        if isinstance(app, MockServer):
            workers = app.engine.workers
        with listen(settings.host, settings.port) as listener:
            port = listener.getsockname()[1]
            with (
                port_file(settings.port_file, port),
                watch.watching(ours, settings) if ours is not None and settings.watch else nullcontext(),
            ):
                _serve_on(listener, app, settings, lambda: _print_ready(settings, listener))
    if workers is not None and not workers.stop(WORK_GRACE):
        _exit_at_once()  # threads that run C code must not outlive the interpreter
    return 0


def _supervise(settings: Settings) -> int:
    """Serve with several processes; returns the exit code."""
    with _signal_handlers(_leave), listen(settings.host, settings.port) as listener, ExitStack() as stack:

        def report() -> None:
            stack.enter_context(port_file(settings.port_file, listener.getsockname()[1]))
            _print_ready(settings, listener)

        serve_as_worker = partial(_serve_as_worker, replace(settings, port_file=""))
        return supervisor.Supervisor(serve_as_worker, listener, settings.drain).run(settings.workers, report)


def _serve_as_worker(settings: Settings, listener: socket.socket, when_ready: Callable[[], None], life: int) -> int:
    """Serve in one of several processes, until the parent's end of a pipe is closed."""
    supervisor.when_closed(life, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with _signal_handlers(_leave):
        app = create_app(settings)
        _serve_on(listener, app, settings, when_ready)
    app.engine.workers.stop(WORK_GRACE)
    return 0


def _serve_on(listener: socket.socket, app: App, settings: Settings, when_ready: Callable[[], None]) -> None:
    """Serve an application until a signal."""
    gc.freeze()
    gc.unfreeze()  # the modules and the engine are of the oldest generation now, without a collection
    gc.set_threshold(50_000, 20, 100)  # queued objects live long, and are rarely part of reference cycles
    gc.enable()

    def begin() -> None:
        when_ready()
        asyncio.get_running_loop().call_later(SETTLED, return_freed_memory)  # which imports ctypes

    with _watchdog(settings) as watchdog, accepting_many(listener) as listeners:
        server = EventDrivenServer(app, settings, when_ready=begin)
        server.when_stopped = watchdog
        server.run(listeners)


class ThreadedServer:
    """A server in a thread: `with ThreadedServer(Settings(port=0)) as server: get(server.url)`."""

    def __init__(self, settings: Settings, *, app: App | None = None) -> None:
        """`app` replaces the gateway; there is no engine then."""
        self.settings = settings
        self.port = settings.port
        self._app = app
        self._engine: Engine | None = None
        self._server: EventDrivenServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return url_of(self.settings.host, self.port)

    @property
    def engine(self) -> Engine:
        if self._engine is None:
            raise RuntimeError("the server has no engine: it was not started, or was given an app of its own")
        return self._engine

    def start(self) -> "ThreadedServer":
        """Returns when requests are answered; raises the error that prevented the start."""
        if self._thread is not None:
            raise RuntimeError("the server runs already")
        app = self._app or self._load()
        listener = listen(self.settings.host, self.settings.port)
        ready: Future[None] = Future()
        server = EventDrivenServer(app, self.settings, when_ready=lambda: ready.set_result(None))
        thread = threading.Thread(target=_run, args=(server, listener, ready), name="mockserver", daemon=True)
        self.port = listener.getsockname()[1]
        thread.start()
        ready.result()
        self._server, self._thread = server, thread
        return self

    def stop(self) -> None:
        """Returns when the port is free again. May be called twice."""
        if self._server is not None and self._thread is not None:
            self._server.stop()
            self._thread.join()
            if self._engine is not None:
                self._engine.workers.stop()
                self._engine.sandboxes.close()
        self._server = self._thread = None

    def __enter__(self) -> "ThreadedServer":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _load(self) -> App:
        app = create_app(self.settings)
        self._engine = app.engine
        return app


class EventDrivenServer(uvicorn.Server):
    """Uvicorn's server, stopped by an event where the original polls ten times a second."""

    def __init__(self, app: App, settings: Settings, *, when_ready: Callable[[], None]) -> None:
        super().__init__(_config(app, settings))
        self._when_ready = when_ready
        self.when_stopped: Callable[[], None] = lambda: None
        """Called when the server begins to stop, possibly in a signal handler."""
        self._stopping = asyncio.Event()
        self._app, self._drain = app, settings.drain
        self._loop: asyncio.AbstractEventLoop | None = None
        self.servers: list[asyncio.base_events.Server] = []
        LOG.addFilter(is_no_cut)

    def stop(self) -> None:
        """Begin to stop. May be called from any thread, from a signal handler, and after the end."""
        self.should_exit = True
        self.when_stopped()
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has been closed: the server has stopped
                self._loop.call_soon_threadsafe(self._stopping.set)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().serve(sockets)
        finally:  # after any error: a loop that still listens cannot be closed
            await self._cut()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        await self.on_tick(0)
        try:
            self._when_ready()
        except BaseException:
            await self.lifespan.shutdown()  # cut off, it would log a traceback
            raise

    async def main_loop(self) -> None:
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), TICK)
            await self.on_tick(0)
        if isinstance(self._app, MockServer):
            self._app.prepare_to_stop()
        end = asyncio.get_running_loop().time() + self._drain
        while not self.force_exit and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(DRAIN_TICK)
            await self.on_tick(0)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, and wait for running requests whose clients are still connected."""
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        end = asyncio.get_running_loop().time() + GRACE
        while self.server_state.connections and not self.force_exit and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.0005)
        if not self.force_exit:
            await self.lifespan.shutdown()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  uvicorn's signature
        """A signal requests a stop; a second one stops at once."""
        self.force_exit = self.should_exit
        self.stop()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Unlike uvicorn's, does not raise the signals again at the end, so that we can set the exit code."""
        with _signal_handlers(self.handle_exit):
            yield

    async def _cut(self) -> None:
        for server in self.servers:
            server.close()
        while self.server_state.connections:
            for connection in list(self.server_state.connections):
                connection.transport.abort()
            await asyncio.sleep(0)  # the event loop closes the connections


@contextmanager
def _signal_handlers(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    """Installs `handler` for SIGTERM and SIGINT, and restores the handlers afterwards. Only in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous or signal.SIG_DFL)


@contextmanager
def _watchdog(settings: Settings) -> Iterator[Callable[[], None]]:
    """Yields a function to call when the stop begins; END seconds later the process exits, even if it is blocked.

    The thread waits for a byte: starting one in a signal handler could deadlock on a lock of the main thread.
    """
    reader, writer = os.pipe()

    def watch() -> None:
        if os.read(reader, 1):
            end = time.monotonic() + settings.drain + END
            while (rest := end - time.monotonic()) > 0:
                if select.select([reader], [], [], rest)[0] and not os.read(reader, 1):
                    break
            else:
                if settings.port_file:
                    Path(settings.port_file).unlink(missing_ok=True)
                _exit_at_once()
        os.close(reader)

    threading.Thread(target=watch, name="mockserver-watchdog", daemon=True).start()
    try:
        yield lambda: _write_byte(writer)
    finally:
        os.close(writer)  # which ends the thread


def _write_byte(descriptor: int) -> None:
    with suppress(OSError):
        os.write(descriptor, b"s")


def _exit_at_once() -> None:
    """End the process with exit code 0 and without joining its threads."""
    flushing = threading.Thread(target=_flush_output, daemon=True)  # which waits if its reader does not read
    flushing.start()
    flushing.join(FLUSH_SECONDS)
    os._exit(0)


def _flush_output() -> None:
    for stream in (*logging.getLogger().handlers, sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()


def _leave(_number: int, _frame: FrameType | None) -> None:
    """Stop before serving has started; process 1 of a container would otherwise ignore SIGTERM."""
    raise SystemExit(0)


def _print_ready(settings: Settings, listener: socket.socket) -> None:
    """Print the line that reports readiness to standard output; raises ListenError if that fails."""
    address, port = listener.getsockname()[:2]
    if not settings.admin_token and not address.startswith("127.") and address != "::1":
        warning = (
            f"mockserver: warning: {settings.host} can be reached from other machines, so /__admin is closed; "
            "--admin-token opens it to clients with the token\n"
        )
        with suppress(OSError, AttributeError):  # a server without standard error still works
            sys.stderr.write(warning)
    try:
        print(f"mockserver listening on {url_of(settings.host, port)}", flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ListenError(f"standard output cannot be written: {error.strerror}") from error


def _config(app: App, settings: Settings) -> uvicorn.Config:
    limits = ConnectionLimits(
        settings.head_timeout,
        settings.max_head,
        settings.body_timeout,
        settings.send_timeout,
        min(settings.max_connections, open_files() - SPARE_FILES),
    )
    direct = DirectAnswers(app) if isinstance(app, MockServer) and app.answers_at_once else None
    connection = partial(NoUpgradeProtocol, limits=limits, writes=PendingWrites(), direct=direct)
    return uvicorn.Config(
        app,
        loop="auto",  # uvloop if it is installed
        http=cast(Any, connection),  # uvicorn calls it like a class
        ws="none",
        lifespan="on" if isinstance(app, MockServer) else "off",  # another app may have none
        interface="asgi3",
        workers=1,
        proxy_headers=False,
        server_header=False,
        date_header=getattr(app, "adds_date", True),
        access_log=False,
        log_config=None,
        log_level=settings.log_level,
        timeout_keep_alive=KEEP_ALIVE,
        backlog=BACKLOG,
    )


def _run(server: EventDrivenServer, listener: socket.socket, ready: "Future[None]") -> None:
    try:
        with listener, accepting_many(listener) as listeners:
            server.run(listeners)
    except BaseException as error:
        if ready.done():
            raise
        ready.set_exception(error)
