"""What attacks have in common: uploads, batches, requests whose answers are not read, the most memory so far."""

import json
import socket
from pathlib import Path

import pytest
from attack_server import AttackedServer

MB = 1024 * 1024


def peak(server: AttackedServer) -> int:
    """The most resident memory in bytes since `forget_peak`."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def forget_peak(server: AttackedServer) -> None:
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")


def batch_file(lines: int) -> bytes:
    """Lines of which each takes a little longer than a plain one."""
    content = [{"type": "text", "text": "hello"}]
    body = {"model": "qwen2.5-3b-instruct", "messages": [{"role": "user", "content": content}]}
    line = {"method": "POST", "url": "/v1/chat/completions", "body": body}
    return b"\n".join(json.dumps({"custom_id": f"{n}", **line}).encode() for n in range(lines))


def form(content: bytes) -> bytes:
    head = b"--X\r\nContent-Disposition: form-data; name="
    fields = [head + b'"purpose"\r\n\r\nbatch\r\n', head + b'"file"; filename="a.jsonl"\r\n\r\n' + content + b"\r\n"]
    return b"".join([*fields, b"--X--\r\n"])


def create_batch(server: AttackedServer, token: str, lines: int) -> str:
    """The path of a batch; reading it works through its lines."""
    status, answer = server.request(
        "POST", "/v1/files", form(batch_file(lines)), token=token, Content_Type="multipart/form-data; boundary=X"
    )
    assert status == 200, answer
    asked = {
        "input_file_id": json.loads(answer)["id"],
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
    }
    status, answer = server.request("POST", "/v1/batches", json.dumps(asked).encode(), token=token)
    assert status == 200, answer
    return f"/v1/batches/{json.loads(answer)['id']}"


def asking(server: AttackedServer, path: str, token: str) -> socket.socket:
    """A connection on which something was asked, and the answer not read."""
    wire = socket.create_connection(("127.0.0.1", server.port), timeout=120)
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
    wire.sendall(head.encode())
    return wire


def is_at_work(server: AttackedServer, path: str, token: str) -> socket.socket:
    """A connection whose request is being worked on: there is no answer yet."""
    wire = asking(server, path, token)
    wire.settimeout(0.05)
    with pytest.raises(TimeoutError):
        wire.recv(1)
    return wire
