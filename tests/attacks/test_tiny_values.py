"""Tiny values in places other than a request's body: lines of batch files, imports, and stubs that look at bodies."""

import orjson
import pytest
from attack_server import AttackedServer, attacked_server, others_are_served

MB = 1024 * 1024
TINY = b"[]," * (16 * MB // 3)


def upload(server: AttackedServer, content: bytes) -> str:
    """The id of a batch file with this content."""
    head = b'--X\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n'
    form = (
        head % (b"purpose", b"") + b"batch\r\n" + head % (b"file", b'; filename="a.jsonl"') + content + b"\r\n--X--\r\n"
    )
    status, body = server.request("POST", "/v1/files", form, Content_Type="multipart/form-data; boundary=X")
    assert status == 200, body
    return body.partition(b'"id":"')[2].partition(b'"')[0].decode()


LINES = {
    "lists": b'{"custom_id":"a","x":[' + TINY[: 15 * MB // 3 * 3] + b"[]]}\n",
    "objects": b"[" + b'{"a":1},' * (15 * MB // 8) + b"1]\n",
    "nesting": b"[" * (15 * MB) + b"\n",
    "empty texts": b"[" + b'"",' * (15 * MB // 3) + b"1]\n",
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_large_lines_of_tiny_values_fail_their_batch_while_others_are_served(line: bytes) -> None:
    with attacked_server("--progression", "immediate", memory=1024 * MB) as server:
        id_ = upload(server, line * 4)
        body = b'{"input_file_id":"%s","endpoint":"/v1/chat/completions","completion_window":"24h"}' % id_.encode()
        _, batch = server.request("POST", "/v1/batches", body)

        with others_are_served(server):
            path = "/v1/batches/batch_" + batch.partition(b'"id":"batch_')[2].partition(b'"')[0].decode()
            status, seen = server.request("GET", path)

    assert status == 200
    assert b'"status":"failed"' in seen
    assert b"may hold at most" in seen


def test_an_import_of_tiny_values_is_refused_while_others_are_served() -> None:
    head = b'{"format":"mockserver sandbox","version":1,"mockserver":"0","blobs":[],"sandbox":['
    with attacked_server(memory=1024 * MB) as server, others_are_served(server):
        for document in (head + TINY + b"[]]}", b'{"sandbox":' + b"[" * (24 * MB), head + b"{}," * (8 * MB) + b"1]}"):
            status, body = server.request("POST", "/__admin/import", document)
            assert (status, b"may hold at most" in body) == (422, True)


def test_a_thousand_sandboxes_with_many_violations_stay_within_the_bytes_of_all_journals() -> None:
    limit = 4 * MB
    body = b'{"prompts":[' + b"1," * 200 + b"1]}"
    with attacked_server("--journal-bytes", str(limit)) as server:
        for n in range(20):
            server.request("POST", "/ai/batches", body, token=f"before {n}")
        rest = server.resident()

        for n in range(1000):
            assert server.request("POST", "/ai/batches", body, token=f"t{n}")[0] == 422

        grown = server.resident() - rest
        status, sandboxes = server.request("GET", "/__admin/sandboxes?limit=1")

    assert status == 200
    journals = orjson.loads(sandboxes)["journals"]
    assert 0 < journals["bytes"] <= journals["limit"] == limit
    assert journals["dropped"] > 0
    assert grown <= limit + 1000 * 10_000 + 8 * MB  # an empty sandbox takes up to 10 kB


def test_deleted_sandboxes_leave_no_memory() -> None:
    text = b"a" * (2047)
    body = b'{"prompts":["' + b'","'.join([text] * 1000) + b'"]}'
    with attacked_server() as server:
        for n in range(3):
            server.request("POST", "/ai/batches", body, token=f"first {n}")
            server.request("DELETE", f"/__admin/sandboxes/first%20{n}")
        rest = server.resident()

        for n in range(60):
            for _ in range(3):
                assert server.request("POST", "/ai/batches", body, token=f"t{n}")[0] == 202
            assert server.request("DELETE", f"/__admin/sandboxes/t{n}")[0] == 200

        assert server.resident() <= rest + 24 * MB


def test_evicted_sandboxes_leave_no_memory() -> None:
    body = b'{"prompts":["' + b'","'.join([b"a" * 2047] * 1000) + b'"]}'
    with attacked_server("--max-sandboxes", "2") as server:
        for n in range(5):
            server.request("POST", "/ai/batches", body, token=f"first {n}")
        rest = server.resident()

        for n in range(60):
            assert server.request("POST", "/ai/batches", body, token=f"t{n}")[0] == 202

        assert server.resident() <= rest + 24 * MB
