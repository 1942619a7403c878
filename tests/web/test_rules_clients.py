"""Real clients meet stubs, faults and preferences: the OpenAI SDK with its own retries, httpx, and http.client."""

import http.client
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from builders import make_settings

from mockserver.server.process import ThreadedServer

CHAT = "createChatCompletion"
TOO_MANY = {"operation": CHAT, "reply": {"status": 429, "headers": {"Retry-After": "0", "retry-after-ms": "1"}}}


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadedServer]:
    with ThreadedServer(make_settings()) as it:
        yield it


@pytest.fixture
def web(server: ThreadedServer, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """A client whose token, and so whose sandbox, is that of the test."""
    headers = {"Authorization": f"Bearer {request.node.name}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=10) as it:
        yield it


def install(web: httpx.Client, **definition: Any) -> None:
    answer = web.post("/__admin/next", json=definition)
    assert answer.status_code == 200, answer.text


def chat(web: httpx.Client, *, retries: int, **more: Any) -> Any:
    key = web.headers["Authorization"].removeprefix("Bearer ")
    with openai.OpenAI(base_url=str(web.base_url.join("/v1")), api_key=key, max_retries=retries, timeout=10) as sdk:
        return sdk.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "Hello"}], **more)


def statuses(web: httpx.Client) -> list[int]:
    return [each["response"]["status"] for each in web.get("/__admin/requests").json()["requests"]]


def test_the_sdk_tries_again_until_it_succeeds(web: httpx.Client) -> None:
    install(web, **TOO_MANY, times=2)

    assert chat(web, retries=2).choices[0].message.content
    assert statuses(web) == [429, 429, 200]


def test_the_sdk_gives_up_after_its_own_retries(web: httpx.Client) -> None:
    install(web, **TOO_MANY, times=2)

    with pytest.raises(openai.RateLimitError) as raised:
        chat(web, retries=1)

    assert raised.value.response.headers["x-mock-source"] == "stub"
    assert isinstance(raised.value.body, dict)
    assert raised.value.body["type"] == "rate_limit_error"
    assert chat(web, retries=0).choices


def test_a_stub_can_match_one_model_only(web: httpx.Client) -> None:
    install(web, operation=CHAT, status=404, body={"model": "gone"}, undocumented=True)

    assert chat(web, retries=0).choices
    with pytest.raises(openai.NotFoundError):
        chat(web, retries=0, extra_body={"model": "gone"})


def test_a_connection_that_is_reset_is_tried_again_and_what_happened_did_happen(web: httpx.Client) -> None:
    install(web, operation="queueBatch", fault={"type": "reset"})

    with pytest.raises(httpx.ReadError):
        web.post("/ai/batches", json={"prompts": ["a"]})

    assert web.post("/ai/batches", json={"prompts": ["a"]}).status_code == 202
    assert statuses(web) == [202, 202]


def test_an_outage_ends_by_itself(web: httpx.Client) -> None:
    outage = {"fault": {"type": "status", "status": 503, "retry_after": 1}, "for": 10, "path": "/v1/*"}
    web.put("/__admin/faults", json={"faults": [outage]})

    down = web.get("/v1/models")
    web.post("/__admin/clock/advance", json={"seconds": 10})

    assert (down.status_code, down.headers["retry-after"], down.headers["x-mock-source"]) == (503, "1", "fault")
    assert web.get("/v1/models").status_code == 200


def test_the_sdk_prefers_by_a_header_or_by_the_query(web: httpx.Client) -> None:
    with pytest.raises(openai.RateLimitError):
        chat(web, retries=0, extra_headers={"Prefer": "code=429"})
    with pytest.raises(openai.AuthenticationError) as raised:
        chat(web, retries=0, extra_query={"__code": "401"})

    assert raised.value.response.headers["preference-applied"] == "code=401"


def test_a_plain_client_prefers_without_a_token(server: ThreadedServer) -> None:
    host = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    host.request("GET", "/user", headers={"Prefer": "code=200, dynamic=true, seed=7"})
    response = host.getresponse()

    assert response.status == 200
    assert response.headers["Preference-Applied"] == "code=200, dynamic=true, seed=7"
    assert response.headers["X-Mock-Source"] == "generated"
    assert b"email" in response.read()
    host.close()
