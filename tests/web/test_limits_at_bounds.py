"""Every limit as a number: what is exactly as much as allowed passes, one more does not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from builders import make_client, make_document, make_engine, make_operation, make_request, violations_of, write_json
from starlette.testclient import TestClient

CHAT, MODEL = "/v1/chat/completions", "gpt-4o-mini"
SAID = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
VECTOR = {"model": "bge-large-en-v1.5"}


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    """One server for all: each case has a sandbox of its own."""
    with make_client() as running:
        yield running


def send(client: TestClient, request: str, body: Any = None, **given: Any) -> int:
    method, path = request.split()
    return int(client.request(method, path, json=body, **given).status_code)


def names(count: int) -> dict[str, str]:
    return {f"n{n}": "v" for n in range(count)}


def metadata(count: int = 1, key: int = 1, value: int = 1) -> dict[str, Any]:
    labels = {f"{n:x}".rjust(key, "k"): "v" * value for n in range(count)}
    return {**SAID, "metadata": labels, "store": True}


@pytest.mark.parametrize(
    ("request_", "fitting", "beyond", "status"),
    [
        ("POST /ai/batches", {"prompts": ["a"] * 1000}, {"prompts": ["a"] * 1001}, 422),
        ("POST /ai/batches", {"prompts": ["é" * 2047]}, {"prompts": ["é" * 2048]}, 422),
        ("POST /ai/batches", {"prompts": ["a"]}, {"prompts": []}, 422),
        ("POST /ai/batches", {"prompts": ["a"]}, {"prompts": [""]}, 422),
        (f"POST {CHAT}", SAID | {"temperature": 0}, SAID | {"temperature": -0.1}, 400),
        (f"POST {CHAT}", SAID | {"temperature": 2}, SAID | {"temperature": 2.1}, 400),
        (f"POST {CHAT}", SAID | {"top_p": 1}, SAID | {"top_p": 1.1}, 400),
        (f"POST {CHAT}", SAID | {"top_p": 0}, SAID | {"top_p": -0.1}, 400),
        (f"POST {CHAT}", SAID | {"presence_penalty": -2}, SAID | {"presence_penalty": -2.1}, 400),
        (f"POST {CHAT}", SAID | {"frequency_penalty": 2}, SAID | {"frequency_penalty": 2.1}, 400),
        (f"POST {CHAT}", SAID | {"stop": list("abcd")}, SAID | {"stop": list("abcde")}, 400),
        (f"POST {CHAT}", SAID | {"n": 1}, SAID | {"n": 0}, 400),
        (f"POST {CHAT}", SAID | {"n": 128}, SAID | {"n": 129}, 400),
        (f"POST {CHAT}", SAID | {"max_tokens": 1}, SAID | {"max_tokens": 0}, 400),
        (
            f"POST {CHAT}",
            SAID | {"logprobs": True, "top_logprobs": 20},
            SAID | {"logprobs": True, "top_logprobs": 21},
            400,
        ),
        (
            f"POST {CHAT}",
            SAID | {"logprobs": True, "top_logprobs": 0},
            SAID | {"logprobs": True, "top_logprobs": -1},
            400,
        ),
        (f"POST {CHAT}", metadata(count=16), metadata(count=17), 400),
        (f"POST {CHAT}", metadata(key=64), metadata(key=65), 400),
        (f"POST {CHAT}", metadata(value=512), metadata(value=513), 400),
        ("POST /v1/embeddings", VECTOR | {"input": ["a"] * 2048}, VECTOR | {"input": ["a"] * 2049}, 400),
        ("POST /v1/embeddings", VECTOR | {"input": ["a"]}, VECTOR | {"input": []}, 400),
    ],
)
def test_a_request_at_a_limit_is_answered_and_one_beyond_it_is_refused(
    client: TestClient, request_: str, fitting: Any, beyond: Any, status: int
) -> None:
    assert send(client, request_, fitting) in {200, 202}
    assert send(client, request_, beyond) == status


@pytest.mark.parametrize(
    ("fitting", "beyond", "status"),
    [
        ("GET /v1/files?limit=10000", "GET /v1/files?limit=10001", 400),
        ("GET /v1/files?limit=1", "GET /v1/files?limit=-1", 400),
        ("GET /v1/batches?limit=100", "GET /v1/batches?limit=101", 400),
        ("GET /v1/batches?limit=0", "GET /v1/batches?limit=-1", 400),
        (f"GET /ai?prompt={'a' * 2047}", f"GET /ai?prompt={'a' * 2048}", 422),
        ("GET /__admin/requests?limit=1000", "GET /__admin/requests?limit=1001", 400),
        ("GET /__admin/requests/unmatched?limit=100", "GET /__admin/requests/unmatched?limit=101", 400),
        (f"GET /v1/batches?{'&'.join(['x=1'] * 1000)}", f"GET /v1/batches?{'&'.join(['x=1'] * 1001)}", 400),
    ],
)
def test_an_argument_at_a_limit_is_answered_and_one_beyond_it_is_refused(
    client: TestClient, fitting: str, beyond: str, status: int
) -> None:
    assert send(client, fitting) == 200
    assert send(client, beyond) == status


@pytest.mark.parametrize(("length", "is_repeated"), [(1, True), (128, True), (129, False), (1000, False)])
def test_a_request_id_of_128_characters_is_returned(client: TestClient, length: int, is_repeated: bool) -> None:
    response = client.get("/v1/models", headers={"X-Request-ID": "r" * length})

    assert (response.headers["X-Request-ID"] == "r" * length) is is_repeated


FAULT = "PUT /__admin/faults"
STUB = "POST /__admin/next"
GET_USER = {"operation": "getUser", "undocumented": True}


def wording(text: str) -> dict[str, Any]:
    return {"operation": "getUser", "reply": {"status": 401, "message": text}}


def fault(type_: str, **fields: Any) -> dict[str, Any]:
    return {"faults": [{"fault": {"type": type_, **fields}}]}


@pytest.mark.parametrize(
    ("request_", "fitting", "beyond"),
    [
        (FAULT, fault("latency", seconds=600), fault("latency", seconds=600.5)),
        (FAULT, fault("latency", seconds=0), fault("latency", seconds=-1)),
        (FAULT, fault("latency", min=2, max=2), fault("latency", min=2, max=1)),
        (FAULT, fault("latency", median=600, sigma=10), fault("latency", median=1, sigma=10.5)),
        (FAULT, fault("latency", median=1, sigma=1, cap=600), fault("latency", median=1, sigma=1, cap=601)),
        (FAULT, fault("trickle", seconds=600, pieces=1000), fault("trickle", seconds=600, pieces=1001)),
        (FAULT, fault("trickle", seconds=0, pieces=1), fault("trickle", seconds=0, pieces=0)),
        (FAULT, fault("status", status=400), fault("status", status=399)),
        (FAULT, fault("status", status=599), fault("status", status=600)),
        (
            FAULT,
            fault("status", status=503, retry_after=31_622_400),
            fault("status", status=503, retry_after=31_622_401),
        ),
        (FAULT, fault("trickle", seconds=600), fault("trickle", seconds=600.5)),
        (FAULT, fault("garbage", size=65_536), fault("garbage", size=65_537)),
        (FAULT, fault("garbage", size=1), fault("garbage", size=0)),
        (STUB, GET_USER | {"status": 500, "query": names(50)}, GET_USER | {"status": 500, "query": names(51)}),
        (STUB, GET_USER | {"status": 500, "header": names(50)}, GET_USER | {"status": 500, "header": names(51)}),
        (FAULT, fault("cut", after=2**40), fault("cut", after=2**40 + 1)),
        (FAULT, fault("cut", share=1), fault("cut", share=1.01)),
        (FAULT, fault("cut", share=0), fault("cut", share=-0.01)),
        (STUB, GET_USER | {"status": 200}, GET_USER | {"status": 199}),
        (STUB, GET_USER | {"status": 599}, GET_USER | {"status": 600}),
        (STUB, GET_USER | {"status": 500, "times": 10**9}, GET_USER | {"status": 500, "times": 10**9 + 1}),
        (STUB, GET_USER | {"status": 500, "times": 1}, GET_USER | {"status": 500, "times": 0}),
        (STUB, GET_USER | {"status": 500, "after": 10**9}, GET_USER | {"status": 500, "after": 10**9 + 1}),
        (STUB, GET_USER | {"status": 500, "probability": 1}, GET_USER | {"status": 500, "probability": 1.1}),
        (STUB, GET_USER | {"status": 500, "for": 1e12}, GET_USER | {"status": 500, "for": 1.1e12}),
        (
            "POST /__admin/requests/order",
            {"requests": [{"operation": "getUser"}] * 100},
            {"requests": [{"operation": "getUser"}] * 101},
        ),
        ("POST /__admin/requests/count", {"path": "/" + "a" * 2047}, {"path": "/" + "a" * 2048}),
        ("POST /__admin/clock/scale", {"scale": 1e12}, {"scale": 1.1e12}),
        ("POST /__admin/clock/scale", {"scale": 1e-9}, {"scale": 0}),
        (STUB, wording("m"), wording("")),
        (STUB, wording("m" * 2000), wording("m" * 2001)),
        ("PUT /__admin/accounts/a", {"credits": 2**53}, {"credits": 2**53 + 1}),
        ("PUT /__admin/accounts/a", {"credits": -(2**53)}, {"credits": -(2**53) - 1}),
        ("PUT /__admin/accounts/a", {"email": "e"}, {"email": ""}),
        ("PUT /__admin/accounts/a", {"email": "e" * 320}, {"email": "e" * 321}),
        ("PUT /__admin/progression", "polls:1", "polls:0"),
        ("PUT /__admin/progression", "time:0", "time:-1"),
    ],
)
def test_an_admin_call_at_a_limit_is_accepted_and_one_beyond_it_is_rejected(
    client: TestClient, request_: str, fitting: Any, beyond: Any
) -> None:
    headers = {"X-Mock-Sandbox": f"{request_} {fitting}"[:150].replace('"', "'")}

    assert send(client, request_, fitting, headers=headers) == 200
    assert send(client, request_, beyond, headers=headers) in {400, 422}


@pytest.mark.parametrize(("length", "status"), [(200, 200), (201, 422)])
def test_a_sandbox_has_a_name_of_at_most_200_characters(client: TestClient, length: int, status: int) -> None:
    assert send(client, "POST /__admin/sandboxes", {"name": "n" * length, "hold": False}) == status


@pytest.mark.parametrize(("count", "status"), [(1000, 200), (1001, 422)])
def test_a_sandbox_starts_with_at_most_a_thousand_accounts(client: TestClient, count: int, status: int) -> None:
    accounts = [{"token": f"t{n}"} for n in range(count)]

    assert send(client, "POST /__admin/sandboxes", {"name": f"a{count}", "accounts": accounts}) == status


@pytest.mark.parametrize(("length", "status"), [(0, 422), (1, 200), (8192, 200), (8193, 422)])
def test_the_token_of_an_account_has_1_to_8192_characters(client: TestClient, length: int, status: int) -> None:
    body = {"name": f"token {length}", "accounts": [{"token": "t" * length}]}

    assert send(client, "POST /__admin/sandboxes", body) == status


def test_a_webhook_has_a_payload_of_at_most_256_kib_and_a_url_of_4096_characters(tmp_path: Path) -> None:
    document = make_document({"/a": {"get": make_operation("a")}}, webhooks={"told": {"post": {"responses": {}}}})
    with make_client(spec=(str(write_json(tmp_path / "a.json", document)),)) as client:
        for size, status in ((256 * 1024, 200), (256 * 1024 + 1, 413)):
            body = {"url": "http://127.0.0.1:9/", "payload": "p" * (size - 2)}
            assert send(client, "POST /__admin/webhooks/told", body) == status
        for size, status in ((4096, 200), (4097, 422)):
            assert (
                send(client, "POST /__admin/webhooks/told", {"url": "http://127.0.0.1:9/".ljust(size, "a")}) == status
            )


@pytest.mark.parametrize(("size", "status"), [(1024 * 1024, 422), (1024 * 1024 + 1, 413)])
def test_an_admin_body_has_at_most_a_mebibyte(client: TestClient, size: int, status: int) -> None:
    body = orjson.dumps({"scale": "x" * (size - len('{"scale":""}'))})
    assert len(body) == size

    answer = client.post("/__admin/clock/scale", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == status


def test_a_sandbox_holds_a_thousand_stubs(client: TestClient) -> None:
    headers = {"X-Mock-Sandbox": "many stubs"}
    stub = {"operation": "getUser", "status": 500}
    for _ in range(1000):
        assert send(client, STUB, stub, headers=headers) == 200

    assert send(client, STUB, stub, headers=headers) == 422
    assert len(client.get("/__admin/stubs", headers=headers).json()["stubs"]) == 1000


@pytest.mark.parametrize(("size", "status"), [(256 * 1024, 200), (256 * 1024 + 1, 422)])
def test_a_stub_has_at_most_256_kib(client: TestClient, size: int, status: int) -> None:
    stub = {**GET_USER, "reply": {"text": ""}}
    stub["reply"] = {"text": "x" * (size - len(orjson.dumps(stub)))}

    assert send(client, STUB, stub, headers={"X-Mock-Sandbox": f"large {size}"}) == status


@pytest.mark.parametrize(("levels", "status"), [(1, 202), (229, 202), (230, 422), (300, 422), (5000, 422)])
def test_a_body_has_at_most_230_levels(client: TestClient, levels: int, status: int) -> None:
    body = b'{"prompts": ["a"], "extra": ' + b"[" * levels + b"]" * levels + b"}"  # the object is a level, too

    response = client.post("/ai/batches", content=body, headers={"Content-Type": "application/json"})

    assert response.status_code == status


def test_an_inbox_keeps_the_latest_thousand_finished_callbacks() -> None:
    with make_client(callbacks="inbox") as own:
        for n in range(1002):
            own.post("/ai/batches", json={"prompts": [str(n)], "callback": "http://127.0.0.1:1/"})

        shown = own.get("/__admin/callbacks", params={"limit": 1000}).json()

    assert (len(shown["callbacks"]), shown["dropped"]) == (1000, 2)


@pytest.mark.parametrize(("size", "status"), [(4096, 500), (4097, 200)])
def test_a_prefer_header_of_more_than_4096_characters_is_ignored(client: TestClient, size: int, status: int) -> None:
    prefer = f"code=500, x={'y' * (size - len('code=500, x='))}"
    assert len(prefer) == size

    assert client.get("/user", headers={"Prefer": prefer}).status_code == status


def test_the_violations_header_has_at_most_4096_characters_and_the_journal_100_violations() -> None:
    engine = make_engine()
    response = engine.handle(make_request("POST", "/ai/batches", json={"prompts": [1] * 1000}))

    header = dict(response.headers)["X-Mock-Violations"]
    [exchange] = engine.sandboxes.open("test").journal.find(lambda _: True)

    assert 3900 < len(header) <= 4096
    assert violations_of(response)
    assert len(exchange.violations) == 100
