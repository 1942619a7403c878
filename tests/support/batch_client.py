"""Runs AgileCloud's batches through the engine, as a client would: uploads files, creates and polls batches."""

import json
from typing import Any

from builders import ask, bytes_of, make_engine, value_of
from document import NAME, REGISTRY
from jsonschema import Draft202012Validator  # type: ignore[import-untyped,unused-ignore]  # it ships no types

from mockserver.engine.engine import Engine
from mockserver.http import Response
from mockserver.providers.agilecloud.files import FileRecord, files_of
from mockserver.redaction import account_key
from mockserver.sandbox.blobs import Blob

CHAT = "/v1/chat/completions"
EMBEDDINGS = "/v1/embeddings"
MODEL = "gpt-4o-mini"
DAY = 86_400
OPENAI: Any = {"agilecloud_profile": "openai"}
BATCH, LINE = (
    Draft202012Validator({"$ref": f"{NAME}#/components/schemas/{name}"}, registry=REGISTRY)
    for name in ("Batch", "BatchResponseLine")
)


def request_of(custom_id: str, text: str = "Name a river in Spain.", **body: Any) -> dict[str, Any]:
    """A line's value: a chat with one message, or what `body` makes of it."""
    messages = [{"role": "user", "content": text}]
    return {
        "custom_id": custom_id,
        "method": "POST",
        "url": CHAT,
        "body": {"model": MODEL, "messages": messages} | body,
    }


def embedding_of(custom_id: str, given: Any, model: str = "bge-large-en-v1.5") -> dict[str, Any]:
    return {"custom_id": custom_id, "method": "POST", "url": EMBEDDINGS, "body": {"model": model, "input": given}}


def jsonl(*requests: Any) -> bytes:
    return b"".join(json.dumps(each, ensure_ascii=False).encode() + b"\n" for each in requests)


def chats(count: int) -> bytes:
    return jsonl(*(request_of(f"r{n}", f"Question {n} about rivers") for n in range(count)))


class BatchClient:
    """One account of one engine, whose clock stands still."""

    def __init__(self, engine: Engine | None = None, *, token: str = "ann", **settings: Any) -> None:
        self.engine = engine or make_engine(**settings)
        self.token = token
        self.sandbox = self.engine.sandboxes.open(token)

    @property
    def now(self) -> int:
        return int(self.sandbox.clock.now())

    def put(self, content: bytes, purpose: str = "batch", account: str = "") -> str:
        """The id of a new file."""
        id_, now = f"file-{len(files_of(self.sandbox))}", self.now
        blob = Blob.in_memory(content)
        owner = account_key(account or self.token)
        record = FileRecord(id_, owner, "in.jsonl", purpose, len(content), now, None, blob)
        files_of(self.sandbox).put(id_, record)
        return id_

    def ask(self, method: str, path: str, **given: Any) -> Response:
        return ask(self.engine, method, path, token=self.token, **given)

    def refusal(self, method: str, path: str, **given: Any) -> tuple[int, dict[str, Any]]:
        """The status and the error."""
        response = self.ask(method, path, **given)
        return response.status, value_of(response)["error"]

    def create(self, content: bytes | str, endpoint: str = CHAT, **fields: Any) -> Any:
        """The new batch, of some lines or of a file's id."""
        id_ = content if isinstance(content, str) else self.put(content)
        body = {"input_file_id": id_, "endpoint": endpoint, "completion_window": "24h", **fields}
        response = self.ask("POST", "/v1/batches", json=body)
        assert response.status == 200, response
        return value_of(response)

    def read(self, id_: str) -> Any:
        response = self.ask("GET", f"/v1/batches/{id_}")
        assert response.status == 200, response
        BATCH.validate(batch := value_of(response))
        return batch

    def run(self, content: bytes | str, endpoint: str = CHAT, **fields: Any) -> Any:
        """The batch as it is seen next."""
        return self.read(self.create(content, endpoint, **fields)["id"])

    def cancel(self, id_: str) -> Any:
        response = self.ask("POST", f"/v1/batches/{id_}/cancel")
        assert response.status == 200, response
        return value_of(response)

    def content(self, file_id: str | None) -> bytes:
        """A file's bytes; none of no file."""
        return b"" if file_id is None else bytes_of(self.ask("GET", f"/v1/files/{file_id}/content"))

    def lines(self, file_id: str | None) -> dict[str, Any]:
        """A file's lines by their custom ids, each there once."""
        lines = [json.loads(line) for line in self.content(file_id).decode().splitlines()]
        found = {each["custom_id"]: each for each in lines}
        for line in lines[:50]:
            LINE.validate(line)
        assert len(found) == len(lines)
        return found


def counts_of(batch: Any) -> tuple[int, int, int]:
    return tuple(batch["request_counts"][name] for name in ("total", "completed", "failed"))


TIMES = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")


def times_of(batch: Any) -> dict[str, int]:
    """What has happened to the batch, in seconds after its creation."""
    return {name: batch[f"{name}_at"] - batch["created_at"] for name in TIMES if batch[f"{name}_at"] is not None}
