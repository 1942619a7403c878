"""A client of a server that is looked at with the inspector."""

import json
import ssl
from typing import Any
from urllib.parse import urlencode

import httpx

from mockserver.engine.engine import Engine
from mockserver.server.process import ThreadedServer

_NO_CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Not used. Without it httpx would read all certificates of the machine for each request."""
SCRIPT = "<script>alert('stored')</script>"
BREAKOUT = "\"'></textarea></pre></title><img src=x onerror=alert('stored')>" + SCRIPT
"""A text that would run if a page put it anywhere without escaping."""


class Inspected:
    """A server with the sandbox `mine`, and what its client does."""

    def __init__(self, url: str, *, sandbox: str = "mine", engine: Engine | None = None) -> None:
        """`engine` is the server's, for tests that need more than requests can do in time."""
        self.url = url
        self._engine = engine
        self.sandbox = sandbox
        self.headers = {"Authorization": "Bearer sk-secret-4711", "X-Mock-Sandbox": sandbox}

    @property
    def engine(self) -> Engine:
        assert self._engine is not None
        return self._engine

    def ui(self, path: str, **query: str) -> str:
        """The address of a page of the sandbox."""
        return f"{self.url}/__admin/ui{path}?{urlencode({'sandbox': self.sandbox, **query})}"

    def ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        """A request of the client."""
        headers = {**self.headers, **given.pop("headers", {})}
        return httpx.request(method, f"{self.url}{path}", headers=headers, verify=_NO_CONTEXT, **given)

    def admin(self, method: str, path: str, **given: Any) -> Any:
        """The JSON of a call of the admin API."""
        return self.ask(method, f"/__admin{path}", **given).json()

    def queue(self, *prompts: str, **fields: Any) -> str:
        """The id of a batch of Agent First."""
        return str(self.ask("POST", "/ai/batches", json={"prompts": prompts or ["hello"], **fields}).json()["id"])

    def create_job(self, *contents: str, name: str = "in.jsonl", custom_id: str = "r", **fields: Any) -> str:
        """The id of a batch of AgileCloud with a line for each content; `fields` are more of the batch."""
        lines = [
            {"custom_id": f"{custom_id}{n}", "method": "POST", "url": "/v1/chat/completions", "body": _chat(content)}
            for n, content in enumerate(contents, 1)
        ]
        body = "\n".join(map(json.dumps, lines)).encode()
        file = self.ask("POST", "/v1/files", data={"purpose": "batch"}, files={"file": (name, body)}).json()
        wanted = {"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        return str(self.ask("POST", "/v1/batches", json=wanted | fields).json()["id"])


def _chat(content: str) -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": content}]}


def client_of(server: ThreadedServer) -> Inspected:
    """A client of the server, whose sandboxes and coverage are removed."""
    for sandbox in server.engine.sandboxes.every():
        server.engine.sandboxes.delete(sandbox.name)
    server.engine.met.clear()
    return Inspected(server.url, engine=server.engine)
