"""Requests whose sandbox another process has changed meanwhile: answered after another attempt, but not on the loop."""

import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from builders import make_settings

from mockserver.errors import Conflict
from mockserver.server.process import ThreadedServer

TOKEN = {"Authorization": "Bearer test"}


def conflicting(answer: Callable[..., Any], threads: list[str], conflicts: int) -> Callable[..., Any]:
    """The function, which raises Conflict so many times before; `threads` get the names of those that called it."""

    def called(*given: Any) -> Any:
        threads.append(threading.current_thread().name)
        if len(threads) <= conflicts:
            raise Conflict
        return answer(*given)

    return called


@pytest.mark.parametrize("conflicts", [1, 2, 5])
@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_a_request_is_answered_after_conflicts_and_only_threads_wait_for_them(
    conflicts: int, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []
    with ThreadedServer(make_settings()) as server:
        monkeypatch.setattr(server.engine, "handle", conflicting(server.engine.handle, threads, conflicts))
        answered = httpx.request(method, f"{server.url}/user", headers=TOKEN)

    assert answered.status_code == (200 if method == "GET" else 405)
    assert len(threads) == conflicts + 1
    assert "mockserver" not in threads[2:]  # the thread of the event loop: once directly, once in a conversation


def test_an_admin_call_is_answered_after_conflicts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []
    with ThreadedServer(make_settings()) as server:
        httpx.get(f"{server.url}/__admin/clock", headers=TOKEN)  # the first call is built in a thread
        monkeypatch.setattr(server.engine, "settle", conflicting(server.engine.settle, threads, 3))
        answered = httpx.get(f"{server.url}/__admin/clock", headers=TOKEN)

    assert answered.status_code == 200
    assert len(threads) == 4
    assert "mockserver" not in threads[1:]
