"""Builders for engines, requests, documents and fixtures."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import orjson

from mockserver.engine.build import build_engine
from mockserver.engine.engine import Engine
from mockserver.http import Request, Response
from mockserver.settings.table import Settings
from mockserver.stores.memory import MemoryRows

if TYPE_CHECKING:
    from starlette.testclient import TestClient

EPOCH = "2026-04-12T00:00:00"


def make_settings(**changes: Any) -> Settings:
    """Settings under which nothing moves unless a test moves it."""
    return Settings(**{"clock": f"frozen@{EPOCH}", "progression": "immediate", "port": 0, **changes})


def make_engine(**changes: Any) -> Engine:
    return build_engine(make_settings(**changes))


def make_request(
    method: str,
    path: str,
    *,
    query: dict[str, Any] | str = "",
    json: Any = None,
    body: bytes = b"",
    token: str | None = "test",
    headers: dict[str, str] | None = None,
) -> Request:
    """A request with a good token; `json` brings its content type along."""
    named = {"authorization": f"Bearer {token}"} if token is not None else {}
    if json is not None:
        named["content-type"] = "application/json"
        body = orjson.dumps(json)
    text = query if isinstance(query, str) else urlencode(query)
    return Request(method, path, text, named | (headers or {}), body)


def ask(engine: Engine, method: str, path: str, **given: Any) -> Response:
    return engine.handle(make_request(method, path, **given))


def queue(engine: Engine, *prompts: str, token: str = "test", **fields: Any) -> str:
    """The id of a batch with these prompts."""
    response = ask(engine, "POST", "/ai/batches", json={"prompts": list(prompts), **fields}, token=token)
    assert response.status == 202, response
    return str(value_of(response)["id"])


def value_of(response: Response) -> Any:
    return orjson.loads(bytes_of(response))


def bytes_of(response: Response) -> bytes:
    return response.body if isinstance(response.body, bytes) else b"".join(response.body)


def violations_of(response: Response) -> Any:
    """What X-Mock-Violations says; an empty list without the header."""
    return json.loads(dict(response.headers).get("X-Mock-Violations", "[]"))


def write_json(path: Path, value: Any) -> Path:
    """A document or fixture file; JSON is YAML, too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps(value))
    return path


def make_document(paths: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"openapi": "3.1.0", "info": {"title": "Other", "version": "1"}, "paths": paths, **more}


def make_operation(key: str, *, status: str = "200", **content: Any) -> dict[str, Any]:
    """An operation that answers JSON; `content` is what its media type says (`example`, `schema`)."""
    return {
        "operationId": key,
        "responses": {status: {"description": "Fine.", "content": {"application/json": content}}},
    }


@contextmanager
def make_client(**changes: Any) -> Iterator["TestClient"]:
    """The whole app without a socket, on one event loop: by itself TestClient starts one for each request."""
    from anyio.from_thread import start_blocking_portal
    from starlette.testclient import TestClient

    from mockserver.web.app import create_app

    client = TestClient(
        create_app(make_settings(**changes), engine=make_engine(**changes)),
        base_url="http://127.0.0.1:4024",
        headers={"Authorization": "Bearer test"},
    )
    with start_blocking_portal(**client.async_backend) as client.portal:
        yield client
        client.close()


def address(path: str) -> str:
    """An admin verb's path, filled in."""
    return "/__admin" + path.replace("{token}", "test").replace("{part}", "journal").replace("{name}", "happy-path")


def state_of(client: "TestClient") -> list[Any]:
    """All that the admin API can change."""
    paths = ("/clock", "/progression", "/conditions", "/accounts", "/requests", "/stubs")
    return [client.get(address(path)).json() for path in paths]


def make_rows(values: Mapping[str, Any] = {}) -> MemoryRows:
    """A collection with these values."""
    rows = MemoryRows()
    for key, value in values.items():
        rows.put(key, value)
    return rows
