"""Batch files that hold much of nothing: reading them takes no longer than reading requests, and others are served."""

import json
from collections.abc import Callable, Iterator

import pytest
from attack_server import AttackedServer, attacked_server, others_are_served

MEGABYTE = 1024 * 1024
BATCH = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
TYPE = "multipart/form-data; boundary=X"
FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "blank lines": (lambda: b"\n" * (60 * MEGABYTE), "too_many_blank_lines"),
    "blank lines of Windows": (lambda: b"\r\n" * (30 * MEGABYTE), "too_many_blank_lines"),
    "lines of spaces": (lambda: (b" " * 1000 + b"\n") * (60 * 1024), "too_many_blank_lines"),
    "one line of spaces": (lambda: b" " * (60 * MEGABYTE), "line_too_long"),
    "one line of a text": (lambda: b'"' + "é".encode() * (30 * MEGABYTE) + b'"', "line_too_long"),
    "byte order marks": (lambda: b"\xef\xbb\xbf" * (20 * MEGABYTE), "line_too_long"),
    "brackets": (lambda: (b"[" * 5000 + b"\n") * (12 * 1024), "invalid_json_line"),
}


@pytest.fixture(scope="module")
def server() -> Iterator[AttackedServer]:
    with attacked_server("--progression", "immediate") as running:
        run_batch(running, b"{}")  # so that all is imported
        yield running


def run_batch(server: AttackedServer, content: bytes) -> tuple[str, str]:
    """The status of a batch of that file, and its first error."""
    status, body = server.request("POST", "/v1/files", upload(content), content_type=TYPE)
    assert status == 200, body
    file_id = json.loads(body)["id"]
    _, made = server.request("POST", "/v1/batches", json.dumps({**BATCH, "input_file_id": file_id}).encode())
    _, read = server.request("GET", f"/v1/batches/{json.loads(made)['id']}")
    assert server.request("DELETE", f"/v1/files/{file_id}")[0] == 200
    batch = json.loads(read)
    return batch["status"], batch["errors"]["data"][0]["code"]


def upload(content: bytes) -> bytes:
    head = b'--X\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--X\r\n'
    return (
        head + b'Content-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n' + content + b"\r\n--X--\r\n"
    )


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_empty_lists_fails_its_batch_and_delays_no_other_request(server: AttackedServer, name: str) -> None:
    make, code = FILES[name]
    content = make()

    with others_are_served(server):
        found = run_batch(server, content)

    assert found == ("failed", code)
