"""A store in Redis without Redis: what it asks for, in what slices, and what it says of errors."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from mockserver.errors import StoreError, StoreUnavailable
from mockserver.stores.backend import Changes, Commit, Facts, Put
from mockserver.stores.redis import backend as module
from mockserver.stores.redis.backend import RedisBackend, place_of
from mockserver.stores.redis.scripts import SCRIPTS

URL = "redis://ann:s3cret@db.example:7000/3"


class Client:
    """Answers scripts and commands with what a test says."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.answers: list[Any] = []
        self.format: bytes | None = b"4"
        self.sets: list[Any] = []
        self.error: Exception | None = None
        self.is_closed = False

    def register_script(self, text: str) -> Callable[..., Any]:
        name = next(name for name, each in SCRIPTS.items() if each == text)

        def run(args: Any) -> Any:
            self.calls.append((name, *args[1:]))
            return self._next()

        run.sha = name  # type: ignore[attr-defined]  # as a registered script has it
        return run

    def _next(self) -> Any:
        found = self.answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def ping(self) -> None:
        if self.error is not None:
            raise self.error

    def get(self, name: str) -> Any:
        return self.format if name.endswith("format") else self._next()

    def set(self, name: str, value: Any, **more: Any) -> None:
        self.sets.append((name, value, more))

    def zcard(self, name: str) -> Any:
        return self._next()

    def zadd(self, name: str, values: Any) -> None:
        self.sets.append((name, values))

    def zrem(self, _name: str, member: str) -> Any:
        self.sets.append(("zrem", member))
        return self._next()

    def zrangebyscore(self, _name: str, least: float, most: float) -> Any:
        found = self._next()
        if found:
            self.sets.append(("zrangebyscore", least, most))
        return found

    def hkeys(self, name: str) -> Any:
        return self._next()

    def exists(self, name: str) -> Any:
        return self._next()

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    found = Client()
    monkeypatch.setattr(redis.Redis, "from_url", lambda *_, **__: found)
    return found


@pytest.fixture
def backend(client: Client) -> Iterator[RedisBackend]:
    made = RedisBackend(URL, lambda: 1000.0)
    yield made
    made.close()


def test_the_bounds_of_a_store_in_redis() -> None:
    assert (module.FORMAT, module.SECONDS, module.PAUSE, module.SWEEP_SECONDS) == (4, 2.0, 1.0, 30.0)
    assert (module.SWEEP_BYTES, module.ENTRIES_SLICE) == (256 * 1024 * 1024, 500)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (URL, "db.example:7000/3"),
        ("redis://db.example/0", "db.example:6379/0"),
        ("rediss://:s3cret@db.example", "db.example:6379"),
        ("unix:///run/redis.sock", "/run/redis.sock"),
    ],
)
def test_a_place_is_named_without_the_password(url: str, place: str) -> None:
    assert place_of(url) == place


@pytest.mark.parametrize(
    ("format_", "sets"),
    [
        (None, [("mockserver:format", 4, {"nx": True})]),
        (b"2", [("mockserver:format", 4, {})]),
        (b"3", [("mockserver:format", 4, {})]),
        (b"4", []),
    ],
)
def test_an_older_format_is_marked_with_the_new_one(client: Client, format_: bytes | None, sets: list[Any]) -> None:
    client.format = format_

    RedisBackend(URL, lambda: 0.0).close()

    assert client.sets == sets


NEWER = "the database at db.example:7000/3 was written by a newer mockserver (format {}; this one reads up to 4)"


@pytest.mark.parametrize(
    ("format_", "error", "said"),
    [
        (b"5", None, NEWER.format("5")),
        (b"x" * 30, None, NEWER.format("x" * 20)),
        (b"4", redis.AuthenticationError("no"), "Redis at db.example:7000/3 rejects the password"),
        (b"4", redis.TimeoutError("t"), "there is no Redis server at db.example:7000/3: no answer in 2 seconds"),
        (b"4", redis.ConnectionError("refused"), "there is no Redis server at db.example:7000/3: refused"),
        (b"4", redis.ConnectionError("ann@db"), "there is no Redis server at db.example:7000/3: ConnectionError"),
        (b"4", redis.ConnectionError("x" * 201), f"there is no Redis server at db.example:7000/3: {'x' * 200}"),
        (b"4", redis.ResponseError("y" * 201), f"Redis at db.example:7000/3 cannot be used: {'y' * 200}"),
        (b"4", ValueError("odd"), "what answers at db.example:7000/3 is no Redis server"),
        (b"4", IndexError("odd"), "what answers at db.example:7000/3 is no Redis server"),
    ],
)
def test_a_server_that_cannot_be_used_is_an_error(
    client: Client, format_: bytes, error: Exception | None, said: str
) -> None:
    client.format, client.error = format_, error

    with pytest.raises(StoreError) as raised:
        RedisBackend(URL, lambda: 0.0)

    assert str(raised.value).partition("; use that")[0] == said
    assert client.is_closed


def test_a_url_that_cannot_be_read_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ValueError("secret")

    monkeypatch.setattr(redis.Redis, "from_url", refuse)
    with pytest.raises(StoreError, match=r"^the store is no Redis URL: ValueError$"):
        RedisBackend(URL, lambda: 0.0)


def test_a_collection_is_read_in_parts(client: Client, backend: RedisBackend) -> None:
    client.answers = [[b"7", [b"a", b"b"], [b"1", b"2"], 1], [b"8", [b"c"], [b"3"], 0]]

    assert backend.scan("s", "things") == (8, [("a", b"1"), ("b", b"2"), ("c", b"3")])
    assert client.calls == [
        ("range", "s", "things", "ZRANGE", 0, 2**53), ("range", "s", "things", "ZRANGE", 2, 2**53 - 2)
    ]  # fmt: skip
    assert backend.round_trips == 2


def test_the_latest_values_end_with_as_many_as_asked_for(client: Client, backend: RedisBackend) -> None:
    client.answers = [[b"7", [b"c", b"b"], [b"3", b"2"], 1], [b"7", [b"a"], [b"1"], 1]]

    assert backend.latest("s", "things", 4, 3) == (7, [("c", b"3"), ("b", b"2"), ("a", b"1")])
    assert client.calls == [("range", "s", "things", "ZREVRANGE", 4, 3), ("range", "s", "things", "ZREVRANGE", 6, 1)]


def test_sandboxes_are_listed_in_slices(client: Client, backend: RedisBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ENTRIES_SLICE", 2)
    row = [b"a", b"5.5", b"k", b"1", b"7"]
    client.answers = [[[row, [b"b", None, b"", b"0", None]], b"2"], [[row], b"3"]]

    found = backend.entries()

    assert [(each.name, each.used, *each.facts) for each in found] == [
        ("a", 5.5, "k", True, 7.0), ("b", 0.0, "", False, None), ("a", 5.5, "k", True, 7.0)
    ]  # fmt: skip
    assert client.calls == [("entries", 0, 2), ("entries", b"2", 2)]


def test_values_are_counted_in_slices_of_sandboxes(
    client: Client, backend: RedisBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ENTRIES_SLICE", 2)
    client.answers = [3, [b"x", 1, b"y", 2], [b"x", 4], 3, [b"1"], [b"2", b"3"]]

    assert backend.totals() == {"x": 5, "y": 2}
    assert backend.every("things", "a") == [b"1", b"2", b"3"]
    assert [call[:3] for call in client.calls] == [
        ("totals", 0, 1), ("totals", 2, 3), ("every", 0, 1), ("every", 2, 3)
    ]  # fmt: skip


def test_single_questions_are_one_round_trip(client: Client, backend: RedisBackend) -> None:
    row = [b"a", b"5", b"", b"0", None]
    client.answers = [[row], [row], [row], [b"4", 9], [b"3", b"x", None], row, [b"a", None], None, 1, 0]

    assert [len(each) for each in (backend.oldest(5), backend.due(2.5), backend.idle(1.5))] == [1, 1, 1]
    assert backend.count("s", "things") == (4, 9)
    assert backend.fetch("s", [("c", "k"), ("d", "l")]) == (3, [b"x", None])
    assert [backend.entry("a") is not None for _ in range(3)] == [True, False, False]
    assert (backend.drop("s"), backend.drop("s", 2.5)) == (True, False)
    assert client.calls == [
        ("oldest", 4), ("due", "2.5"), ("idle", "1.5"), ("count", "s", "things"), ("fetch", "s", "c", "k", "d", "l"),
        ("entry", "a"), ("entry", "a"), ("entry", "a"), ("drop", "s", "1000.0", "inf"), ("drop", "s", "1000.0", 2.5),
    ]  # fmt: skip
    assert backend.round_trips == 10


def test_blobs_that_are_unused_for_ten_minutes_are_swept(client: Client, backend: RedisBackend) -> None:
    client.answers = [[], [], [3, b"young-5", b"401.0", b"old-5", b"399.0", b"edge-5", b"400.0"], None]

    backend.sweep()

    assert client.calls == [("unused", "940.0", 0, 500), ("sweep", "940.0", "old-5")]


def test_what_was_dropped_or_left_aside_is_released_first(client: Client, backend: RedisBackend) -> None:
    client.answers = [[b"gone"], 1, 0, [b"aside"], 1, None, [0]]

    backend.sweep()

    assert client.calls == [
        ("release", b"gone", "1000.0"), ("release", b"gone", "1000.0"), ("drop", "aside", "1000.0", "inf"),
        ("unused", "940.0", 0, 500),
    ]  # fmt: skip
    assert client.sets == [("zrangebyscore", 0, 1000.0 - 6 * 3600), ("zrem", "aside")]


def test_a_blob_is_there_with_its_first_chunk_which_is_written_last(client: Client, backend: RedisBackend) -> None:
    client.answers = [1, 0]

    backend.write_blob("b", iter((b"0", b"1", b"2")))
    assert [backend.has_blob("b"), backend.has_blob("b")] == [True, False]

    unused = ("mockserver:unused", {"b": 1000.0})
    assert client.sets == [
        unused,
        ("mockserver:b\x1fb\x1f1", b"1", {}),
        ("mockserver:b\x1fb\x1f2", b"2", {}),
        ("mockserver:b\x1fb\x1f0", b"0", {}),
        unused,
    ]


def test_a_commit_is_given_with_its_facts_and_changes(client: Client, backend: RedisBackend) -> None:
    changes = Changes(frozenset({"kept"}), [("c", "gone")], [Put("c", "k", b"v", True, ("x", "y"))])
    client.answers = [b"8", b""]

    assert backend.commit([Commit("s", 7, changes, Facts("key", True, 2.5), 1.5)]) == [8]
    assert backend.commit([Commit("s", 0, Changes(None, [], []), None, 1.5)]) == [None]

    assert client.calls == [
        ("commit", "s", 7, "1.5", "key", 1, "2.5", 1, "kept", "", 1, "c", "gone", "c", "k", b"v", 1, "x y"),
        ("commit", "s", 0, "1.5", "", "-", "", "", "", 0),
    ]


@pytest.mark.parametrize(("seconds", "sweeps"), [(30.0, 0), (30.1, 1)])
def test_a_commit_begins_a_sweep_every_half_minute(
    client: Client, backend: RedisBackend, monkeypatch: pytest.MonkeyPatch, seconds: float, sweeps: int
) -> None:
    begun: list[Any] = []

    def make_thread(**given: Any) -> Any:
        begun.append(given["name"])
        return SimpleNamespace(start=lambda: None)

    monkeypatch.setattr(module, "threading", SimpleNamespace(Thread=make_thread))
    monkeypatch.setattr(module, "monotonic", lambda: backend._swept + seconds)
    client.answers = [b"8", b"9"]

    for _ in range(2):
        backend.commit([Commit("s", 7, Changes(None, [], []), None, 1.5)])
        monkeypatch.setattr(module, "monotonic", lambda now=backend._swept: now)

    assert begun == ["mockserver-sweep"] * sweeps


@pytest.mark.parametrize(
    ("error", "said", "is_full", "is_available"),
    [
        (redis.ConnectionError("lost"), "Redis at db.example:7000/3 does not answer: lost", False, False),
        (redis.TimeoutError("late"), "Redis at db.example:7000/3 does not answer: late", False, False),
        (redis.ResponseError("OOM command not allowed"), "Redis at db.example:7000/3 refuses: OOM command not allowed",
         True, True),
        (redis.ResponseError("x" * 201), f"Redis at db.example:7000/3 refuses: {'x' * 200}", False, True),
    ],
)  # fmt: skip
def test_an_error_of_the_server_fails_the_request(  # noqa: PLR0917  one for each parameter
    client: Client, backend: RedisBackend, error: Exception, said: str, is_full: bool, is_available: bool
) -> None:
    client.answers = [error]

    with pytest.raises(StoreUnavailable) as raised:
        backend.count("s", "things")

    assert (str(raised.value), raised.value.is_full) == (said, is_full)
    assert (backend.is_available, backend.failures, backend.round_trips) == (is_available, 1, 1)


def test_while_the_server_does_not_answer_it_is_not_asked(client: Client, backend: RedisBackend) -> None:
    backend.is_available = False

    with pytest.raises(StoreUnavailable, match=r"^Redis at db.example:7000/3 does not answer$"):
        backend.count("s", "things")

    assert (client.calls, backend.failures, backend.round_trips) == ([], 1, 1)
