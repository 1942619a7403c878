"""Consistency checks of imported batches and conversations."""

from collections.abc import Iterator, Mapping
from typing import Any

from mockserver.api.call import ApiContext
from mockserver.providers.agentfirst.answer_versions import READ
from mockserver.providers.agentfirst.completions import TARGETING
from mockserver.sandbox.batches import Batch
from mockserver.sandbox.snapshot.checks import Inconsistency

TEXTS = ("model", "format", *TARGETING, *(f"{name} (planned)" for name in TARGETING))


def snapshot_problems(world: ApiContext, shelves: Mapping[str, Mapping[str, Any]]) -> Iterator[Inconsistency]:
    """Inconsistencies that would make completions fail. That bodies are JSON with texts has been checked."""
    del world
    batches: Mapping[str, Batch] = shelves.get("batches", {})
    for key, read in shelves.get(READ, {}).items():
        if not 0 <= read <= len(batches):
            yield Inconsistency(f"{READ}.{key}", "more batches were read than there are, or less than none")
    for id_, batch in batches.items():
        request = batch.request()
        if not all(isinstance(request.get(name), str | None) for name in TEXTS):
            yield Inconsistency(
                f"batches.{id_}", f"its body says of {', '.join(TEXTS[:2])} or its targeting what is no text"
            )
        if not isinstance(request.get("expiration"), int | float | None):
            yield Inconsistency(f"batches.{id_}", "its body says of expiration what is no number")
