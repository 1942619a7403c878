"""Open pages share looks at their sandbox, and renderings."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Any

import pytest
from starlette.responses import HTMLResponse, Response

from mockserver.web.inspector import live
from mockserver.web.inspector.live import Live

FACTS = {"requests": 1, "dropped": 0, "clock": {"frozen": True, "unix": 0.0, "scale": 1}}


class CountedCalls:
    """An admin API that counts how often a sandbox is looked at."""

    def __init__(self) -> None:
        self.looks = 0
        self.requests = 1

    async def get(self, path: str) -> dict[str, Any]:
        assert path == "/sandboxes/mine"
        self.looks += 1
        return {**FACTS, "requests": self.requests}


class CountedPage:
    """A page that counts how often it is rendered."""

    def __init__(self) -> None:
        self.renderings = 0
        self.may_end = asyncio.Event()

    async def render(self) -> Response:
        self.renderings += 1
        await self.may_end.wait()
        return HTMLResponse(str(self.renderings))


async def rounds(count: int) -> None:
    """Let other tasks run so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


def with_live(test: Callable[[Live, CountedCalls], Awaitable[None]]) -> None:
    async def run() -> None:
        calls = CountedCalls()
        await test(Live(calls), calls)  # type: ignore[arg-type]  # all that it uses

    with ThreadPoolExecutor(1) as thread:  # Playwright may hold the event loop of this one
        thread.submit(asyncio.run, run()).result()


def test_one_look_at_a_sandbox_tells_all_of_its_pages() -> None:
    async def test(live: Live, calls: CountedCalls) -> None:
        async with live.reading("mine") as watch, live.reading("mine") as other:
            await rounds(3)
            assert calls.looks == 1
            waiting = [asyncio.create_task(each.wait(0, 30)) for each in (watch, other) for _ in range(5)]
            await rounds(2)

            calls.requests += 1
            await watch.look(calls, "mine")  # type: ignore[arg-type]  # as above

            assert await asyncio.gather(*waiting) == [1] * 10
            assert calls.looks == 2

    with_live(test)


def test_a_sandbox_is_looked_at_while_a_page_of_it_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "INTERVAL", 0.0)
    monkeypatch.setattr(live, "LOOK_INTERVAL", 0.0)

    async def test(live: Live, calls: CountedCalls) -> None:
        async with live.reading("mine"):
            await rounds(20)
        seen = calls.looks
        await rounds(20)
        assert 5 < seen == calls.looks

    with_live(test)


def test_pages_that_are_told_of_a_change_at_once_have_one_rendering() -> None:
    async def test(live: Live, calls: CountedCalls) -> None:
        page = CountedPage()
        readers = [asyncio.create_task(live.page("/requests", "mine", 0, page.render)) for _ in range(10)]
        other = asyncio.create_task(live.page("/batches", "mine", 0, page.render))
        await rounds(3)
        page.may_end.set()
        bodies = [bytes((await each).body) for each in readers]

        assert page.renderings == 2
        assert len(set(bodies)) == 1
        assert bytes((await other).body) != bodies[0] or page.renderings == 2

    with_live(test)


def test_a_page_that_was_told_of_a_later_change_is_rendered_again() -> None:
    async def test(live: Live, calls: CountedCalls) -> None:
        page = CountedPage()
        page.may_end.set()
        async with live.reading("mine") as watch:
            await rounds(3)
            first = await live.page("/requests", "mine", watch.version, page.render)
            calls.requests += 1
            await watch.look(calls, "mine")  # type: ignore[arg-type]  # as above
            second = await live.page("/requests", "mine", watch.version, page.render)

        assert (first.body, second.body) == (b"1", b"2")

    with_live(test)


def test_a_page_that_takes_long_is_fetched_again_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([10.0, 10.0, 10.3, 20.0, 20.0, 20.001])
    monkeypatch.setattr(live, "perf_counter", lambda: next(times))

    async def test(live: Live, _: CountedCalls) -> None:
        page = CountedPage()
        page.may_end.set()
        slow = await live.page("/verdict", "mine", 0, page.render)
        quick = await live.page("/requests", "mine", 0, page.render)

        assert slow.headers["x-inspector-pause"] == "15.0"
        assert "x-inspector-pause" not in quick.headers

    with_live(test)


def test_each_of_many_open_pages_is_fetched_less_often() -> None:
    async def test(live: Live, _: CountedCalls) -> None:
        page = CountedPage()
        page.may_end.set()
        async with AsyncExitStack() as stack:
            for n in range(20):
                await stack.enter_async_context(live.reading("mine"))
                if n in {3, 19}:
                    shown = await live.page(f"/requests?{n}", "mine", 0, page.render)
                    assert shown.headers.get("x-inspector-pause") == {3: None, 19: "4.0"}[n]

    with_live(test)
