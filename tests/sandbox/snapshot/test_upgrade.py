"""Exports of earlier versions can be imported."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from batch_client import BatchClient, chats
from builders import ask, make_engine

from mockserver.engine.engine import Engine
from mockserver.sandbox.snapshot.export import restore
from mockserver.sandbox.snapshot.values import SnapshotError
from mockserver.web.admin.snapshots import read_import

VERSION_2 = Path(__file__).parent / "version2.json"
"""An export of a sandbox in which `use_both_apis` was done, written by the last version that wrote format 2."""


def make_frozen() -> Engine:
    return make_engine(clock="frozen@2026-04-12T00:00:00Z", progression="time:60")


def use_both_apis(engine: Engine) -> None:
    client = BatchClient(engine, token="ann")
    ask(engine, "POST", "/ai/batches", token="ann", json={"prompts": ["one", "two [mock:fail]"]})
    messages = [{"role": "user", "content": "hello"}]
    ask(engine, "POST", "/v1/chat/completions", token="ann", json={"model": "gpt-4o-mini", "messages": messages})
    ask(
        engine,
        "POST",
        "/api/v1/prompts",
        token="ann",
        json={"slug": "sum", "name": "Sum", "template": "Sum {{ text }}"},
    )
    client.run(chats(2))
    client.sandbox.clock.advance(61)
    ask(engine, "GET", "/user", token="ann")
    ask(engine, "POST", "/ai/batches", token="ann", json={"prompts": ["three"]})


def answers(engine: Engine) -> list[Any]:
    """What the sandbox answers from now on: its lists, balance and usage, and the ids of new batches."""
    paths = ("/user", "/v1/files", "/v1/batches", "/api/v1/prompts")
    found = [ask(engine, "GET", path, token="ann").body for path in paths]
    found += [ask(engine, "POST", "/ai/batches", token="ann", json={"prompts": ["three"]}).body for _ in range(2)]
    engine.sandboxes.open("ann").clock.advance(600)
    return [*found, *(ask(engine, "GET", path, token="ann").body for path in paths)]


def document() -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(VERSION_2.read_bytes())
    return found


def test_an_export_of_version_2_is_imported_and_goes_on_as_the_original() -> None:
    original, importing = make_frozen(), make_frozen()
    use_both_apis(original)

    restore(importing.sandboxes.open("ann"), read_import(importing, document()))

    assert answers(importing) == answers(original)


@pytest.mark.parametrize(
    ("collection", "value"),
    [
        ("accounts", 5),
        ("accounts", {"a": {}}),
        ("accounts", {"a": {"v": {"settled": 1, "open": {"b": "x"}, "batches": []}}}),
        ("accounts", {"a": {"v": {"settled": 1, "open": {"b": 1}, "batches": []}}}),
        ("usage", {"a": 1}),
        ("usage", {"a": {"b": 1}}),
        ("jobs", 7),
    ],
)
def test_an_export_of_version_2_that_no_server_wrote_is_refused(collection: str, value: Any) -> None:
    changed = document()
    changed["sandbox"]["shelves"][collection] = value

    with pytest.raises(SnapshotError, match="sandbox"):
        read_import(make_frozen(), changed)


@pytest.mark.parametrize("sandbox", [None, [], "text", {}, {"shelves": 5}])
def test_a_version_2_without_collections_is_refused(sandbox: Any) -> None:
    with pytest.raises(SnapshotError, match="sandbox"):
        read_import(make_frozen(), {**document(), "sandbox": sandbox})
