"""The URLs of a live API in its answers, which lead to the proxy while recording, and to the sandbox on the replay."""

import re
from typing import Any

_END = r"(?![A-Za-z0-9_-]|[.:][A-Za-z0-9])"
"""No part of a host's name, a port or a path's segment may follow: `https://api.example.org` is another host."""


class UpstreamUrls:
    """Replaces the address of one API."""

    def __init__(self, address: str) -> None:
        escaped = address.replace("/", "\\/")  # as some encoders write JSON
        self._text = re.compile(f"(?:{re.escape(address)}|{re.escape(escaped)}){_END}")
        self._bytes = re.compile(self._text.pattern.encode())
        self._host = address.rpartition("/")[2]
        self._mark = self._host.encode()

    def are_in(self, content: bytes) -> bool:
        """Whether the address may be in JSON; False only if it is not."""
        return self._mark in content or b"\\" in content

    def in_bytes(self, content: bytes, address: str) -> bytes:
        """Bytes with another address in place of the API's."""
        if self._mark not in content:
            return content
        made = address.encode()
        return self._bytes.sub(lambda _: made, content)

    def in_headers(self, headers: list[tuple[bytes, bytes]], address: str) -> list[tuple[bytes, bytes]]:
        """Headers with another address in place of the API's in their values."""
        if not any(self._mark in value for _, value in headers):
            return headers
        return [(name, self.in_bytes(value, address)) for name, value in headers]

    def in_value(self, value: Any, address: str) -> Any:
        """A JSON value with another address in place of the API's."""
        if isinstance(value, str):
            return self._text.sub(lambda _: address, value) if self._host in value else value
        if isinstance(value, list):
            return [self.in_value(each, address) for each in value]
        if isinstance(value, dict):
            return {name: self.in_value(each, address) for name, each in value.items()}
        return value
