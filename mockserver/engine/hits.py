"""How often each operation was answered with each status, counted by any thread."""

from threading import Lock

_lock = Lock()


def count_hit(hits: dict[tuple[str, int], int], operation: str, status: int) -> None:
    """One more answer of the operation; two threads at once lose none."""
    with _lock:
        hits[operation, status] = hits.get((operation, status), 0) + 1
