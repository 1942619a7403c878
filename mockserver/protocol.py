"""HTTP on one connection: uvicorn's protocol, made plain."""

import asyncio
import sys
from typing import cast

from httptools import HttpParserUpgrade
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mockserver.listening import Cork
from mockserver.web.disturbances import TRANSPORT

MAX_HEAD = 512 * 1024
"""Bytes of a request's head: twice of what one reading from a socket may bring."""


class PlainProtocol(HttpToolsProtocol):
    """HTTP/1.1 and nothing else: an offer to upgrade is passed over, as HTTP allows, and the request served.

    Java's client offers h2c with every request, and uvicorn would lose the body of it.
    """

    _unread = 0
    """Bytes that came since the last request began or the last piece of a body: the head, or the trailers."""
    _rest = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(cast(asyncio.Transport, Cork(transport, self.loop)))

    def data_received(self, data: bytes) -> None:
        self._unread += len(data)
        if self._unread > MAX_HEAD:  # The parser would go on to gather them, and copy them with every piece.
            self.send_400_response(f"The head of a request may have {MAX_HEAD} bytes.")
            return
        self._rest = data
        while self._rest:
            self._received, self._rest = self._rest, b""
            super().data_received(self._received)

    def shutdown(self) -> None:
        cast(Cork, self.transport).end()
        super().shutdown()

    def on_message_begin(self) -> None:
        self._unread = 0
        super().on_message_begin()
        self.scope[TRANSPORT] = self.transport  # type: ignore[literal-required]  # an entry of our own

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self.scope["headers"] = self.headers.copy()  # Trailers, which are no headers, would be added to these.

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        super().on_body(body)

    def _should_upgrade(self) -> bool:
        """Have uvicorn leave to `handle_websocket_upgrade` what it would begin to serve without its body."""
        return self._get_upgrade() is not None

    def handle_websocket_upgrade(self) -> None:
        """Have the parser, which has stopped behind the headers, shown the same request without the offer."""
        stopped = sys.exc_info()[1]
        assert isinstance(stopped, HttpParserUpgrade)
        line = b"%s %s HTTP/1.1\r\n" % (self.scope["method"].encode(), self.url)
        headers = [b"%s: %s\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        self._rest = b"".join([line, *headers, b"\r\n", self._received[stopped.args[0] :]])
