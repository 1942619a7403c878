"""Shared stores for tests, each over an engine that a test may open several times, as several processes would."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from store_servers import redis_server

from mockserver.sandbox.clock import wall_time
from mockserver.sandbox.shared.opening import make_codec
from mockserver.stores.backend import Backend
from mockserver.stores.redis import RedisBackend
from mockserver.stores.shared import SharedStore
from mockserver.stores.sqlite import SqliteBackend

OpenStore = Callable[[], SharedStore]
TYPES: Mapping[str, Any] = dict.fromkeys(("things", "others", "counts", ""), Any)


class Clock:
    """A wall clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def shared_store(backend: Backend, types: Mapping[str, Any] = TYPES) -> SharedStore:
    return SharedStore(backend, make_codec(types, backend), wall_time)


@contextmanager
def sqlite_stores(types: Mapping[str, Any] = TYPES) -> Iterator[OpenStore]:
    """Opens the same new file each time."""
    opened: list[SharedStore] = []

    with tempfile.TemporaryDirectory() as folder:

        def open_again() -> SharedStore:
            opened.append(shared_store(SqliteBackend(str(Path(folder, "store.db")), wall_time), types))
            return opened[-1]

        yield open_again
        for each in opened:
            each.backend.close()


@contextmanager
def redis_stores(types: Mapping[str, Any] = TYPES) -> Iterator[OpenStore]:
    """Opens the same new database each time."""
    url, opened = redis_server().new_url(), []

    def open_again() -> SharedStore:
        opened.append(shared_store(RedisBackend(url, wall_time), types))
        return opened[-1]

    yield open_again
    for each in opened:
        each.backend.close()


ENGINES: Mapping[str, Callable[..., AbstractContextManager[OpenStore]]] = {
    "sqlite": sqlite_stores,
    "redis": redis_stores,
}
