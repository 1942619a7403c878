"""Bounds the memory and disk of answers that are made, or were not read yet by their clients."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from threading import Lock
from weakref import finalize, ref

from mockserver.sandbox.blobs import Blob, BlobWriter, no_room
from mockserver.workers import LaneFull

# A client decides how fast it reads its answer. An answer in memory would stay there until then, and a thousand clients
# that ask for an export of 40 MB and read nothing would take 40 GB. So large answers are made in pieces, which go to a
# file without a name, and are sent from there in parts whose size follows from the number of answers being sent.

SMALL_BYTES = 64 * 1024
"""An answer of at most so many bytes is not counted: each connection has one at a time."""
MEMORY_BYTES = 64 * 1024 * 1024
"""The most bytes of larger answers in memory; beyond it they go to disk. The parts of all streams share as many."""
DISK_BYTES = 1024 * 1024 * 1024
"""Bytes of answers on disk, beyond which no further one is made until some are read."""
MADE_AT_ONCE = 16
"""The most large answers that are made at the same time, at most one of a sandbox."""
MAX_WAITING = 2000
"""The most requests that wait to be answered in this way."""
LONGEST_WAIT = 60.0
"""Seconds after which such a request is rejected."""
LEAST_PART, LARGEST_PART = 16 * 1024, 512 * 1024
PARTS_AT_ONCE = 8
"""The most parts of streams that are made and sent in one turn of the event loop, which others wait for."""


class AnswerSpace:
    """The large answers of a server. Waiting requests use no thread; sandboxes take turns."""

    def __init__(self, memory: int = MEMORY_BYTES, disk: int = DISK_BYTES) -> None:
        self.in_memory = self.streams = 0
        """Bytes of answers in memory, and the number of answers that are sent in parts."""
        self._on_disk = 0
        self._changes: deque[int] = deque()
        """Bytes that were put on disk or freed there, and are not in `_on_disk` yet: any thread may append."""
        self._counting = Lock()
        self._memory, self._disk = memory, disk
        self._making: set[str] = set()
        """The sandboxes of which an answer is made."""
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        """By sandbox; the one whose turn it is comes first."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._parts = asyncio.Semaphore(PARTS_AT_ONCE)

    @property
    def on_disk(self) -> int:
        """Bytes of answers on disk."""
        with self._counting:
            while self._changes:
                self._on_disk += self._changes.popleft()
            return self._on_disk

    @property
    def part_bytes(self) -> int:
        """The size of a part of a stream."""
        return max(LEAST_PART, min(LARGEST_PART, self._memory // max(self.streams, 1)))

    @asynccontextmanager
    async def turn(self, sandbox: str) -> AsyncIterator[None]:
        """Wait until a large answer of the sandbox may be made, inside the block; raises LaneFull."""
        loop = self._use_loop()
        if self._waiting or not self._is_free(sandbox):
            await self._wait(sandbox, loop.create_future())
        else:
            self._making.add(sandbox)
        try:
            yield
        finally:
            self._making.discard(sandbox)
            self._admit()

    def keep(self, pieces: Iterable[bytes]) -> Blob:
        """The pieces as a blob, which counts as long as it exists; raises Refusal when the disk is full."""
        writer = BlobWriter(SMALL_BYTES)
        parts: list[bytes] = []
        size = 0
        try:
            for piece in pieces:
                parts.append(piece)
                size += len(piece)
                if size >= SMALL_BYTES:
                    writer.write(*parts)
                    parts, size = [], 0
            writer.write(*parts)
            blob = writer.finish()
        except OSError as problem:
            raise no_room(problem) from None
        if blob.size > SMALL_BYTES:
            self._changes.append(blob.size)
            finalize(blob, _release, ref(self), blob.size)
        return blob

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Counts an answer in memory."""
        self.in_memory += size
        try:
            yield
        finally:
            self.in_memory -= size

    def is_in_memory(self, size: int) -> bool:
        """Whether an answer of that many bytes may stay in memory; raises LaneFull if the disk has no space either."""
        if self.in_memory + size <= self._memory:
            return True
        if self.on_disk + size > self._disk:
            raise LaneFull("too many large answers wait to be read")
        return False

    @asynccontextmanager
    async def part(self) -> AsyncIterator[None]:
        """Wait until a part of a stream may be made and sent, inside the block, which must not wait for the client."""
        self._use_loop()
        async with self._parts:
            yield

    @contextmanager
    def stream(self) -> Iterator[None]:
        """Counts an answer that is sent in parts."""
        self.streams += 1
        try:
            yield
        finally:
            self.streams -= 1

    def _use_loop(self) -> asyncio.AbstractEventLoop:
        """The running event loop."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # another event loop was closed, with all its waiting requests
            self._loop, self._making = loop, set()
            self._waiting = OrderedDict()
            self._parts = asyncio.Semaphore(PARTS_AT_ONCE)
        return loop

    def _is_free(self, sandbox: str) -> bool:
        return sandbox not in self._making and len(self._making) < MADE_AT_ONCE and self.on_disk < self._disk

    async def _wait(self, sandbox: str, turn: "asyncio.Future[None]") -> None:
        if sum(map(len, self._waiting.values())) >= MAX_WAITING:
            raise LaneFull(f"{MAX_WAITING} requests for large answers wait already")
        self._waiting.setdefault(sandbox, deque()).append(turn)
        self._admit()  # others may wait for their own sandboxes only
        try:
            async with asyncio.timeout(LONGEST_WAIT):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._making.discard(sandbox)
            self._admit()
            if isinstance(error, TimeoutError):
                raise LaneFull("too many large answers wait to be made or read") from None
            raise

    def _admit(self) -> None:
        for sandbox in list(self._waiting):
            turns = self._waiting[sandbox]
            while turns and turns[0].done():
                turns.popleft()
            if turns and self._is_free(sandbox):
                self._making.add(sandbox)
                turns.popleft().set_result(None)
                self._waiting.move_to_end(sandbox)
            if not turns:
                del self._waiting[sandbox]
            if len(self._making) >= MADE_AT_ONCE:
                break

    def _free_disk(self, size: int) -> None:
        """Called in any thread, when an answer on disk is gone."""
        self._changes.append(-size)
        if self._waiting and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._admit)


def _release(space: "ref[AnswerSpace]", size: int) -> None:
    if (found := space()) is not None:
        found._free_disk(size)
