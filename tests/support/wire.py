"""Sends one request through ASGI, without a socket."""

import asyncio
import json
from typing import Any

from mockserver.web.gateway import Gateway


class Wire:
    """Messages the client sends, and what it was sent."""

    patience = 5.0
    """Seconds after which a test is given up."""

    def __init__(
        self, *messages: dict[str, Any], method: str = "POST", path: str = "/ai/batches", **headers: str
    ) -> None:
        self.messages = list(messages)
        self.sent: list[dict[str, Any]] = []
        named = {"authorization": "Bearer test", "content_type": "application/json", **headers}
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": b"",
            "scheme": "http",
            "server": ("127.0.0.1", 4024),
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in named.items()],
        }

    async def receive(self) -> dict[str, Any]:
        if self.messages:
            return self.messages.pop(0)
        await asyncio.Event().wait()
        raise AssertionError("a client that is silent was heard")

    async def send(self, message: Any) -> None:
        self.sent.append(dict(message))

    def through(self, gateway: Gateway) -> "Wire":
        asyncio.run(asyncio.wait_for(gateway(self.scope, self.receive, self.send), timeout=self.patience))
        return self

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def value(self) -> Any:
        return json.loads(self.body)
