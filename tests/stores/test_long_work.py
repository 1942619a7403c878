"""A long batch in a shared store: one process works on it, once."""

from collections.abc import Iterator, Sequence
from threading import Event, Thread
from typing import Any

import pytest
from builders import ask, make_engine, make_request, value_of
from store_processes import lines
from store_servers import redis_server

from mockserver.engine.engine import Engine
from mockserver.http import Upload
from mockserver.providers.agilecloud.batches import operations
from mockserver.sandbox.blobs import Blob
from mockserver.stores.backend import Commit
from mockserver.stores.codec import CHUNK_BYTES
from mockserver.stores.retry import retried


@pytest.fixture(params=("sqlite", "redis"))
def engines(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[list[Engine]]:
    url = f"sqlite://{tmp_path}/x.db" if request.param == "sqlite" else redis_server().new_url()
    made = [make_engine(store=url, progression="polls:1") for _ in range(2)]
    yield made
    for each in made:
        each.sandboxes.close()


def create_job(engine: Engine, count: int = 300, size: int = 100) -> str:
    upload = Upload("x.jsonl", "", Blob.in_memory(lines(count, size)))
    request = make_request("POST", "/v1/files", headers={"content-type": "multipart/form-data"})
    file = value_of(engine.handle(request._replace(form={"purpose": "batch", "file": upload})))["id"]
    body = {"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    return str(value_of(ask(engine, "POST", "/v1/batches", json=body))["id"])


def test_other_processes_show_a_batch_as_validating_while_one_works_on_its_lines(
    engines: list[Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = engines
    id_ = create_job(one)
    began, may_end = Event(), Event()
    runs: list[Any] = []
    run_lines: Any = vars(operations)["run_lines"]

    def slow(*given: Any, **options: Any) -> Any:
        runs.append(given)
        began.set()
        assert may_end.wait(20)
        return run_lines(*given, **options)

    monkeypatch.setattr(operations, "run_lines", slow)
    answers: list[Any] = []

    def read(engine: Engine) -> Any:
        return value_of(retried(lambda: ask(engine, "GET", f"/v1/batches/{id_}")))

    thread = Thread(target=lambda: answers.append(read(one)))
    thread.start()
    assert began.wait(20)

    meanwhile = [read(other)["status"] for _ in range(3)]
    may_end.set()
    thread.join()

    assert meanwhile == ["validating"] * 3
    assert answers[0]["status"] == "completed"
    assert len(runs) == 1, "the other process has changed the sandbox meanwhile, and the lines were worked on again"
    assert read(other) == answers[0]


def largest_steps(engine: Engine, lines_: int, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int, int]:
    """The most values and the most bytes that one commit has, and the largest piece of a blob, for a whole batch.

    The engine of a store is locked for one commit or one piece at a time.
    """
    backend: Any = vars(engine.sandboxes)["_backend"]
    values: list[int] = []
    sizes: list[int] = []
    pieces: list[int] = []
    commit, write_blob = backend.commit, backend.write_blob

    def commit_measured(commits: Sequence[Commit]) -> Any:
        changes = [each.changes for each in commits]
        values.append(sum(len(each.put) + len(each.deleted) for each in changes))
        sizes.append(sum(len(put.content) for each in changes for put in each.put))
        return commit(commits)

    def write_measured(id_: str, chunks: Iterator[bytes]) -> None:
        parts = list(chunks)
        pieces.extend(map(len, parts))
        write_blob(id_, iter(parts))

    with monkeypatch.context() as patched:
        patched.setattr(backend, "commit", commit_measured)
        patched.setattr(backend, "write_blob", write_measured)
        id_ = create_job(engine, lines_, 500)
        assert value_of(ask(engine, "GET", f"/v1/batches/{id_}"))["status"] == "completed"
    return max(values), max(sizes), max(pieces)


def test_the_store_is_locked_for_small_steps_however_long_a_batch_is(
    engines: list[Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = (largest_steps(engines[0], count, monkeypatch) for count in (200, 2000))

    assert large[0] == small[0] <= 30
    assert large[1] <= small[1] + 2 * 1800  # of a line, a byte for whether it has succeeded
    assert large[2] == CHUNK_BYTES
