"""An imported batch of Agent First from whose body no completion can be made is refused."""

from typing import Any

import orjson
import pytest
from builders import make_engine, queue

from mockserver.engine.engine import Engine
from mockserver.sandbox.batches import Batch
from mockserver.sandbox.snapshot.values import SnapshotError
from mockserver.web.admin.snapshots import read_import, snapshots_of


def complaint_about(engine: Engine, batch: Batch) -> str:
    """Why an export with this batch is refused; empty if it is imported."""
    snapshots = snapshots_of(engine)
    taken = snapshots.snapshot_of(engine.sandboxes.open("test"))
    kept = {**taken.collections, "batches": {batch.id: batch}}
    document = orjson.loads(b"".join(snapshots.encode(taken._replace(collections=kept))))
    try:
        read_import(engine, document)
    except SnapshotError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("model", 5, "body.model: Expected `str | null`, got `int`"),
        ("format", ["rendered"], "body.format: Expected `str | null`, got `array`"),
        ("country", {"is": "US"}, "body.country: Expected `str | null`, got `object`"),
        ("language (planned)", 5, "body.language (planned): Expected `str | null`, got `int`"),
        ("expiration", "1", "body.expiration: Expected `float | null`, got `str`"),
    ],
)
def test_an_import_with_a_body_without_prompts_is_rejected(field: str, value: Any, complaint: str) -> None:
    engine = make_engine()
    id_ = queue(engine, "guitars", model="gemini", country="US", expiration=1)
    batch = engine.sandboxes.open("test").batches.get(id_)
    assert batch is not None
    forged = orjson.dumps({**batch.request(), field: value})

    assert complaint_about(engine, batch) == ""
    found = complaint_about(engine, batch._replace(body=forged))
    assert found.startswith(f"sandbox.collections.batches.{id_}: it cannot be read back: {complaint}"), found
