"""Reads the batches and conversations of a sandbox, to see whether an imported one can be read."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import msgspec

from mockserver.api.call import ApiContext
from mockserver.api.provider import Reading
from mockserver.providers.agentfirst.batch_reads import read
from mockserver.providers.agentfirst.completions import TARGETING
from mockserver.providers.agentfirst.statuses import RequestKind
from mockserver.sandbox.batches import Batch
from mockserver.sandbox.blobs import read_body
from mockserver.sandbox.clock import LATEST
from mockserver.sandbox.sandbox import Sandbox
from mockserver.sandbox.snapshot.values import read_document

TEXTS = ("model", "format", *TARGETING, *(f"{name} (planned)" for name in TARGETING))
Body = msgspec.defstruct(
    "Body",
    [
        *((f"text_{n}", str | None, msgspec.field(name=name, default=None)) for n, name in enumerate(TEXTS)),
        ("expiration", float | None, None),
    ],
)
"""The parts of a batch's body from which its completions are made, beside the prompts."""


def read_back(context: ApiContext, sandbox: Sandbox) -> Iterator[Reading]:
    """The batches and conversations now and after their end."""
    for id_, batch in sandbox.batches.items():
        if batch.kind in set(RequestKind):
            yield Reading("batches", id_, partial(_read_batch, context, sandbox, batch))


def _read_batch(context: ApiContext, sandbox: Sandbox, batch: Batch) -> dict[str, Any]:
    read_document(read_body(batch.body), Body, "body")
    for now in (sandbox.clock.now(), LATEST):
        facts = read(context, sandbox, batch.id, now)
    return {"id": batch.id, "total": facts.total if facts else 0}
