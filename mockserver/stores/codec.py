"""Writes the values of collections as bytes, and reads them back by the types with which they are declared."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec


class Codec:
    """MessagePack by type: named tuples are arrays, enumerations are texts; `write` and `read` handle stored bytes."""

    def __init__(
        self, types: Mapping[str, Any], *, write: Callable[[Any], Any], read: Callable[[type, Any], Any]
    ) -> None:
        """`types` are those of the values in each collection, by its name.

        `write` gives what is written for an object that is no plain value, or raises TypeError. `read` makes the
        object of that type again, or raises ValueError. `sandbox.blobs` has both.
        """
        self._encoder = msgspec.msgpack.Encoder(enc_hook=write)
        self._decoders = {name: msgspec.msgpack.Decoder(type_, dec_hook=read) for name, type_ in types.items()}

    def encode(self, value: Any) -> bytes:
        """The value in bytes; raises TypeError for one that is no value."""
        return self._encoder.encode(value)

    def decode(self, collection: str, content: bytes) -> Any:
        """The value of a collection; raises msgspec.ValidationError for one of another type."""
        return self._decoders[collection].decode(content)
