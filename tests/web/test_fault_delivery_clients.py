"""What real clients make of faults: httpx, the OpenAI SDK with its own retries, curl; and clients without a socket."""

import asyncio
import shutil
import subprocess
from typing import Any

import httpx
import openai
import pytest
from builders import make_settings
from faulty import FaultyEngine, faulty_server

from mockserver.server.process import ThreadedServer
from mockserver.web.fault_delivery import DeliveryFaultError
from mockserver.web.gateway import Gateway

HEADERS = {"Authorization": "Bearer test"}
FOREVER = {"type": "timeout"}
GARBAGE = {"type": "garbage", "instead_of": "reply"}
Fault = dict[str, Any]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"type": "empty"}, httpx.RemoteProtocolError),
        ({"type": "reset"}, httpx.ReadError),
        ({"type": "cut", "share": 0.5}, httpx.RemoteProtocolError),
        ({"type": "malformed_chunk"}, httpx.RemoteProtocolError),
        (GARBAGE, httpx.RemoteProtocolError),
        (FOREVER, httpx.ReadTimeout),
        ({"type": "latency", "seconds": 60}, httpx.ReadTimeout),
        ({"type": "trickle", "seconds": 60}, httpx.ReadTimeout),
    ],
    ids=str,
)
def test_httpx_gets_a_fault_once(fault: Fault, error: type[Exception]) -> None:
    with faulty_server(fault) as (server, _), httpx.Client(base_url=server.url, headers=HEADERS, timeout=10) as client:
        patience = 0.1 if error is httpx.ReadTimeout else 10
        with pytest.raises(error):
            client.get("/user", timeout=patience)

        assert client.get("/user").json()[0]["email"]


def test_httpx_reads_a_trickled_response() -> None:
    with faulty_server({"type": "trickle", "seconds": 0.02}) as (server, _):
        assert httpx.get(f"{server.url}/user", headers=HEADERS).json()[0]["email"]


def test_broken_json_has_its_status_and_is_no_json() -> None:
    with faulty_server({"type": "broken_json"}) as (server, _):
        response = httpx.get(f"{server.url}/user", headers=HEADERS)

    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        response.json()


def ask(server: ThreadedServer, *, retries: int = 0, timeout: float = 20, **more: Any) -> Any:
    """What the OpenAI SDK gets from a chat."""
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="test", max_retries=retries, timeout=timeout) as client:
        return client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "Hello"}], **more
        )


@pytest.mark.parametrize(
    "fault",
    [{"type": "empty"}, {"type": "reset"}, {"type": "malformed_chunk"}, {"type": "cut", "after": 9}, GARBAGE],
    ids=str,
)
def test_the_sdk_reports_a_broken_connection(fault: Fault) -> None:
    with faulty_server(fault) as (server, _), pytest.raises(openai.APIConnectionError) as met:
        ask(server)

    assert not isinstance(met.value, openai.APITimeoutError)


@pytest.mark.parametrize("fault", [FOREVER, {"type": "latency", "seconds": 60}], ids=str)
def test_the_sdk_reports_a_timeout(fault: Fault) -> None:
    with faulty_server(fault) as (server, _), pytest.raises(openai.APITimeoutError):
        ask(server, timeout=0.1)


@pytest.mark.parametrize(
    ("status", "error"),
    [(429, openai.RateLimitError), (500, openai.InternalServerError), (503, openai.InternalServerError)],
)
def test_the_sdk_reports_a_status(status: int, error: type[openai.APIStatusError]) -> None:
    fault = {"type": "status", "status": status, "retry_after": 7}
    with faulty_server(fault) as (server, _), pytest.raises(error) as met:
        ask(server)

    assert met.value.status_code == status
    assert met.value.response.headers["retry-after"] == "7"


@pytest.fixture
def _without_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK sleeps between its tries; how long is its own affair."""
    monkeypatch.setattr("openai._base_client.time.sleep", lambda seconds: None)


@pytest.mark.usefixtures("_without_backoff")
@pytest.mark.parametrize(
    "fault",
    [{"type": "empty"}, {"type": "reset"}, {"type": "status", "status": 503}, {"type": "status", "status": 429}],
    ids=str,
)
def test_the_sdk_tries_again_and_succeeds(fault: Fault) -> None:
    with faulty_server(fault, fault) as (server, engine):
        answer = ask(server, retries=2)

    assert answer.choices[0].message.content
    assert engine.seen == ["/v1/chat/completions"] * 3


@pytest.mark.usefixtures("_without_backoff")
def test_the_sdk_tries_again_after_a_timeout_and_succeeds() -> None:
    with faulty_server(FOREVER) as (server, engine):
        assert ask(server, retries=1, timeout=1).choices[0].message.content

    assert len(engine.seen) == 2


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"type": "cut", "share": 0.5}, httpx.RemoteProtocolError),
        ({"type": "cut", "after": 700}, httpx.RemoteProtocolError),
        ({"type": "malformed_chunk"}, httpx.RemoteProtocolError),
    ],
    ids=str,
)
def test_a_stream_of_the_sdk_breaks_after_its_beginning(fault: Fault, error: type[Exception]) -> None:
    events: list[Any] = []
    with faulty_server(fault) as (server, _), pytest.raises((error, openai.APIConnectionError)):
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="test", max_retries=0)
        with (
            client,
            client.chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "user", "content": "Hello"}], stream=True
            ) as stream,
        ):
            events.extend(stream)

    assert events


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")


@needs_curl
@pytest.mark.parametrize(
    ("fault", "codes"),
    [
        ({"type": "empty"}, {52}),
        ({"type": "reset"}, {56}),
        ({"type": "cut", "share": 0.5}, {18}),
        ({"type": "malformed_chunk"}, {56}),
        (FOREVER, {28}),
        ({"type": "latency", "seconds": 60}, {28}),
        ({"type": "trickle", "seconds": 60}, {28}),
        (GARBAGE, {1}),
        ({"type": "status", "status": 503}, {22}),
        ({"type": "garbage"}, {0}),
        ({"type": "broken_json"}, {0}),
    ],
    ids=str,
)
def test_curl_says_what_is_wrong_by_its_exit_code(fault: Fault, codes: set[int]) -> None:
    patience = "0.3" if codes == {28} else "20"
    with faulty_server(fault) as (server, _):
        command = ["curl", "-sfo", "-", "--noproxy", "*", "--max-time", patience, f"{server.url}/user"]
        done = subprocess.run([*command, "-H", "Authorization: Bearer test"], capture_output=True, check=False)

    assert done.returncode in codes, done.stderr


def in_process(fault: Fault) -> httpx.Response:
    """The reply of the app without a socket, as httpx's own ASGI transport brings it."""
    gateway: Any = Gateway(FaultyEngine(fault), make_settings())  # type: ignore[arg-type]  # it answers as an engine does

    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(app=gateway)
        async with httpx.AsyncClient(transport=transport, base_url="http://mock.example", headers=HEADERS) as client:
            return await client.get("/user")

    return asyncio.run(get())


@pytest.mark.parametrize(
    "fault",
    [
        {"type": "empty"},
        {"type": "reset"},
        {"type": "cut", "after": 3},
        {"type": "malformed_chunk"},
        {"type": "timeout", "seconds": 0.01},
        GARBAGE,
    ],
    ids=str,
)
def test_without_a_socket_a_broken_connection_is_an_error(fault: Fault) -> None:
    with pytest.raises(DeliveryFaultError):
        in_process(fault)


@pytest.mark.parametrize("fault", [{"type": "latency", "seconds": 0.01}, {"type": "trickle", "seconds": 0.01}], ids=str)
def test_without_a_socket_a_delayed_response_is_complete(fault: Fault) -> None:
    assert in_process(fault).json()[0]["email"]
