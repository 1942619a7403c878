"""The gateway over a real socket: limits, connections that live on, HEAD, streams, and two clients at once."""

import http.client
import io
import json
import logging
import socket
import threading
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from builders import make_settings

from mockserver.http import Response
from mockserver.server.process import ThreadedServer

JSON_HEADERS = {"Authorization": "Bearer test", "Content-Type": "application/json"}
MEGABYTE = 1024 * 1024


@pytest.fixture
def server() -> Iterator[ThreadedServer]:
    with ThreadedServer(make_settings(max_body=4 * MEGABYTE)) as running:
        yield running


def connect(server: ThreadedServer) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)


def dial(server: ThreadedServer, *lines: str) -> socket.socket:
    """A bare connection on which a request head was sent."""
    wire = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    wire.sendall("\r\n".join((*lines, "Host: mock.example", "Authorization: Bearer test", "", "")).encode())
    return wire


def read_answer(wire: socket.socket) -> tuple[http.client.HTTPResponse, bytes]:
    response = http.client.HTTPResponse(wire)
    response.begin()
    return response, response.read()


def exchange(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
) -> tuple[http.client.HTTPResponse, bytes]:
    connection.request(method, target, body, JSON_HEADERS | (headers or {}))
    response = connection.getresponse()
    return response, response.read()


def queued(connection: http.client.HTTPConnection, *prompts: str) -> str:
    """The url of the archive of a batch with these prompts."""
    _, body = exchange(connection, "POST", "/ai/batches", json.dumps({"prompts": prompts}))
    _, status = exchange(connection, "GET", f"/ai/batches?id={json.loads(body)['id']}")
    return str(json.loads(status)["url"]).partition(f":{connection.port}")[2]


def test_413_is_answered_before_the_body_is_sent(server: ThreadedServer) -> None:
    with dial(server, "POST /ai/batches HTTP/1.1", f"Content-Length: {5 * MEGABYTE}") as wire:
        response, body = read_answer(wire)

        assert response.status == 413
        assert json.loads(body)["title"] == "Content Too Large"


def test_a_client_that_sends_all_of_too_large_a_body_sees_its_413(server: ThreadedServer) -> None:
    connection = connect(server)

    response, _ = exchange(connection, "POST", "/ai/batches", b" " * (40 * MEGABYTE))

    assert response.status == 413
    assert exchange(connection, "GET", "/user")[0].status == 200
    connection.close()


def test_a_chunked_body_without_end_is_413(server: ThreadedServer) -> None:
    with dial(server, "POST /ai/batches HTTP/1.1", "Transfer-Encoding: chunked") as wire:
        chunk = b"%x\r\n%b\r\n" % (MEGABYTE, b" " * MEGABYTE)
        for _ in range(4):
            wire.sendall(chunk)
        wire.sendall(b"1\r\n \r\n")

        response, _ = read_answer(wire)

        assert response.status == 413
        assert response.headers["Connection"] == "close"


def test_a_connection_stays_open_after_errors(server: ThreadedServer) -> None:
    connection = connect(server)
    connection.connect()
    first = connection.sock

    statuses = [
        exchange(connection, "POST", "/ai/batches", body)[0].status
        for body in (b"{", b'{"prompts": []}', b"[" * 10_000, b'{"prompts": ["hello"]}')
    ]
    statuses += [exchange(connection, *each)[0].status for each in (("GET", "/nowhere"), ("PUT", "/ai", b"x"))]

    assert statuses == [422, 422, 422, 202, 404, 405]
    assert connection.sock is first
    connection.close()


@pytest.mark.parametrize(
    "target", ["/ai/devices", "/user", "/ai?prompt=hello", "/nowhere", "/health", "/ai/batches?id=1"]
)
def test_head_is_get_without_its_body(server: ThreadedServer, target: str) -> None:
    connection = connect(server)

    got, body = exchange(connection, "GET", target)
    headed, nothing = exchange(connection, "HEAD", target)

    assert (headed.status, nothing) == (got.status, b"")
    assert {**headed.headers} | {"date": ""} == {**got.headers} | {"date": ""}
    assert got.headers["content-length"] == str(len(body))
    connection.close()


def test_a_client_that_disconnects_within_its_body_affects_no_other(
    server: ThreadedServer, caplog: pytest.LogCaptureFixture
) -> None:
    with dial(server, "POST /ai/batches HTTP/1.1", "Content-Length: 100") as wire:
        wire.sendall(b'{"prompts')

    connection = connect(server)
    assert exchange(connection, "GET", "/user")[0].status == 200
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    connection.close()


def test_others_are_answered_while_a_large_body_is_read(
    server: ThreadedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: dict[str, set[str]] = {}
    arrived, go = threading.Event(), threading.Event()
    handle = server.engine.handle

    def slow(request: Any, *prepared: Any) -> Response:
        threads.setdefault(request.headers["authorization"], set()).add(threading.current_thread().name)
        if request.body:
            arrived.set()
            assert go.wait(20)
        return handle(request, *prepared)

    monkeypatch.setattr(server.engine, "handle", slow)
    body = json.dumps({"prompts": ["hello"], "ignored": "x" * MEGABYTE})
    answers: list[int] = []

    def ask(*question: Any) -> None:
        connection = connect(server)
        answers.append(exchange(connection, *question)[0].status)
        connection.close()

    workers = [threading.Thread(target=ask, args=("POST", "/ai/batches", body))]
    workers[0].start()
    assert arrived.wait(20)
    workers.append(threading.Thread(target=ask, args=("GET", "/user")))
    workers[1].start()

    other, connection = {"Authorization": "Bearer other"}, connect(server)
    healthy = [exchange(connection, "GET", path, headers=other)[0].status for path in ("/health", "/user")]
    connection.close()
    before = list(answers)
    go.set()
    for worker in workers:
        worker.join(20)

    # The order of the two answers is that of the client threads, which no server decides.
    assert (healthy, before, sorted(answers)) == ([200, 200], [], [200, 202])
    assert "mockserver" not in threads["Bearer test"], "what waits for the large one's sandbox must not hold the loop"
    assert threads["Bearer other"] == {"mockserver"}


def test_an_archive_comes_in_chunks_while_it_is_made(server: ThreadedServer) -> None:
    connection = connect(server)
    target = queued(connection, *(f"prompt {n}" for n in range(300)))

    connection.request("GET", target)
    response = connection.getresponse()
    body = response.read()

    assert response.headers["Transfer-Encoding"] == "chunked"
    assert "Content-Length" not in response.headers
    assert len(zipfile.ZipFile(io.BytesIO(body)).namelist()) == 300
    connection.close()


@pytest.mark.parametrize(
    ("headers", "base"),
    [
        ({"Host": "mock:80"}, "http://mock:80"),
        ({"Host": "[::1]:4024"}, "http://[::1]:4024"),
        ({"Host": "mock", "X-Forwarded-Proto": "https"}, "https://mock"),
        ({"Host": "mock", "X-Forwarded-Host": "api.example:8443"}, "http://api.example:8443"),
    ],
)
def test_the_url_of_an_archive_has_the_host_that_the_client_used(
    server: ThreadedServer, headers: dict[str, str], base: str
) -> None:
    connection = connect(server)
    _, body = exchange(connection, "POST", "/ai/batches", b'{"prompts": ["hello"]}')
    id_ = json.loads(body)["id"]

    _, status = exchange(connection, "GET", f"/ai/batches?id={id_}", headers=headers)

    assert json.loads(status)["url"].startswith(f"{base}/ai/archives/")
    connection.close()


def test_ids_do_not_depend_on_the_order_of_clients() -> None:
    """Two threads queue the same body; the ids are those that one after the other gets."""

    def queue_many(server: ThreadedServer, times: int, ids: list[str]) -> None:
        connection = connect(server)
        for _ in range(times):
            _, body = exchange(connection, "POST", "/ai/batches", b'{"prompts": ["hello"]}')
            ids.append(json.loads(body)["id"])
        connection.close()

    with ThreadedServer(make_settings()) as server:
        together: list[str] = []
        threads = [threading.Thread(target=queue_many, args=(server, 500, together)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with ThreadedServer(make_settings()) as server:
        alone: list[str] = []
        queue_many(server, 1000, alone)

    assert len(set(alone)) == 1000
    assert sorted(together) == sorted(alone)
