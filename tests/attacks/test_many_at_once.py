"""Many clients that send something costly at the same moment: each is bearable alone."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from attack_server import AttackedServer, attacked_server, others_are_served
from attacks import MB, forget_peak, peak

CLIENTS = 100
CHAT, BATCHES, EMBEDDINGS = "/v1/chat/completions", "/ai/batches", "/v1/embeddings"
QUESTION = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Name a river."}]}
WRONG_PARTS = {**QUESTION, "messages": [{"role": "user", "content": [{"type": "x"}] * 50}] * 60}
TWO_THOUSAND = {"model": "text-embedding-3-large", "input": ["a"] * 2048}
SLACK = 160 * MB
"""For what is imported on first use, and the answers that may be in memory (docs/limits.md)."""


@pytest.fixture(scope="module")
def server() -> Iterator[AttackedServer]:
    with attacked_server() as running:
        yield running


def head(method: str, target: str, client: int, *fields: str) -> str:
    lines = (f"{method} {target} HTTP/1.1", "Host: localhost", f"Authorization: Bearer client-{client}", *fields)
    return "\r\n".join([*lines, "", ""])


def get(target: str, client: int) -> bytes:
    return head("GET", target, client).encode()


def post(path: str, body: object, client: int, *fields: str) -> bytes:
    content = json.dumps(body).encode()
    framing = ("Content-Type: application/json", f"Content-Length: {len(content)}", *fields)
    return head("POST", path, client, *framing).encode() + content


def statuses(server: AttackedServer, requests: list[bytes]) -> Counter[int]:
    """The statuses of requests that are sent at once, each on a connection of its own."""
    with ExitStack() as stack:
        connections = [server.connect(timeout=120) for _ in requests]
        for each in connections:
            stack.callback(each.close)
            each.connect()
        for each, request in zip(connections, requests, strict=True):
            each.sock.sendall(request)
        answers = [each.sock.recv(64) for each in connections]
    return Counter(int(answer[9:12]) for answer in answers)


COSTLY: dict[str, tuple[int, Callable[[int], bytes]]] = {
    "a query of percent signs": (422, lambda n: get("/ai?prompt=" + "%" * 60_000, n)),
    "a query of escapes": (422, lambda n: get("/ai?prompt=hi&device=" + "%25" * 20_000, n)),
    "wrong prompts": (422, lambda n: post(BATCHES, {"prompts": [1] * 1000}, n)),
    "wrong parts of messages": (400, lambda n: post(CHAT, WRONG_PARTS, n)),
    "in a conversation": (400, lambda n: post(CHAT, WRONG_PARTS, n, "Connection: close")),
}


@pytest.mark.parametrize("name", COSTLY)
def test_many_costly_requests_at_once_delay_no_other_client(server: AttackedServer, name: str) -> None:
    status, make = COSTLY[name]
    requests = [make(n) for n in range(CLIENTS)]
    statuses(server, requests[:1])  # imports what explains violations

    with others_are_served(server):
        assert statuses(server, requests) == {status: CLIENTS}


def test_the_first_uses_of_many_parts_at_once_delay_no_other_client() -> None:
    pattern = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^a+$"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": pattern}}
    bodies: tuple[tuple[str, object], ...] = (
        (CHAT, QUESTION),
        (CHAT, WRONG_PARTS),
        (CHAT, {**QUESTION, "response_format": wanted}),
        (BATCHES, {"prompts": [1]}),
        (EMBEDDINGS, {"model": "text-embedding-3-small", "input": "a"}),
        ("/api/v1/prompts", {"slug": "p", "template": "{% if a %}{{ a }}{% endif %}", "variables": ["a"]}),
        ("/v1/files", {}),
        ("/__admin/next", {"reply": {"status": 401}}),
        ("/__admin/import", {"a": 1}),
    )
    paths = ("/__admin/ui/requests", "/metrics", "/__admin/export", "/__admin/openapi.json", "/__admin/coverage", "/no")
    requests = [post(path, body, n) for n, (path, body) in enumerate(bodies)]

    with attacked_server() as server, others_are_served(server):
        found = statuses(server, [*requests, *(get(path, n) for n, path in enumerate(paths, len(requests)))])

    assert found.keys() == {200, 201, 400, 404, 422}


def test_pages_of_the_inspector_that_are_loaded_at_once_delay_no_other_client(server: AttackedServer) -> None:
    statuses(server, [get("/__admin/ui/requests", 0)])

    with others_are_served(server):
        assert statuses(server, [get("/__admin/ui/requests", n) for n in range(CLIENTS)]) == {200: CLIENTS}


def test_hundreds_of_open_pages_that_are_told_of_changes_delay_no_other_client(server: AttackedServer) -> None:
    with ExitStack() as stack:
        for n in range(6 * CLIENTS):
            connection = server.connect()
            stack.callback(connection.close)
            connection.connect()
            connection.sock.sendall(get(f"/__admin/ui/events?sandbox=page-{n}", n))

        with others_are_served(server):
            for _ in range(100):
                assert server.request("GET", "/user", token="page-1")[0] == 200


def test_log_probabilities_of_many_choices_delay_no_other_client_and_take_bounded_memory() -> None:
    request = {**QUESTION, "n": 128, "logprobs": True, "top_logprobs": 20}
    with attacked_server("--journal-bytes", "1000000") as server:  # which would hold the answers
        server.request("POST", CHAT, json.dumps(request).encode())
        before = server.resident()
        forget_peak(server)

        with others_are_served(server):
            found = statuses(server, [post(CHAT, request, n) for n in range(CLIENTS)])

        assert found.keys() <= {200, 503}
        assert peak(server) < before + 64 * MB + SLACK


def test_thousands_of_inputs_are_embedded_in_little_memory() -> None:
    with attacked_server() as server:
        server.request("POST", EMBEDDINGS, json.dumps({**TWO_THOUSAND, "input": "a"}).encode())
        before = server.resident()
        forget_peak(server)

        with others_are_served(server):
            assert statuses(server, [post(EMBEDDINGS, TWO_THOUSAND, n) for n in range(50)]) == {200: 50}

        assert peak(server) < before + SLACK


def test_an_embedding_that_is_sent_in_pieces_is_that_which_is_sent_whole(server: AttackedServer) -> None:
    texts = [f"text {n}" for n in range(40)]
    asked = {"model": "text-embedding-3-large", "input": texts}

    _, pieces = server.request("POST", EMBEDDINGS, json.dumps(asked).encode(), token="whole")
    _, one = server.request("POST", EMBEDDINGS, json.dumps({**asked, "input": texts[7]}).encode(), token="whole")

    in_pieces, alone = json.loads(pieces), json.loads(one)
    assert in_pieces["data"][7]["embedding"] == alone["data"][0]["embedding"]
    assert [each["index"] for each in in_pieces["data"]] == list(range(40))
    assert in_pieces.keys() == alone.keys()
    assert in_pieces["usage"]["prompt_tokens"] == 80


def test_a_head_of_thousands_of_fields_is_rejected(server: AttackedServer) -> None:
    def fields(count: int) -> bytes:
        return head("GET", "/v1/models", 0, *(f"a{n}: b" for n in range(count))).encode()

    assert statuses(server, [fields(400)]) == {200: 1}
    assert statuses(server, [fields(6000)]) == {431: 1}
