"""Pages in a browser: which of them may call the imitated APIs, and what they may read."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from builders import make_engine, make_settings
from wire import Wire

from mockserver.errors import SettingsError
from mockserver.server.process import ThreadedServer
from mockserver.settings.parse import read_cors
from mockserver.web.app import create_app
from mockserver.web.gateway import Gateway

PAGE = "http://localhost:5173"
CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}
SDK_HEADERS = "authorization,content-type,openai-organization,x-stainless-lang,x-stainless-retry-count"


def gateway_of(cors: str = "local", **settings: Any) -> Gateway:
    return Gateway(make_engine(cors=cors, **settings), make_settings(cors=cors, **settings))


def ask(gateway: Gateway, method: str = "GET", path: str = "/v1/models", body: Any = None, **headers: str) -> Wire:
    message = {"type": "http.request", "body": json.dumps(body).encode() if body is not None else b""}
    return Wire(message, method=method, path=path, **headers).through(gateway)


def preflight(gateway: Gateway, origin: str, path: str = "/v1/files", **headers: str) -> Wire:
    asked = {"access_control_request_method": "POST", "access_control_request_headers": SDK_HEADERS, **headers}
    return Wire(method="OPTIONS", path=path, origin=origin, **asked).through(gateway)


def admitted(wire: Wire) -> str | None:
    value = wire.headers.get(b"access-control-allow-origin")
    return value.decode() if value is not None else None


LOCAL = [
    "http://localhost",
    PAGE,
    "https://localhost:8443",
    "http://app.localhost:3000",
    "http://127.0.0.1:8000",
    "http://127.9.9.9",
    "http://[::1]:5173",
]
STRANGE = [
    "https://evil.example",
    "null",
    "",
    "http://localhost.evil.example",
    "http://127.0.0.1.evil.example",
    "http://evil.example#@localhost",
    "http://localhost@evil.example",
    "http://user@localhost",
    "http://localhost/path",
    "http://evil.example/localhost",
    "http://192.168.0.1",
    "http://0.0.0.0",
    "http://notlocalhost",
    "file://localhost",
    "chrome-extension://localhost",
    "http://[::1",
    "localhost:3000",
    "http://localhost:3000, http://evil.example",
]


@pytest.mark.parametrize("origin", LOCAL)
def test_a_page_served_from_this_machine_may_call_by_default(origin: str) -> None:
    gateway = gateway_of()

    assert admitted(ask(gateway, origin=origin)) == origin
    wire = preflight(gateway, origin)
    assert (wire.status, admitted(wire)) == (204, origin)
    assert wire.headers[b"access-control-allow-headers"].decode() == SDK_HEADERS
    assert b"POST" in wire.headers[b"access-control-allow-methods"]


@pytest.mark.parametrize("origin", STRANGE)
def test_a_page_from_elsewhere_may_not(origin: str) -> None:
    gateway = gateway_of()

    for wire in (ask(gateway, origin=origin), preflight(gateway, origin)):
        assert not [name for name in wire.headers if name.startswith(b"access-control")]
        assert wire.headers[b"vary"] == b"Origin"
    assert ask(gateway, origin=origin).status == 200


@pytest.mark.parametrize(
    ("cors", "origin", "may"),
    [
        ("any", "https://evil.example", True),
        ("any", "null", True),
        ("off", PAGE, False),
        ("https://app.example", "https://app.example", True),
        ("https://app.example", "http://app.example", False),
        ("https://app.example", "https://app.example:444", False),
        ("https://app.example", PAGE, False),
        ("https://APP.example:443/, http://b.example:80", "https://app.example", True),
        ("https://app.example:443, http://b.example:80", "http://b.example", True),
        ("local,https://app.example", PAGE, True),
        ("local,https://app.example", "https://app.example", True),
        ("local,https://app.example", "https://b.example", False),
        ("null", "null", True),
        ("capacitor://localhost", "capacitor://localhost", True),
    ],
)
def test_the_setting_says_which_pages_may_call(cors: str, origin: str, may: bool) -> None:
    gateway = gateway_of(cors)

    assert admitted(ask(gateway, origin=origin)) == (origin if may else None)
    assert admitted(preflight(gateway, origin)) == (origin if may else None)


@pytest.mark.parametrize(
    "text", ["", "locl", "app.example", "https://", "https://a/b", "https://a,", "http://a:99999", "*"]
)
def test_an_invalid_origin_is_rejected_at_start(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^cors is .*; wanted 'local', 'any', 'off', or origins such as"):
        read_cors(text)


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("POST", "/v1/chat/completions", CHAT, {}, 200),
        ("POST", "/v1/chat/completions", {**CHAT, "stream": True}, {}, 200),
        ("POST", "/v1/chat/completions", {}, {}, 400),
        ("POST", "/v1/chat/completions", CHAT, {"authorization": "Bearer mock-revoked"}, 401),
        ("POST", "/v1/chat/completions", CHAT, {"authorization": "Bearer mock-status-429"}, 429),
        ("POST", "/v1/chat/completions", CHAT, {"content_length": "999999999"}, 413),
        ("POST", "/v1/chat/completions", CHAT, {"content_encoding": "br"}, 400),
        ("GET", "/v1/nowhere", None, {}, 404),
        ("DELETE", "/v1/models", None, {}, 405),
        ("GET", "/user", None, {}, 200),
        ("POST", "/ai/batches", {}, {}, 422),
    ],
)
def test_errors_streams_and_both_apis_admit_the_page_as_well(
    method: str, path: str, body: Any, headers: dict[str, str], status: int
) -> None:
    wire = ask(gateway_of(), method, path, body, origin=PAGE, **headers)

    assert (wire.status, admitted(wire), wire.headers[b"vary"]) == (status, PAGE, b"Origin")


def test_a_page_may_read_the_headers_that_there_are() -> None:
    shown = ask(gateway_of(), origin=PAGE).headers[b"access-control-expose-headers"].decode().split(", ")
    hidden = ask(gateway_of(debug_headers=False), origin=PAGE).headers[b"access-control-expose-headers"].decode()

    assert {"X-Request-ID", "X-Mock-Source"} <= set(shown)
    assert "X-Request-ID" in hidden
    assert "X-Mock" not in hidden


def test_requests_without_an_origin_get_no_cors_headers() -> None:
    wire = ask(gateway_of())

    assert not [name for name in wire.headers if name.startswith(b"access-control") or name == b"vary"]


def test_a_preflight_is_no_request_of_the_journal() -> None:
    gateway = gateway_of()

    preflight(gateway, PAGE, path="/v1/nowhere")

    assert gateway._engine.sandboxes.open("test").journal.seen == 0


def test_a_preflight_does_not_repeat_invalid_header_names() -> None:
    for asked in ("x" * 5000, "a\xe9", "a: b"):
        wire = preflight(gateway_of(), PAGE, access_control_request_headers=asked)
        assert (wire.status, admitted(wire)) == (204, PAGE)
        assert b"access-control-allow-headers" not in wire.headers


def test_options_without_a_preflight_lists_the_methods() -> None:
    wire = ask(gateway_of(), "OPTIONS", "/v1/files", origin=PAGE)

    assert (wire.status, admitted(wire)) == (204, PAGE)
    assert b"POST" in wire.headers[b"allow"]


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"type": "latency", "min": 0.01, "max": 0.02}, 200),
        ({"type": "trickle", "seconds": 0.01}, 200),
        ({"type": "status", "status": 503}, 503),
    ],
)
def test_a_fault_that_answers_admits_the_page(fault: dict[str, Any], status: int) -> None:
    with ThreadedServer(make_settings()) as server, httpx.Client(base_url=server.url, trust_env=False) as client:
        client.headers["Authorization"] = "Bearer a"
        made = client.put("/__admin/faults", json={"faults": [{"operation": "listModels", "fault": fault}]})
        answer = client.get("/v1/models", headers={"Origin": PAGE})

    assert made.is_success, made.text
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, PAGE)


def test_a_downloaded_file_may_be_read_by_the_page() -> None:
    with ThreadedServer(make_settings()) as server, httpx.Client(base_url=server.url, trust_env=False) as client:
        client.headers.update({"Authorization": "Bearer a", "Origin": PAGE})
        made = client.post("/v1/files", files={"file": ("a.txt", b"tides")}, data={"purpose": "user_data"})
        answer = client.get(f"/v1/files/{made.json()['id']}/content")

    assert made.headers["access-control-allow-origin"] == PAGE
    assert (answer.content, answer.headers["access-control-allow-origin"]) == (b"tides", PAGE)
    assert "Content-Disposition" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize("cors", ["local", "any"])
def test_the_admin_api_and_health_admit_no_page(cors: str) -> None:
    settings = make_settings(cors=cors)
    app = create_app(settings, engine=make_engine(cors=cors))

    async def both() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            given = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
            paths = ("/__admin/sandboxes", "/__admin", "/health")
            return [await client.request(each, path, headers=given) for path in paths for each in ("OPTIONS", "GET")]

    for answer in asyncio.run(both()):
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(("length", "is_repeated"), [(4096, True), (4097, False)])
def test_a_preflight_may_ask_for_4096_characters_of_headers(length: int, is_repeated: bool) -> None:
    answer = preflight(gateway_of(), PAGE, access_control_request_headers="x" * length)

    assert (b"access-control-allow-headers" in answer.headers) is is_repeated
    assert answer.headers[b"access-control-max-age"] == b"600"
