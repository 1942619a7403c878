"""The transports of the admin client."""

import asyncio
import inspect
import threading
from typing import Any

import pytest

from mockserver.client.client import Client
from mockserver.client.transport import AsgiTransport, HttpTransport


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("mockserver-admin")]


async def echo(scope: Any, receive: Any, send: Any) -> None:
    message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": message["body"], "more_body": True})
    try:
        await asyncio.wait_for(receive(), 0.01)
    except TimeoutError:
        await send({"type": "http.response.body", "body": b", and no disconnect"})


def test_an_app_gets_the_body_once_and_no_disconnect() -> None:
    transport = AsgiTransport(echo)

    assert transport.ask("POST", "/", {}, b"body").body == b"body, and no disconnect"
    transport.close()


def test_closing_ends_the_thread_and_another_call_starts_one() -> None:
    transport = AsgiTransport(echo)
    transport.close()
    before = threads()

    transport.ask("GET", "/", {}, b"")
    assert len(threads()) == len(before) + 1
    transport.close()
    assert threads() == before
    assert transport.ask("GET", "/", {}, b"x").status == 200
    transport.close()


@pytest.mark.parametrize("kind", [Client, HttpTransport])
def test_a_call_times_out_after_30_seconds_by_default(kind: type) -> None:
    assert inspect.signature(kind).parameters["timeout"].default == 30
