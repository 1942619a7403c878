"""A server on a socket whose next responses get a delivery fault."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from builders import make_engine, make_settings

from mockserver.engine.engine import Engine
from mockserver.http import Request, Response
from mockserver.sandbox.stubs.faults import read_fault
from mockserver.server.process import ThreadedServer
from mockserver.web.app import create_app

KEY = bytes(range(16))


class FaultyEngine:
    """Answers as the engine does; of `faults`, the first is done to the next answer, and None heals one of them.

    A path of `streams` is answered with these parts.
    """

    def __init__(self, *faults: dict[str, Any] | None) -> None:
        self.faults = list(faults)
        self.seen: list[str] = []
        self.streams: dict[str, tuple[bytes, ...]] = {}
        self._engine = make_engine()

    def handle(self, request: Request, *prepared: Any) -> Response:
        self.seen.append(request.path)
        if request.path in self.streams:
            response = Response(200, "text/event-stream", (part for part in self.streams[request.path]))
        else:
            response = self._engine.handle(request, *prepared)
        fault = self.faults.pop(0) if self.faults else None
        return read_fault(fault).apply(response, KEY) if fault else response

    def has_seen(self, count: int) -> bool:
        """Whether that many requests have come."""
        return len(self.seen) == count

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


@contextmanager
def faulty_server(*faults: dict[str, Any] | None) -> Iterator[tuple[ThreadedServer, FaultyEngine]]:
    """A server the first answers of which are disturbed."""
    engine = FaultyEngine(*faults)
    settings = make_settings()
    with ThreadedServer(settings, app=create_app(settings, engine=cast(Engine, engine))) as server:
        yield server, engine
