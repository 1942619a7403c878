"""Writes the values of collections as bytes, and reads them back by the types with which they are declared."""

from collections.abc import Mapping
from typing import Any

import msgspec

from mockserver.http import StoredBytes
from mockserver.sandbox.blobs import Blob, KeptBody


class Codec:
    """MessagePack by type: named tuples are arrays, enumerations texts, and stored bytes their content."""

    def __init__(self, types: Mapping[str, Any]) -> None:
        """`types` are those of the values in each collection, by its name."""
        self._encoder = msgspec.msgpack.Encoder(enc_hook=_content)
        self._decoders = {name: msgspec.msgpack.Decoder(type_, dec_hook=_blob) for name, type_ in types.items()}

    def encode(self, value: Any) -> bytes:
        """The value in bytes; raises TypeError for one that is no value."""
        return self._encoder.encode(value)

    def decode(self, collection: str, content: bytes) -> Any:
        """The value of a collection; raises msgspec.ValidationError for one of another type."""
        return self._decoders[collection].decode(content)


def _content(value: Any) -> bytes:
    if isinstance(value, (Blob, KeptBody)):
        return value.read()
    raise TypeError(f"a {type(value).__name__} is none of the values that can be written")


def _blob(type_: type, value: Any) -> Any:
    if type_ not in {Blob, StoredBytes} or not isinstance(value, bytes):
        raise ValueError(f"a {type(value).__name__} is no {type_.__name__}")
    return Blob.in_memory(value)
