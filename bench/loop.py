"""A batch from its upload to its download, as a client sees it, and the proof that every line was answered."""

import json
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPException
from itertools import pairwise
from time import perf_counter
from typing import Any, NamedTuple

import orjson

from bench.client import TOKEN
from bench.targets import BenchError

CHAT = "/v1/chat/completions"
MODEL = "gpt-4o-mini"
POLLS = 2_000
"""So often is asked for the status before a batch counts as stuck."""
BOUNDARY = "bench-7f3a91"
_HEAD = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="bench.jsonl"\r\n'
    "Content-Type: application/jsonl\r\n\r\n"
)
_END = f"\r\n--{BOUNDARY}--\r\n"
_FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
_JSON = {"Content-Type": "application/json"}


class Input(NamedTuple):
    """A batch's input file, put into a form before the watch runs."""

    lines: int
    size: int
    form: bytes


class Finished(NamedTuple):
    """What a client got back from a batch."""

    output: bytes
    seconds: float
    """From the first byte of the upload to the last of the download."""
    steps: Mapping[str, float]
    """The same in parts."""


def input_lines(lines: int, length: int) -> Iterator[bytes]:
    """So many chat requests of exactly so many bytes a line, each unlike the others."""
    for number in range(lines):
        start = {"custom_id": f"request-{number:06}", "method": "POST", "url": CHAT}
        asked = f"Question {number}: what do people buy after they have read about it? "
        line = json.dumps({**start, "body": {"model": MODEL, "messages": [{"role": "user", "content": asked}]}})
        filling = "Some more of the same text. " * (length // 28 + 1)
        yield line.replace(asked, asked + filling[: length - len(line) - 1]).encode() + b"\n"


def input_of(lines: int, length: int) -> Input:
    content = b"".join(input_lines(lines, length))
    return Input(lines, len(content), _HEAD.encode() + content + _END.encode())


class Loop:
    """One client of one server, on one kept connection."""

    polls = POLLS

    def __init__(self, port: int, name: str, token: str = TOKEN) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=120)
        self._name = name
        self._token = token

    def close(self) -> None:
        self._connection.close()

    def run(self, given: Input) -> Finished:
        """The whole way of a batch; what comes back is not judged yet."""
        marks = [perf_counter()]
        file = self.upload(given)
        marks.append(perf_counter())
        batch = self.completed(self.create(file))
        marks.append(perf_counter())
        output = self.download(batch)
        marks.append(perf_counter())
        parts = (end - start for start, end in pairwise(marks))
        return Finished(output, marks[-1] - marks[0], dict(zip(("upload", "work", "download"), parts, strict=True)))

    def upload(self, given: Input) -> str:
        """The new file's id."""
        return str(self._asked("POST", "/v1/files", given.form, _FORM)["id"])

    def create(self, file: str) -> str:
        """The new batch's id."""
        wanted = {"input_file_id": file, "endpoint": CHAT, "completion_window": "24h"}
        return str(self._asked("POST", "/v1/batches", json.dumps(wanted).encode(), _JSON)["id"])

    def completed(self, batch: str) -> Mapping[str, Any]:
        """The batch once it is there; raises BenchError when it ends otherwise."""
        for _ in range(self.polls):
            shown: Mapping[str, Any] = self._asked("GET", f"/v1/batches/{batch}")
            if shown["status"] == "completed":
                return shown
            if shown["status"] not in {"validating", "in_progress", "finalizing"}:
                break
        raise BenchError(f"{self._name} leaves the batch {shown['status']}: {str(shown)[:300]}")

    def download(self, batch: Mapping[str, Any]) -> bytes:
        return self._received("GET", f"/v1/files/{batch['output_file_id']}/content")

    def _asked(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Any:
        return orjson.loads(self._received(method, path, body, headers))

    def _received(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
        try:
            self._connection.request(
                method, path, body or None, {"Authorization": f"Bearer {self._token}", **(headers or {})}
            )
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, HTTPException) as error:
            raise BenchError(f"{self._name} does not answer {method} {path}: {error!r}") from error
        if answer.status != 200:
            raise BenchError(f"{self._name} answers {method} {path} with {answer.status}: {content[:300]!r}")
        return content


def check_output(name: str, given: Input, output: bytes) -> None:
    """Raise BenchError unless every request came back once, with words for an answer."""
    lines = [orjson.loads(line) for line in output.splitlines()]
    wanted = {f"request-{number:06}" for number in range(given.lines)}
    if len(lines) != given.lines or {line["custom_id"] for line in lines} != wanted:
        raise BenchError(f"{name} gives back {len(lines)} lines for {given.lines} requests, or other ids")
    for line in lines:
        if line["response"]["status_code"] != 200 or not words_of(line["response"]["body"]):
            raise BenchError(f"{name} gives back a line without an answer: {str(line)[:300]}")


def words_of(completion: Mapping[str, Any]) -> str:
    return str(completion["choices"][0]["message"]["content"])
