"""Large answers: how much memory and disk they take, who makes one when, and who is rejected."""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec

import pytest

from mockserver.errors import Refusal
from mockserver.web.answers import space as module
from mockserver.web.answers.space import AnswerSpace
from mockserver.workers import LaneFull

P = ParamSpec("P")


def in_a_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """The test, run in an event loop."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


def test_the_bounds_of_large_answers() -> None:
    assert (module.SMALL_BYTES, module.MEMORY_BYTES, module.DISK_BYTES) == (65_536, 64 * 1024**2, 1024**3)
    assert (module.MADE_AT_ONCE, module.MAX_WAITING, module.LONGEST_WAIT) == (16, 2000, 60.0)
    assert (module.LEAST_PART, module.PARTS_AT_ONCE) == (16_384, 8)


@pytest.mark.parametrize(
    ("held", "size", "is_in_memory"), [(0, 100, True), (0, 101, False), (60, 40, True), (60, 41, False)]
)
def test_answers_stay_in_memory_up_to_a_bound(held: int, size: int, is_in_memory: bool) -> None:
    space = AnswerSpace(memory=100)

    with space.hold(held):
        assert space.is_in_memory(size) is is_in_memory
    assert space.in_memory == 0


@pytest.mark.parametrize(("size", "is_full"), [(99, False), (100, False), (101, True)])
def test_an_answer_without_room_on_disk_is_rejected(size: int, is_full: bool) -> None:
    space = AnswerSpace(memory=0, disk=100_100)
    kept = space.keep((b"x" * 100_000,))

    if is_full:
        with pytest.raises(LaneFull, match=r"^too many large answers wait to be read$"):
            space.is_in_memory(size)
    else:
        assert not space.is_in_memory(size)
    assert kept.size == 100_000


@pytest.mark.parametrize(("size", "counted"), [(0, 0), (65_536, 0), (65_537, 65_537)])
def test_an_answer_on_disk_counts_as_long_as_it_exists(size: int, counted: int) -> None:
    space = AnswerSpace()

    kept = space.keep(b"x" * 1000 for _ in range(0))
    kept = space.keep([b"x" * (size // 2), b"", b"y" * (size - size // 2)])

    assert kept.read() == b"x" * (size // 2) + b"y" * (size - size // 2)
    assert space.on_disk == counted
    del kept
    gc.collect()
    assert space.on_disk == 0


def test_an_answer_is_kept_when_its_space_is_gone() -> None:
    kept = AnswerSpace().keep((b"x" * 100_000,))
    gc.collect()

    assert kept.size == 100_000
    del kept


def test_a_full_disk_rejects_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mockserver.sandbox.blobs.BlobWriter.write", write)

    with pytest.raises(Refusal):
        AnswerSpace().keep((b"x" * 100_000,))


@pytest.mark.parametrize(
    ("streams", "memory", "size"),
    [(0, 10**9, 524_288), (1, 10**9, 524_288), (1, 100_000, 100_000), (4, 400_000, 100_000), (50, 400_000, 16_384)],
)
def test_parts_of_streams_share_the_memory(streams: int, memory: int, size: int) -> None:
    space = AnswerSpace(memory=memory)
    space.streams = streams

    assert space.part_bytes == size


def test_streams_are_counted_while_they_are_sent() -> None:
    space = AnswerSpace()

    with space.stream(), space.stream():
        assert space.streams == 2
    assert space.streams == 0


class Makers:
    """Requests for large answers, which note when they begin, and end when they are told to."""

    def __init__(self, space: AnswerSpace) -> None:
        self.space = space
        self.begun: list[str] = []
        self.ends: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self, *names: str) -> None:
        """Names are `SANDBOX NUMBER`."""
        for name in names:
            self.ends[name] = asyncio.Event()
            self.tasks[name] = asyncio.ensure_future(self._make(name))
        await self.turn()

    async def end(self, *names: str) -> None:
        for name in names:
            self.ends[name].set()
        await self.turn()

    async def turn(self) -> None:
        for _ in range(6):
            await asyncio.sleep(0)

    async def _make(self, name: str) -> None:
        async with self.space.turn(name.split(maxsplit=1)[0]):
            self.begun.append(name)
            await self.ends[name].wait()

    async def leave(self) -> None:
        await self.end(*self.ends)
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)


@in_a_loop
async def test_one_answer_of_a_sandbox_is_made_at_a_time() -> None:
    makers = Makers(AnswerSpace())

    await makers.start("a 1", "a 2", "b 1", "a 3")
    assert makers.begun == ["a 1", "b 1"]
    await makers.end("a 1")
    assert makers.begun == ["a 1", "b 1", "a 2"]
    await makers.end("a 2")
    assert makers.begun == ["a 1", "b 1", "a 2", "a 3"]
    await makers.leave()


@in_a_loop
async def test_sixteen_answers_are_made_at_a_time_and_sandboxes_take_turns() -> None:
    makers = Makers(AnswerSpace())

    await makers.start(*(f"{n} 1" for n in range(16)))
    await makers.start("a 1", "a 2", "b 1", "c 1")
    assert len(makers.begun) == 16
    await makers.end("0 1", "1 1")
    assert makers.begun[16:] == ["a 1", "b 1"]
    await makers.end("a 1")
    assert makers.begun[18:] == ["c 1"]
    await makers.end("2 1")
    assert makers.begun[19:] == ["a 2"]
    await makers.leave()


@in_a_loop
async def test_no_further_answer_is_made_while_the_disk_is_full() -> None:
    space = AnswerSpace(disk=100_000)
    makers = Makers(space)
    kept = space.keep((b"x" * 100_000,))

    await makers.start("a 1")
    assert makers.begun == []
    del kept
    gc.collect()
    await makers.turn()

    assert makers.begun == ["a 1"]
    await makers.leave()


@in_a_loop
async def test_a_bounded_number_of_requests_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    makers = Makers(AnswerSpace())

    await makers.start("a 1", "a 2", "a 3", "a 4")

    with pytest.raises(LaneFull, match=r"^2 requests for large answers wait already$"):
        await makers.tasks["a 4"]
    await makers.end("a 1", "a 2", "a 3")
    assert makers.begun == ["a 1", "a 2", "a 3"]


@in_a_loop
async def test_a_request_that_waits_for_too_long_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_WAIT", 0.0)
    makers = Makers(AnswerSpace())

    await makers.start("a 1", "a 2")

    with pytest.raises(LaneFull, match=r"^too many large answers wait to be made or read$"):
        await makers.tasks["a 2"]
    await makers.leave()


@in_a_loop
async def test_a_client_that_leaves_takes_no_turn() -> None:
    makers = Makers(AnswerSpace())

    await makers.start("a 1", "a 2", "a 3")
    makers.tasks["a 2"].cancel()
    await makers.end("a 1")

    assert makers.begun == ["a 1", "a 3"]
    await makers.end("a 3")
    await makers.start("a 4")
    assert makers.begun == ["a 1", "a 3", "a 4"]
    await makers.leave()


@in_a_loop
async def test_a_client_that_leaves_when_its_turn_has_come_gives_it_back() -> None:
    makers = Makers(AnswerSpace())

    await makers.start("a 1", "a 2", "a 3")
    makers.ends["a 1"].set()
    while not any(turn.done() for turns in makers.space._waiting.values() for turn in turns):
        if "a" not in makers.space._making or len(makers.space._waiting.get("a", ())) == 1:
            break
        await asyncio.sleep(0)
    makers.tasks["a 2"].cancel()
    await makers.turn()

    assert makers.begun[-1] == "a 3"
    await makers.leave()


@in_a_loop
async def test_eight_parts_are_sent_in_a_turn_of_the_loop() -> None:
    space = AnswerSpace()
    inside: list[int] = []
    most = 0

    async def send() -> None:
        nonlocal most
        async with space.part():
            inside.append(1)
            most = max(most, len(inside))
            await asyncio.sleep(0)
            inside.pop()

    await asyncio.gather(*(send() for _ in range(20)))

    assert most == 8


def test_the_waiting_requests_of_a_closed_event_loop_are_forgotten() -> None:
    space = AnswerSpace()

    async def leave_one_inside() -> None:
        await space.turn("a").__aenter__()

    async def make() -> list[str]:
        makers = Makers(space)
        await makers.start("a 1")
        await makers.leave()
        return makers.begun

    asyncio.run(leave_one_inside())
    assert asyncio.run(make()) == ["a 1"]
