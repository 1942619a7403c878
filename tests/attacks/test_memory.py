"""Memory follows what is in flight: it stays below 4 bytes for each byte sent, and comes back down afterwards."""

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import orjson
import pytest
from attack_server import AttackedServer, attacked_server, others_are_served
from attacks import MB, forget_peak, peak
from waiting import eventually

SIZE = 32 * MB
AT_ONCE = 8
SLACK = 64 * MB
"""For what is imported on first use, and what the allocator keeps."""
JSON = "application/json"


def tiny(prefix: bytes, piece: bytes, suffix: bytes, size: int = SIZE) -> bytes:
    """A body of nearly `size` bytes that repeats a piece."""
    return prefix + piece * ((size - len(prefix) - len(suffix)) // len(piece)) + suffix


def ordinary_chat(size: int) -> bytes:
    message = {
        "role": "user",
        "content": 'Hello, how are you? [I hope], all is "well". What does the weather do, there?',
    }
    messages = [message] * (size // len(orjson.dumps(message)) - 10)
    return orjson.dumps({"model": "gpt-4o-mini", "messages": messages})


BATCHES, CHAT = "/ai/batches", "/v1/chat/completions"
BODIES: dict[str, tuple[str, Callable[[], bytes], int]] = {
    "lists": (BATCHES, lambda: tiny(b'{"prompts":[', b"[],", b"[]]}"), 422),
    "objects": (CHAT, lambda: tiny(b'{"messages":[', b'{"a":1},', b"1]}"), 400),
    "members": (BATCHES, lambda: tiny(b"{", b'"a":1,', b'"a":1}'), 422),
    "nesting": (BATCHES, lambda: b"[" * SIZE, 422),
    "escapes": (BATCHES, lambda: tiny(b'{"prompts":["', b"\\u0041", b'"]}'), 422),
    "digits": (BATCHES, lambda: tiny(b'{"prompts":[', b"1" * 1_000_000 + b",", b"1]}"), 422),
    "one long text": (CHAT, lambda: tiny(b'{"model":"a","messages":[{"role":1,"content":"', b"a", b'"}]}'), 400),
    "as many values as are allowed": (
        BATCHES,
        lambda: tiny(b'{"prompts":[', b"[[[]]],              " * 4, b"1]}", 8 * MB),
        422,
    ),
    "no JSON": (BATCHES, lambda: tiny(b'{"prompts":["', b"a", b""), 422),
    "a path that there is not": ("/ai/nothing", lambda: b"a" * SIZE, 404),
    "a chat": (CHAT, lambda: ordinary_chat(20 * MB), 200),
    "wide prompts": (BATCHES, lambda: orjson.dumps({"prompts": ["\U0001f600" * 2047] * 1000}), 202),
    "an admin body": ("/__admin/import", lambda: tiny(b'{"a":[', b"[],", b"[]]}"), 422),
}


def flood(
    server: AttackedServer,
    path: str,
    body: bytes,
    *,
    count: int = AT_ONCE,
    chunked: bool = False,
    media_type: str = JSON,
) -> set[int]:
    """The statuses of requests that are sent side by side, each with a token of its own."""
    statuses: list[int] = []

    def send(number: int) -> None:
        headers = {"Authorization": f"Bearer attacker-{number}", "Content-Type": media_type}
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        given = pieces(body) if chunked else body
        connection.request("POST", path, given, headers, encode_chunked=chunked)
        statuses.append(connection.getresponse().status)
        connection.close()

    threads = [threading.Thread(target=send, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(statuses) == count
    return set(statuses)


def pieces(body: bytes) -> Iterator[bytes]:
    return (body[at : at + 65536] for at in range(0, len(body), 65536))


def clean(server: AttackedServer) -> None:
    """Delete what the requests, and the probes beside them, have left in stores."""
    for name in ("other", *(f"attacker-{number}" for number in range(AT_ONCE))):
        server.request("DELETE", f"/__admin/sandboxes/{name}")


def settled(server: AttackedServer, wanted: int) -> int:
    """Resident memory in bytes, as soon as it is what is wanted, or after 10 s."""
    with suppress(AssertionError):
        eventually(lambda: server.request("GET", "/health")[0] == 200 and server.resident() <= wanted, within=10)
    return server.resident()


@pytest.fixture
def server() -> Iterator[AttackedServer]:
    """A server that has answered each kind of request once."""
    with attacked_server("--progression", "immediate") as started:
        for path in (BATCHES, CHAT, "/__admin/import"):
            started.request("POST", path, b'{"a":1}')
        started.request("GET", "/health")
        yield started


@pytest.mark.parametrize(("path", "make", "status"), BODIES.values(), ids=BODIES.keys())
def test_memory_is_proportional_to_the_bytes_in_flight(
    server: AttackedServer, path: str, make: Callable[[], bytes], status: int
) -> None:
    body, rest = make(), server.resident()
    forget_peak(server)

    with others_are_served(server):
        assert flood(server, path, body) == {status}

    highest = peak(server)
    clean(server)
    after = settled(server, rest + SLACK)
    assert highest <= rest + 4 * AT_ONCE * len(body) + SLACK
    assert after <= rest + SLACK


def test_chunked_bodies_use_no_more_memory_than_others(server: AttackedServer) -> None:
    body, rest = BODIES["lists"][1](), server.resident()
    forget_peak(server)

    with others_are_served(server):
        assert flood(server, BATCHES, body, chunked=True) == {422}

    assert peak(server) <= rest + 4 * AT_ONCE * len(body) + SLACK
    clean(server)
    assert settled(server, rest + SLACK) <= rest + SLACK


def test_bodies_that_are_too_large_are_freed(server: AttackedServer) -> None:
    rest = server.resident()
    forget_peak(server)

    with others_are_served(server):
        assert flood(server, BATCHES, b"a" * (SIZE + 1), count=4) == {413}

    assert peak(server) <= rest + SLACK


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml; charset=x"]
)
def test_bodies_of_other_media_types_take_no_more_than_json(server: AttackedServer, media_type: str) -> None:
    body, rest = b"a=b&" * (8 * MB // 4), server.resident()
    forget_peak(server)

    with others_are_served(server):
        assert flood(server, BATCHES, body, media_type=media_type) <= {415, 422}

    assert peak(server) <= rest + 4 * AT_ONCE * len(body) + SLACK
    clean(server)
    assert settled(server, rest + SLACK) <= rest + SLACK


def test_large_heads_take_little_memory(server: AttackedServer) -> None:
    head = b"GET /user HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer attacker\r\n" + b"X-%d: %s\r\n" * 480
    head %= tuple(part for n in range(480) for part in (n, b"a" * 115))
    count, rest = 500, server.resident()
    forget_peak(server)
    with others_are_served(server), ExitStack() as stack:
        wires = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=60)) for _ in range(count)
        ]
        for wire in wires:  # heads that are nearly complete
            wire.sendall(head)
        for wire in wires[::2]:
            wire.sendall(b"\r\n")
            assert wire.recv(12) == b"HTTP/1.1 200"

    assert peak(server) <= rest + 4 * count * len(head) + SLACK
    server.request("DELETE", "/__admin/sandboxes/attacker")
    assert settled(server, rest + SLACK) <= rest + SLACK
