"""A store of plain bytes: what cannot be encoded, or is changed in place, shows here.

`pytest --store encoding` runs the tests with it.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from threading import RLock
from typing import Any

from mockserver.engine.build import find_providers
from mockserver.sandbox.blobs import blob_of, content_of
from mockserver.sandbox.record import COLLECTIONS
from mockserver.sandbox.sandbox import STATE_TYPES
from mockserver.stores.codec import Codec


def declared_types() -> Mapping[str, Any]:
    """The types of all collections, those of installed providers included."""
    providers = [each.collections() for each in find_providers() if each.collections]
    return {
        **STATE_TYPES,
        **COLLECTIONS,
        **{name: type_ for types in providers for name, type_ in types.items()},
    }


class EncodingRows:
    """A collection whose values are bytes in a dictionary."""

    def __init__(self, name: str, codec: Codec) -> None:
        self._name = name
        self._codec = codec
        self._values: dict[str, bytes] = {}

    def get(self, key: str, /) -> Any:
        content = self._values.get(key)
        return None if content is None else self._codec.decode(self._name, content)

    def pick(self, keys: Sequence[str], /) -> list[Any]:
        return [self.get(key) for key in keys]

    def latest(self, start: int, most: int, /) -> list[Any]:
        return [self.get(key) for key in islice(reversed(self._values), start, start + most)]

    def put(self, key: str, value: Any, /) -> None:
        content = self._codec.encode(value)
        assert self._codec.decode(self._name, content) is not None
        self._values[key] = content

    def delete(self, key: str, /) -> None:
        self._values.pop(key, None)

    def scan(self) -> Iterator[Any]:
        return (value for _, value in self.items())

    def items(self) -> Iterator[tuple[str, Any]]:
        return iter([(key, self._codec.decode(self._name, each)) for key, each in self._values.items()])

    def clear(self) -> None:
        self._values.clear()

    def __len__(self) -> int:
        return len(self._values)


class EncodingPartition:
    """A sandbox's collections."""

    def __init__(self, codec: Codec) -> None:
        self.transaction = RLock()
        self._codec = codec
        self._rows: dict[str, EncodingRows] = {}

    def is_busy(self) -> bool:
        is_free = self.transaction.acquire(blocking=False)
        if is_free:
            self.transaction.release()
        return not is_free

    def rows(self, collection: str) -> EncodingRows:
        if collection not in self._rows:
            self._rows[collection] = EncodingRows(collection, self._codec)
        return self._rows[collection]

    def clear(self, *, keep: frozenset[str] = frozenset()) -> list[Any]:
        for name, each in self._rows.items():
            if name not in keep:
                each.clear()
        return []


class EncodingStore:
    """A partition for each sandbox."""

    def __init__(self, types: Mapping[str, Any] | None = None) -> None:
        self._codec = Codec(declared_types() if types is None else types, write=content_of, read=blob_of)
        self._partitions: dict[str, EncodingPartition] = {}

    def open(self, sandbox: str) -> EncodingPartition:
        return self._partitions.setdefault(sandbox, EncodingPartition(self._codec))

    def drop(self, sandbox: str) -> None:
        self._partitions.pop(sandbox, None)
