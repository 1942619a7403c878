"""Coverage over all processes of a store: each adds what it has counted since the last time."""

from threading import Lock

from mockserver.stores.partition import SharedPartition

COVERAGE = "coverage"
"""The collection of two counts by operation and status: all responses, and those of stubs and faults.

Under the key GENERATION is the number of times that it was cleared.
"""
GENERATION = ""
Counts = dict[tuple[str, int], int]
Row = tuple[int, int]


class SharedCoverage:
    """The counts of all processes on a store."""

    def __init__(self, server: SharedPartition) -> None:
        self._server = server
        self._rows = server.rows(COVERAGE)
        self._published: dict[str, Row] = {}
        """What is in the store of this process's counts."""
        self._generation: int | None = None
        self._lock = Lock()

    def publish(self, met: Counts, demanded: Counts) -> None:
        """Add to the store what this process has counted since the last time.

        If the counts were cleared by another process meanwhile, those of this one are cleared instead.
        """
        with self._lock:
            self._server.inside(lambda: self._publish(met, demanded))

    def merged(self, met: Counts, demanded: Counts) -> tuple[Counts, Counts]:
        """The counts of all processes: of this one as they are, of others as they were when they last published."""
        with self._lock:
            stored = self._server.inside(lambda: self._publish(met, demanded))
        every = {_read_key(key): row for key, row in stored.items()}
        return {key: row[0] for key, row in every.items()}, {key: row[1] for key, row in every.items()}

    def clear(self) -> None:
        """Forget the counts of all processes. The caller clears those of this one."""
        with self._lock:
            self._generation = self._server.inside(self._clear)
            self._published = {}

    def _publish(self, met: Counts, demanded: Counts) -> dict[str, Row]:
        """Add to the store; returns all that it holds then. In a transaction, which may run again."""
        stored = dict(self._rows.items())
        generation = stored.pop(GENERATION, (0, 0))[0]
        if self._generation not in {None, generation}:
            met.clear()
            demanded.clear()
            self._server.after_commit(self._published.clear)
        counted, before = self._counted(met, demanded), self._published
        for key, row in counted.items():
            more = _difference(row, before.get(key, (0, 0)))
            if any(more):
                known = stored.get(key, (0, 0))
                stored[key] = known[0] + more[0], known[1] + more[1]
                self._rows.put(key, stored[key])
        self._server.after_commit(lambda: self._note(counted, generation))
        return stored

    def _note(self, counted: dict[str, Row], generation: int) -> None:
        self._published, self._generation = counted, generation

    def _clear(self) -> int:
        generation = (self._rows.get(GENERATION) or (0, 0))[0] + 1
        for key, _ in self._rows.items():
            self._rows.delete(key)
        self._rows.put(GENERATION, (generation, 0))
        return int(generation)

    @staticmethod
    def _counted(met: Counts, demanded: Counts) -> dict[str, Row]:
        return {_write_key(key): (count, demanded.get(key, 0)) for key, count in met.copy().items()}


def _difference(now: Row, before: Row) -> Row:
    """What was counted since then; all of it if the counts were cleared meanwhile."""
    return (now[0] - before[0], now[1] - before[1]) if now[0] >= before[0] else now


def _write_key(key: tuple[str, int]) -> str:
    return f"{key[1]} {key[0]}"


def _read_key(text: str) -> tuple[str, int]:
    status, _, operation = text.partition(" ")
    return operation, int(status)
