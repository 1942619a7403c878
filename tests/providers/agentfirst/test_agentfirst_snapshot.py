"""What makes no sense of an imported batch of Agent First is found before its answers are made."""

from typing import Any

import orjson
import pytest
from builders import make_engine, queue

from mockserver.engine.engine import Engine
from mockserver.providers.agentfirst.snapshot import snapshot_problems
from mockserver.sandbox.batches import Batch


def complaints(engine: Engine, batch: Batch) -> list[tuple[str, str]]:
    world = next(each.world for each in engine.services if each.operation.key == "queueBatch")
    return [*snapshot_problems(world, {"batches": {"one": batch}})]


TEXTS = "its body says of model, format or its targeting what is no text"
AGE = "its body says of expiration what is no number"


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("model", 5, TEXTS),
        ("format", ["rendered"], TEXTS),
        ("country", {"is": "US"}, TEXTS),
        ("language (planned)", 5, TEXTS),
        ("expiration", "1", AGE),
    ],
)
def test_an_import_with_a_body_without_prompts_is_rejected(field: str, value: Any, complaint: str) -> None:
    engine = make_engine()
    id_ = queue(engine, "guitars", model="gemini", country="US", expiration=1)
    batch = engine.sandboxes.open("test").batches.get(id_)
    assert batch is not None
    forged = orjson.dumps({**batch.request(), field: value})

    assert complaints(engine, batch) == []
    assert complaints(engine, batch._replace(body=forged)) == [("batches.one", complaint)]
