"""Keeps open pages up to date at a small cost: one look at a sandbox, and one rendering of a page, for all its readers.

Requests of clients do nothing for open pages. A task looks at each sandbox that has some, every INTERVAL; a change gets
a number, and pages that are told of it fetch themselves again. They send the number: what was rendered since that
change, or is being rendered, is sent to all of them. What took long to render is fetched again less often, and so is
each of many pages.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from time import perf_counter
from typing import NamedTuple

import orjson
from starlette.responses import Response

from mockserver.web.inspector.admin_calls import AdminCallError, AdminCalls

INTERVAL = 0.5
"""Seconds between two looks at a sandbox; its pages learn of a change after so long."""
LOOK_INTERVAL = 0.01
"""Seconds from a look to the next one at any sandbox: with hundreds of them open, each is looked at less often."""
PAUSE_HEADER = "X-Inspector-Pause"
"""The response header with the seconds that a page waits before it fetches itself again."""
LEAST_PAUSE, MOST_PAUSE = 1.0, 30.0
PAUSE_RATIO = 50
"""The pause after a rendering, in multiples of the time that it took."""
PAUSE_PER_PAGE = 0.2
"""The seconds of a pause for each open page: so many seconds pass, on average, between two fetches of any page."""


class Watch:
    """What was seen of one sandbox."""

    def __init__(self) -> None:
        self.version = 0
        """The number of changes that were seen."""
        self.readers = 0
        """The pages that are told of changes."""
        self.task: asyncio.Task[None] | None = None
        self._state: bytes | None = None
        """As it was seen last; None before the first look."""
        self._changed = asyncio.Event()

    async def wait(self, told: int, seconds: float) -> int:
        """The version, as soon as it is not the one that was told any more, or after so many seconds."""
        if self.version == told:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._changed.wait()
        return self.version

    async def look(self, calls: AdminCalls, sandbox: str) -> None:
        """Compare the sandbox with what it was."""
        before, self._state = self._state, await _state(calls, sandbox)
        if before not in {None, self._state}:
            self.version += 1
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()


class _Rendering(NamedTuple):
    """A page that is rendered, or was."""

    version: int
    """That of its sandbox before it was begun."""
    begun: float
    page: "asyncio.Task[Response]"

    def serves(self, told: int, now: float) -> bool:
        """Whether a page that was told of this change can have it."""
        return self.version >= told and (not self.page.done() or now - self.begun < INTERVAL)


class Live:
    """The sandboxes of open pages, and the pages that were rendered just now."""

    def __init__(self, calls: AdminCalls) -> None:
        self.calls = calls
        self._watches: dict[str, Watch] = {}
        """By the name or key of the sandbox that the pages have."""
        self._renderings: dict[str, _Rendering] = {}
        """By address."""

    @asynccontextmanager
    async def reading(self, sandbox: str) -> AsyncIterator[Watch]:
        """Watch a sandbox until its last reader leaves."""
        watch = self._watches.setdefault(sandbox, Watch())
        watch.readers += 1
        try:
            if watch.task is None:
                watch.task = asyncio.create_task(self._follow(watch, sandbox))
            yield watch
        finally:
            watch.readers -= 1
            if not watch.readers:
                self._watches.pop(sandbox, None)
                if watch.task is not None:
                    watch.task.cancel()

    async def page(self, address: str, sandbox: str, told: int, render: Callable[[], Awaitable[Response]]) -> Response:
        """The page at that address, for a reader that was told of that change of its sandbox."""
        now, known = perf_counter(), self._renderings.get(address)
        if known is None or not known.serves(told, now):
            watch = self._watches.get(sandbox)
            known = _Rendering(watch.version if watch else 0, now, asyncio.create_task(self._render(render)))
            current = {place: each for place, each in self._renderings.items() if each.serves(0, now)}
            self._renderings = {**current, address: known}
        return await asyncio.shield(known.page)

    async def _render(self, render: Callable[[], Awaitable[Response]]) -> Response:
        begun = perf_counter()
        page = await render()
        readers = sum(each.readers for each in self._watches.values())
        pause = min(max(PAUSE_RATIO * (perf_counter() - begun), PAUSE_PER_PAGE * readers), MOST_PAUSE)
        if pause > LEAST_PAUSE:
            page.headers[PAUSE_HEADER] = f"{pause:.1f}"
        return page

    async def _follow(self, watch: Watch, sandbox: str) -> None:
        while True:
            await watch.look(self.calls, sandbox)
            await asyncio.sleep(max(INTERVAL, LOOK_INTERVAL * len(self._watches)))


async def _state(calls: AdminCalls, sandbox: str) -> bytes:
    """What shows whether the sandbox has changed, as JSON; without the time, which always does."""
    try:
        facts = await calls.get(f"/sandboxes/{sandbox}")
    except AdminCallError as error:
        return b"%d" % error.status
    clock = facts.pop("clock")
    moved = clock["unix"] if clock["frozen"] else clock["scale"]
    return orjson.dumps([facts["requests"], facts["dropped"], clock["frozen"], moved, sorted(facts.items(), key=str)])
