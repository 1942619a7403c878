"""Large bodies take turns: together they are bounded, none is overtaken, and one that is given up takes no place."""

import asyncio
from collections.abc import Callable

import pytest

from mockserver.web import large_bodies
from mockserver.web.large_bodies import LargeBodies


async def settle() -> None:
    """Let all tasks go on as far as they can."""
    for _ in range(10):
        await asyncio.sleep(0)


class Parsing:
    """Bodies that are parsed until they are told to end."""

    def __init__(self, bodies: LargeBodies) -> None:
        self.bodies = bodies
        self.running: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.ends: dict[str, asyncio.Event] = {}

    async def start(self, name: str, size: int) -> None:
        self.ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._parse(name, size))
        await settle()

    async def end(self, name: str) -> None:
        self.ends[name].set()
        await self.tasks[name]
        await settle()

    async def give_up(self, name: str) -> None:
        self.tasks[name].cancel()
        await settle()

    async def _parse(self, name: str, size: int) -> None:
        async with self.bodies.hold(size):
            self.running.append(name)
            try:
                await self.ends[name].wait()
            finally:
                self.running.remove(name)


def test_large_bodies_wait_for_room() -> None:
    async def run() -> None:
        parsing = Parsing(LargeBodies(10))
        for name, size in (("a", 6), ("b", 4), ("large", 99), ("c", 1)):
            await parsing.start(name, size)
        assert parsing.running == ["a", "b"]

        await parsing.end("a")
        assert parsing.running == ["b"]  # the small one does not overtake the large one
        await parsing.end("b")
        assert parsing.running == ["large"]
        await parsing.end("large")
        assert parsing.running == ["c"]

    asyncio.run(run())


def test_a_cancelled_request_takes_no_room() -> None:
    async def run() -> None:
        parsing = Parsing(LargeBodies(10))
        for name, size in (("a", 10), ("large", 10), ("b", 5), ("c", 5)):
            await parsing.start(name, size)

        await parsing.give_up("large")
        await parsing.give_up("a")
        assert parsing.running == ["b", "c"]
        await parsing.end("b")
        await parsing.start("d", 5)
        assert parsing.running == ["c", "d"]

    asyncio.run(run())


def test_a_request_cancelled_at_its_turn_gives_the_room_back() -> None:
    async def run() -> None:
        parsing = Parsing(LargeBodies(10))
        for name in ("a", "b", "c"):
            await parsing.start(name, 10)

        parsing.ends["a"].set()
        await parsing.tasks["a"]
        parsing.tasks["b"].cancel()
        await settle()

        assert parsing.running == ["c"]

    asyncio.run(run())


def test_a_new_event_loop_starts_anew() -> None:
    bodies = LargeBodies(10)

    async def leave_held() -> None:
        parsing = Parsing(bodies)
        await parsing.start("a", 10)
        await parsing.start("b", 10)
        assert parsing.running == ["a"]

    async def run() -> None:
        parsing = Parsing(bodies)
        await parsing.start("c", 10)
        assert parsing.running == ["c"]

    asyncio.run(leave_held())
    asyncio.run(run())


def test_memory_is_returned_once_when_the_last_body_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    trimmed: list[str] = []

    class Thread:
        def __init__(self, *, target: Callable[[], object], name: str, daemon: bool) -> None:
            self.name = name

        def start(self) -> None:
            trimmed.append(self.name)

    monkeypatch.setattr(large_bodies, "Thread", Thread)
    monkeypatch.setattr(large_bodies, "TRIM_DELAY", 0.0)

    async def run() -> None:
        bodies = LargeBodies(10)
        async with bodies.hold(1):
            for _ in range(3):
                async with bodies.hold(5):
                    pass
            await settle()
            assert trimmed == []
        for _ in range(2):
            async with bodies.hold(5):
                pass
        bodies.trim_soon()
        await settle()
        assert trimmed == ["mockserver-trim"]
        bodies.trim_soon()
        bodies.trim_soon()
        await settle()
        assert len(trimmed) == 2

    asyncio.run(run())
