"""What is refused, answered or deleted is freed when its last use ends: no reference cycle waits for the collector."""

import asyncio
import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from builders import ask, make_engine, make_request, make_settings
from waiting import eventually

from mockserver.engine.engine import Engine
from mockserver.errors import Reason, Refusal
from mockserver.sandbox.sandbox import Sandbox
from mockserver.web.app import create_app

Call = tuple[str, str, bytes, str]
"""Method, path, body and media type."""
JSON, FORM = "application/json", "multipart/form-data; boundary=X"
LARGE = b'{"prompts":["' + b"a" * 2_000_000 + b'"]}'
CHAT = b'{"model":"%s","messages":[{"role":"user","content":"%s"}]%s}'
PURPOSE = b'--X\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n%s\r\n'
FILE = b'--X\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n' + b"{}\n" * 500_000 + b"\r\n"

CALLS: dict[str, Call] = {
    "a batch": ("POST", "/ai/batches", b'{"prompts":["a"]}', JSON),
    "a large batch": ("POST", "/ai/batches", LARGE, JSON),
    "a wrong type": ("POST", "/ai/batches", b'{"prompts":[1]}', JSON),
    "no JSON": ("POST", "/ai/batches", LARGE[:-4], JSON),
    "too many values": ("POST", "/ai/batches", b"[" + b"[]," * 700_000, JSON),
    "too large": ("POST", "/ai/batches", b"a" * (33 * 1024 * 1024), JSON),
    "another media type": ("POST", "/ai/batches", b"{}", "text/plain"),
    "an unknown path": ("POST", "/ai/nothing", b"{}", JSON),
    "an unknown method": ("PUT", "/ai/batches", b"{}", JSON),
    "an unknown path of AgileCloud": ("POST", "/v1/nothing", b"{}", JSON),
    "a chat": ("POST", "/v1/chat/completions", CHAT % (b"gpt-4o-mini", b"a", b""), JSON),
    "a streamed chat": ("POST", "/v1/chat/completions", CHAT % (b"gpt-4o-mini", b"a", b',"stream":true'), JSON),
    "an unknown model": ("POST", "/v1/chat/completions", CHAT % (b"nope", b"a" * 2_000_000, b""), JSON),
    "messages of many types": ("POST", "/v1/chat/completions", b'{"model":"a","messages":[{"role":1}]}', JSON),
    "an upload": ("POST", "/v1/files", PURPOSE % b"batch" + FILE + b"--X--\r\n", FORM),
    "an upload for nothing": ("POST", "/v1/files", PURPOSE % b"nope" + FILE + b"--X--\r\n", FORM),
    "an upload cut off": ("POST", "/v1/files", PURPOSE % b"batch" + FILE, FORM),
    "a stub": ("POST", "/__admin/next", b'{"reply":{"status":401}}', JSON),
    "a stub of no kind": ("POST", "/__admin/next", b'{"reply":1}', JSON),
    "an admin body that is no JSON": ("POST", "/__admin/next", b"{", JSON),
    "an unknown sandbox": ("DELETE", "/__admin/sandboxes/nope", b"", ""),
    "an unknown admin path": ("GET", "/__admin/nope", b"", ""),
    "an import of nothing": ("POST", "/__admin/import", b'{"a":1}', JSON),
    "an export": ("GET", "/__admin/export?journal=true", b"", ""),
    "a reset": ("POST", "/__admin/reset", b"", ""),
}


@pytest.fixture
def uncollected() -> Iterator[Callable[[], list[str]]]:
    """Gives the types of what only the collector could free since it was asked before; it does not run meanwhile."""

    def find() -> list[str]:
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        gc.set_debug(0)
        found = [type(each).__name__ for each in gc.garbage]
        gc.garbage.clear()
        gc.collect()
        return found

    gc.disable()
    gc.freeze()  # what exists is not looked at, which takes long after thousands of tests
    yield find
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_request_leaves_no_reference_cycles(call: Call, uncollected: Callable[[], list[str]]) -> None:
    app = create_app(make_settings(), engine=make_engine())

    async def twice() -> list[str]:
        await send(app, *call)  # what is imported and kept on first use
        uncollected()
        await send(app, *call)
        return uncollected()

    left = asyncio.run(twice())

    assert left == []


async def send(app: Any, method: str, path: str, body: bytes, media_type: str) -> int:
    """The status of a request's answer."""
    sent: list[dict[str, Any]] = []
    messages = [{"type": "http.request", "body": body, "more_body": False}]
    gone = asyncio.Event()
    name, _, query = path.partition("?")
    headers = {"authorization": "Bearer test", "host": "127.0.0.1:4024", "content-type": media_type}
    if body:
        headers["content-length"] = str(len(body))
    scope = {
        "type": "http",
        "method": method,
        "path": name,
        "query_string": query.encode(),
        "headers": [(key.encode(), value.encode()) for key, value in headers.items()],
        "scheme": "http",
        "server": ("127.0.0.1", 4024),
    }

    async def receive() -> dict[str, Any]:
        if not messages:
            await gone.wait()
        return messages.pop()

    async def keep(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, keep)
    return int(sent[0]["status"])


class Headers(dict[str, str]):
    """Headers that a weak reference can point at."""


@pytest.mark.memory_store
@pytest.mark.parametrize(
    "body", [b'{"prompts":["a"]}', b'{"prompts":[1]}', b"{", b'{"prompts":["a"],"city":"Nowhere"}']
)
def test_a_request_is_freed_when_it_leaves_the_journal(body: bytes, uncollected: Callable[[], list[str]]) -> None:
    engine = make_engine(journal_size=1)
    headers = Headers({"authorization": "Bearer test", "content-type": JSON})
    known = weakref.ref(headers)
    engine.handle(make_request("POST", "/ai/batches", body=body)._replace(headers=headers))

    del headers
    assert known() is not None
    ask(engine, "GET", "/ai/devices")

    assert known() is None


def test_a_refusal_references_no_frame_and_no_other_exception() -> None:
    def refuse(body: bytes) -> None:
        try:
            raise ValueError(body)
        except ValueError as error:
            raise Refusal(Reason.INVALID, "no") from error

    with pytest.raises(Refusal) as raised:
        refuse(b"body")
    cause = raised.value.__cause__

    bare = raised.value.without_frames()

    assert (bare.__traceback__, bare.__cause__, bare.__context__) == (None, None, None)
    assert cause is not None
    assert cause.__traceback__ is None


def delete(engine: Engine) -> None:
    engine.sandboxes.delete("test")


def evict(engine: Engine) -> None:
    engine.sandboxes.open("other")
    engine.sandboxes.open("another")


FORGETTING: dict[str, Callable[[Engine], None]] = {"deleted": delete, "evicted": evict}


@pytest.mark.parametrize("forget", FORGETTING.values(), ids=FORGETTING.keys())
@pytest.mark.parametrize("path", ["/ai/batches", "/ai/nothing", "/v1/batches"])
def test_an_evicted_sandbox_is_freed(
    forget: Callable[[Engine], None], path: str, uncollected: Callable[[], list[str]]
) -> None:
    engine = make_engine(max_sandboxes=2)
    ask(engine, "POST", path, json={"prompts": ["a"]})
    sandbox: weakref.ref[Sandbox] = weakref.ref(engine.sandboxes.open("test"))

    forget(engine)

    assert sandbox() is None


def test_a_sandbox_whose_callback_is_due_tomorrow_is_freed_when_it_is_deleted(
    uncollected: Callable[[], list[str]],
) -> None:
    engine = make_engine(progression="time:80000", clock="flowing")
    app = create_app(make_settings(), engine=engine)
    body = b'{"prompts":["a"],"callback":"http://127.0.0.1:9/"}'

    async def queue_and_delete() -> "weakref.ref[Sandbox]":
        assert await send(app, "POST", "/ai/batches", body, JSON) == 202
        sandbox = weakref.ref(engine.sandboxes.open("test"))
        engine.sandboxes.delete("test")
        assert sandbox() is None
        return sandbox

    asyncio.run(queue_and_delete())


def test_a_reset_frees_memory(uncollected: Callable[[], list[str]]) -> None:
    engine = make_engine()
    headers = Headers({"authorization": "Bearer test", "content-type": JSON})
    known = weakref.ref(headers)
    engine.handle(make_request("POST", "/ai/batches", body=b'{"prompts":["a"]}')._replace(headers=headers))
    del headers

    engine.sandboxes.open("test").reset()

    assert known() is None


def test_a_server_within_a_test_is_freed_when_the_test_ends(uncollected: Callable[[], list[str]]) -> None:
    def use() -> "tuple[weakref.ref[Any], ...]":
        engine = make_engine()
        app = create_app(make_settings(), engine=engine)
        for call in (CALLS["a wrong type"], CALLS["an unknown admin path"], CALLS["a stub"]):
            asyncio.run(send(app, *call))
        return weakref.ref(engine), weakref.ref(app), weakref.ref(engine.sandboxes)

    left = use()

    assert eventually(lambda: [each() for each in left] == [None, None, None])  # threads may still hand over results
