"""Opens the store that settings name, and the sandboxes in it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mockserver.errors import StoreError, StoreUnavailable
from mockserver.lazy import lazy_module
from mockserver.sandbox.blobs import Blob, KeptBody
from mockserver.sandbox.clock import wall_time
from mockserver.sandbox.record import COLLECTIONS
from mockserver.sandbox.sandbox import STATE_TYPES, SandboxDefaults
from mockserver.sandbox.shared.journal import JOURNAL_TYPES, PASSING
from mockserver.sandbox.shared.manager import SERVER_TYPES, SharedSandboxManager
from mockserver.sandbox.shared.sandbox import LEASES
from mockserver.settings.parse import StoreAddress
from mockserver.stores.backend import Backend
from mockserver.stores.codec import BlobCodec, BlobContent
from mockserver.stores.shared import SharedStore

if TYPE_CHECKING:
    from mockserver.stores import redis, sqlite
else:
    sqlite = lazy_module("mockserver.stores.sqlite")
    redis = lazy_module("mockserver.stores.redis")

SHAPING = "settings"
"""The collection of what shapes answers, by its name; the same for all processes of a store."""


def open_shared_store(address: StoreAddress, collections: Mapping[str, Any]) -> SharedStore:
    """The store at that address; raises StoreError. `collections` are the types of the providers' collections."""
    types = {**COLLECTIONS, **STATE_TYPES, **JOURNAL_TYPES, **SERVER_TYPES, LEASES: float, SHAPING: str, **collections}
    backend: Backend
    if address.kind == "sqlite":
        backend = sqlite.SqliteBackend(address.target, wall_time)
    else:
        backend = redis.RedisBackend(address.target, wall_time)
    return SharedStore(backend, make_codec(types, backend), wall_time, passing=PASSING)


def make_codec(types: Mapping[str, Any], backend: Backend) -> BlobCodec:
    """The codec for values of these types by collection; blobs go to the backend."""
    return BlobCodec(types, backend, write=_content, make=_blob)


def open_shared_sandboxes(
    store: SharedStore, defaults: SandboxDefaults, shaping: Mapping[str, str], *, is_forced: bool, **options: Any
) -> SharedSandboxManager:
    """The sandboxes of a store; raises StoreError.

    `shaping` are digests of what shapes answers. If others were stored, the store is refused, unless `is_forced`.
    """
    manager = SharedSandboxManager(store, defaults, **options)
    rows = manager.server.rows(SHAPING)

    def compare() -> list[str]:
        stored = dict(rows.items())
        changed = [name for name, mark in stored.items() if shaping.get(name, mark) != mark]
        if is_forced or not changed:
            for name, mark in shaping.items():
                rows.put(name, mark)
            return []
        return changed

    try:
        changed = manager.server.inside(compare)
    except StoreUnavailable as error:
        manager.close()
        raise StoreError(str(error)) from None
    if changed:
        manager.close()
        raise StoreError(
            f"the store was made with other settings: {', '.join(changed)}. Ids and answers would not fit together; "
            "start with the former settings, or with --store-force"
        )
    return manager


def _content(value: Any) -> bytes:
    if isinstance(value, KeptBody):
        return value.read()
    raise TypeError(f"a {type(value).__name__} is none of the values that can be written")


def _blob(content: bytes | BlobContent, size: int) -> Blob:
    return Blob(content, size)
