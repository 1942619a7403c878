"""The server as a Starlette application: mounted, in middleware, in Starlette's TestClient, several in one process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from builders import make_settings
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from mockserver.testing.unittest import asgi_app
from mockserver.web.app import MockServer, create_app

LOOPBACK = "http://127.0.0.1:4024"
AUTH = {"Authorization": "Bearer ada"}
LINE = b'{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"gpt-4o-mini","messages":[]}}\n'


class Stamp:
    """Plain ASGI middleware that adds a header to each response."""

    def __init__(self, app: ASGIApp, name: str = "x-stamp") -> None:
        self._app = app
        self._name = name.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def stamped(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (self._name, b"1")]}
            await send(message)

        await self._app(scope, receive, stamped)


class Relay(BaseHTTPMiddleware):
    """Starlette's own kind of middleware, which sends bodies on through a stream of its own."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        response.headers["x-relay"] = "1"
        return response


def make_app(**changes: Any) -> MockServer:
    return create_app(make_settings(progression="immediate", **changes))


def client_of(app: ASGIApp) -> TestClient:
    return TestClient(app, base_url=LOOPBACK, headers=AUTH)


def test_the_server_is_a_starlette_application() -> None:
    app = make_app()

    assert isinstance(app, Starlette)
    assert app.state.engine is app.engine
    with client_of(app) as client:
        assert client.get("/health").json() == {"status": "ok"}
        assert client.get("/ready").json() == {"status": "ready"}
        assert client.get("/user").status_code == 200
        assert client.get("/__admin/version").json()["name"] == "mockserver"
        assert client.get("/__admin/requests").json()["seen"] == 1, "neither health nor ready is journaled"


def test_a_mounted_server_makes_urls_with_its_prefix() -> None:
    parent = Starlette(routes=[Route("/own", lambda _: PlainTextResponse("mine")), Mount("/llm", make_app())])
    client = client_of(parent)

    assert client.get("/own").text == "mine"
    batch = client.post("/llm/ai/batches", json={"prompts": ["a"]}).json()
    url = client.get("/llm/ai/batches", params={"id": batch["id"]}).json()["url"]

    assert url.startswith(f"{LOOPBACK}/llm/ai/archives/")
    assert client.get(url).headers["content-type"] == "application/zip"
    assert client.get("/llm/health").json() == {"status": "ok"}
    assert client.get("/llm/__admin/version").status_code == 200
    assert client.get("/llm/__admin/sandboxes/none/here").status_code in {404, 405}
    assert f"{LOOPBACK}/llm/v1 " in client.get("/llm/").text
    assert client.get("/ai/batches").status_code == 404


def test_a_mount_in_a_mount_and_a_server_s_root_path_are_prefixes_too() -> None:
    app = make_app()
    nested = Starlette(routes=[Mount("/a", Starlette(routes=[Mount("/b", app)]))])

    assert client_of(nested).get("/a/b/user").status_code == 200
    assert TestClient(app, base_url=LOOPBACK, headers=AUTH, root_path="/x").get("/x/user").status_code == 200


@pytest.mark.parametrize("kind", [Stamp, Relay, GZipMiddleware])
def test_middleware_sees_every_request_and_changes_no_answer(kind: Any) -> None:
    plain, wrapped = make_app(), make_app()
    wrapped.add_middleware(kind)
    wrapped.add_middleware(Stamp, name="x-outer")

    for path in ("/health", "/user", "/__admin/version", "/ai/devices", "/nothing", "/v1/models", "/"):
        expected, seen = client_of(plain).get(path), client_of(wrapped).get(path)
        assert (seen.status_code, seen.content) == (expected.status_code, expected.content), path
        assert seen.headers["x-outer"] == "1"


@pytest.mark.parametrize("kind", [Stamp, Relay])
def test_uploads_and_downloads_stream_through_middleware(kind: Any) -> None:
    app = make_app()
    app.add_middleware(kind)
    client, content = client_of(app), LINE * 30_000

    made = client.post("/v1/files", files={"file": ("a.jsonl", content)}, data={"purpose": "batch"}).json()

    assert made["bytes"] == len(content)
    assert client.get(f"/v1/files/{made['id']}/content").content == content
    asked = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    assert client.post("/v1/chat/completions", json=asked).text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize("kind", [Stamp, Relay])
def test_faults_reach_the_client_through_middleware(kind: Any) -> None:
    app = make_app()
    app.add_middleware(kind)
    client = client_of(app)

    client.put("/__admin/faults", json={"faults": [{"fault": {"type": "status", "status": 503}}]})
    assert client.get("/user").status_code == 503
    client.put("/__admin/faults", json={"faults": [{"fault": {"type": "reset"}}]})
    with pytest.raises(ConnectionResetError):
        client.get("/user")
    assert client.get("/health").status_code == 200


def test_routes_and_exception_handlers_of_others_come_first() -> None:
    app = make_app()
    app.add_route("/hello", lambda _: PlainTextResponse("hello"))
    client = client_of(app)

    assert client.get("/hello").text == "hello"
    assert client.get("/user").status_code == 200
    assert client.get("/user/").status_code == 404


def test_an_exception_in_middleware_is_starlette_s_500() -> None:
    class Broken:
        def __init__(self, app: ASGIApp) -> None:
            del app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                raise RuntimeError("broken on purpose")

    app = make_app()
    app.add_middleware(Broken)

    answer = TestClient(app, base_url=LOOPBACK, raise_server_exceptions=False).get("/user")

    assert (answer.status_code, answer.text) == (500, "Internal Server Error")


def test_requests_stay_off_the_middleware_stack_where_none_was_added() -> None:
    app = make_app()

    assert client_of(app).get("/user").status_code == 200

    assert app.middleware_stack is None, "no stack was built, so middleware can still be added"
    app.add_middleware(Stamp)
    assert client_of(app).get("/user").headers["x-stamp"] == "1"


def test_several_applications_share_nothing() -> None:
    one, other = make_app(seed="one"), make_app(seed="other")
    with client_of(one) as first, client_of(other) as second:
        made = [each.post("/ai/batches", json={"prompts": ["a"]}).json()["id"] for each in (first, second)]

        assert made[0] != made[1]
        assert first.get("/ai/batches", params={"id": made[1]}).status_code == 422


def test_a_parent_s_lifespan_can_run_that_of_a_mounted_server() -> None:
    app = make_app()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with app.running():
            yield

    with client_of(Starlette(routes=[Mount("/llm", app)], lifespan=lifespan)) as client:
        assert client.get("/llm/user").status_code == 200


def test_a_lifespan_begins_again_after_its_end() -> None:
    app = make_app()
    asked = {"prompts": ["a"], "callback": "http://127.0.0.1:9/"}
    for _ in range(2):
        with client_of(app) as client:
            assert client.post("/ai/batches", json=asked).status_code == 202


def test_the_app_of_asgi_app_is_the_starlette_application() -> None:
    lent = asgi_app()

    assert isinstance(lent.app, MockServer)
    assert client_of(lent).get("/user").status_code == 200


def test_a_websocket_is_closed() -> None:
    with pytest.raises(Exception) as caught, client_of(make_app()).websocket_connect("/user"):
        pass

    assert type(caught.value).__name__ == "WebSocketDisconnect"
