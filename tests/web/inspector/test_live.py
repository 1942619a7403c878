"""How open pages are kept up to date: when a rendering serves others, how long a page pauses, what is a change."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
from starlette.responses import Response

from mockserver.web.inspector import live
from mockserver.web.inspector.admin_calls import AdminCallError
from mockserver.web.inspector.live import INTERVAL, LOOK_INTERVAL, PAUSE_HEADER, Live, Watch


class Calls:
    """The admin API, with one sandbox whose state a test sets."""

    def __init__(self, **facts: Any) -> None:
        self.facts = facts
        self.fails: int | None = None
        self.asked: list[str] = []

    async def get(self, path: str) -> Any:
        self.asked.append(path)
        if self.fails is not None:
            raise AdminCallError(self.fails, "no")
        return orjson.loads(orjson.dumps({"clock": make_clock(), "requests": 1, "dropped": 0, **self.facts}))


def make_clock(*, unix: float = 1.0, frozen: bool = False, scale: float = 1.0) -> dict[str, Any]:
    return {"unix": unix, "frozen": frozen, "scale": scale}


def make_live(calls: Calls | None = None) -> Live:
    return Live(calls or Calls())  # type: ignore[arg-type]


def test_the_intervals_and_pauses() -> None:
    assert (INTERVAL, LOOK_INTERVAL) == (0.5, 0.01)
    assert (live.LEAST_PAUSE, live.MOST_PAUSE, live.PAUSE_RATIO, live.PAUSE_PER_PAGE) == (1.0, 30.0, 50, 0.2)


@pytest.mark.parametrize(
    ("before", "after", "is_change"),
    [
        ({}, {}, False),
        ({}, {"requests": 2}, True),
        ({}, {"dropped": 1}, True),
        ({}, {"batches": 1}, True),
        ({}, {"clock": make_clock(unix=2)}, False),
        ({}, {"clock": make_clock(scale=2)}, True),
        ({}, {"clock": make_clock(frozen=True)}, True),
        ({"clock": make_clock(frozen=True)}, {"clock": make_clock(frozen=True, unix=2)}, True),
        ({"clock": make_clock(frozen=True)}, {"clock": make_clock(frozen=True, scale=2)}, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, False),
    ],
)
def test_a_sandbox_has_changed_if_more_than_its_time_has(before: Any, after: Any, is_change: bool) -> None:
    async def looks() -> tuple[int, int]:
        calls, watch = Calls(**before), Watch()
        await watch.look(calls, "a")  # type: ignore[arg-type]
        first = watch.version
        calls.facts = after
        await watch.look(calls, "a")  # type: ignore[arg-type]
        assert calls.asked == ["/sandboxes/a"] * 2
        return first, watch.version

    assert asyncio.run(looks()) == (0, int(is_change))


def test_a_sandbox_that_is_gone_or_comes_back_has_changed() -> None:
    async def looks() -> list[int]:
        calls, watch, versions = Calls(), Watch(), []
        for status in (404, 404, None, 503):
            calls.fails = status
            await watch.look(calls, "a")  # type: ignore[arg-type]
            versions.append(watch.version)
        return versions

    assert asyncio.run(looks()) == [0, 0, 1, 2]


def test_waiting_ends_with_a_change_or_after_its_time() -> None:
    async def waits() -> list[int]:
        calls, watch = Calls(), Watch()
        found = [await watch.wait(5, 60), await watch.wait(0, 0)]
        await watch.look(calls, "a")  # type: ignore[arg-type]
        waiting = asyncio.create_task(watch.wait(0, 60))
        await asyncio.sleep(0)
        calls.facts = {"requests": 2}
        await watch.look(calls, "a")  # type: ignore[arg-type]
        return [*found, await waiting, await watch.wait(0, 60), await watch.wait(1, 0)]

    assert asyncio.run(waits()) == [0, 0, 1, 1, 1]


def test_a_sandbox_is_watched_until_its_last_reader_leaves() -> None:
    async def reads() -> None:
        pages = make_live()
        async with pages.reading("a") as first:
            async with pages.reading("a") as second, pages.reading("b") as other:
                assert first is second is not other
                assert (first.readers, other.readers) == (2, 1)
                assert first.task is not None
                task = first.task
            assert (first.readers, first.task) == (1, task)
            assert not task.cancelled()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        async with pages.reading("a") as again:
            assert again is not first

    asyncio.run(reads())


class Clock:
    """Stands in for `perf_counter`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(live, "perf_counter", lambda: self.now)


@pytest.mark.parametrize(
    ("seconds", "readers", "pause"),
    [
        (0.0, 1, None),
        (0.0, 5, None),
        (0.0, 6, "1.2"),
        (0.02, 1, None),
        (0.022, 1, "1.1"),
        (0.1, 6, "5.0"),
        (0.1, 40, "8.0"),
        (0.6, 1, "30.0"),
        (5.0, 1, "30.0"),
        (0.0, 500, "30.0"),
    ],
)
def test_a_page_pauses_longer_if_it_is_slow_or_one_of_many(
    monkeypatch: pytest.MonkeyPatch, seconds: float, readers: int, pause: str | None
) -> None:
    clock = Clock(monkeypatch)
    clock.now = 0.0

    async def render() -> Response:
        clock.now += seconds
        return Response()

    async def shown() -> str | None:
        pages = make_live()
        watch = pages._watches.setdefault("a", Watch())
        watch.readers = readers
        return (await pages.page("/p", "a", 0, render)).headers.get(PAUSE_HEADER)

    assert asyncio.run(shown()) == pause


def make_render(monkeypatch: pytest.MonkeyPatch) -> tuple[Clock, list[int], Callable[[], Awaitable[Response]]]:
    """A clock, and a page that counts how often it is rendered."""
    clock, rendered = Clock(monkeypatch), [0]

    async def render() -> Response:
        rendered[0] += 1
        return Response(str(rendered[0]))

    return clock, rendered, render


def test_a_rendering_serves_readers_for_half_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, _, render = make_render(monkeypatch)

    async def pages() -> list[bytes]:
        known, found = make_live(), []
        for seconds, address in ((0, "/p"), (0.25, "/p"), (0.25, "/q"), (0.5, "/p"), (0.75, "/p")):
            clock.now = 100.0 + seconds
            found.append(bytes((await known.page(address, "a", 0, render)).body))
        return found

    assert asyncio.run(pages()) == [b"1", b"1", b"2", b"3", b"3"]


def test_a_reader_that_was_told_of_a_later_change_gets_a_new_rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, render = make_render(monkeypatch)

    async def pages() -> list[bytes]:
        known = make_live()
        watch = known._watches.setdefault("a", Watch())
        found = [(await known.page("/p", "a", 0, render)).body]
        watch.version = 2
        found += [(await known.page("/p", "a", told, render)).body for told in (0, 2, 2, 1)]
        return [bytes(each) for each in found]

    assert asyncio.run(pages()) == [b"1", b"1", b"2", b"2", b"2"]


def test_a_slow_rendering_serves_all_that_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, rendered, _ = make_render(monkeypatch)
    ended = asyncio.Event()

    async def render() -> Response:
        rendered[0] += 1
        await ended.wait()
        return Response()

    async def pages() -> None:
        known = make_live()
        first = asyncio.create_task(known.page("/p", "a", 0, render))
        await asyncio.sleep(0)
        clock.now += 60
        second = asyncio.create_task(known.page("/p", "a", 0, render))
        await asyncio.sleep(0)
        ended.set()
        await asyncio.gather(first, second)

    asyncio.run(pages())
    assert rendered == [1]


def test_renderings_that_serve_no_one_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, _, render = make_render(monkeypatch)

    async def known_after() -> list[str]:
        known = make_live()
        await known.page("/old", "a", 0, render)
        clock.now += 0.4
        await known.page("/p", "a", 0, render)
        clock.now += 0.2
        await known.page("/q", "a", 0, render)
        return list(known._renderings)

    assert asyncio.run(known_after()) == ["/p", "/q"]
