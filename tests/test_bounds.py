"""Bounds of the server as a whole: of JSON, worker threads, memory that is returned, and texts that are shown."""

from types import ModuleType

import pytest

from mockserver import cli, errors, http, json_bodies, malloc, redaction, text, workers

MIB = 1_048_576
BOUNDS = [
    (cli, {"DONE": 0, "PROBLEMS": 1, "UNREADABLE": 2, "NOT_STARTED": 3, "NOTHING_CHECKED": 4}),
    (cli, {"INTERRUPTED": 130, "PIPE_CLOSED": 141}),
    (errors, {"NO_STORAGE": 507}),
    (http, {"EMPTY_STATUSES": {204, 205, 304}, "FIRST_PART": -1}),
    (json_bodies, {"MAX_VALUES": 300_000, "MAX_VALUES_LARGE": 1_000_000, "BYTES_PER_VALUE": 16, "NESTING_MARGIN": 24}),
    (json_bodies, {"_PIECE": MIB}),
    (malloc, {"MAPPED_BYTES": 4 * MIB, "KEPT_BYTES": 4 * MIB, "HEAPS": 2}),
    (redaction, {"LEAST_SECRET": 8, "LEAST_WORD": 16, "MAX_NAME": 100, "MAX_PATH": 200, "PIECE": 65_536}),
    (redaction, {"MAX_KNOWN": 200}),
    (text, {"MAX_COMPARED": 200}),
    (workers, {"MAX_THREADS": 64, "MAX_WAITING": 2000, "RUNNING": 2, "SLICE": 0.01, "SLOT_WAIT": 0.05, "IDLE": 10.0}),
]


@pytest.mark.parametrize(("module", "bounds"), BOUNDS)
def test_a_bound_is_this_number(module: ModuleType, bounds: dict[str, object]) -> None:
    assert {name: getattr(module, name) for name in bounds} == bounds


def test_a_large_body_may_hold_a_value_for_each_16_bytes() -> None:
    sizes = (0, 4_800_000, 4_800_015, 4_800_016, 15_999_999, 16_000_000, 32_000_000)

    assert [json_bodies.max_values(size) for size in sizes] == [
        300_000, 300_000, 300_000, 300_001, 999_999, 1_000_000, 1_000_000,
    ]  # fmt: skip


def test_freed_memory_is_returned_from_4_mib_on(monkeypatch: pytest.MonkeyPatch) -> None:
    class Library:
        def __init__(self) -> None:
            self.options: list[tuple[int, int]] = []

        def mallopt(self, option: int, value: int) -> None:
            self.options.append((option, value))

        def malloc_trim(self, kept: int) -> None:
            self.options.append((0, kept))

    library = Library()
    monkeypatch.setattr(malloc, "_library", lambda: library)

    malloc.return_freed_memory()
    malloc.trim()

    # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD and M_ARENA_MAX of malloc.h
    assert library.options == [(-3, 4 * MIB), (-1, 4 * MIB), (-8, 2), (0, 0)]


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(malloc, "_library", object)

    malloc.return_freed_memory()
    malloc.trim()
