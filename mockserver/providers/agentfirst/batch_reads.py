"""Agent First's batches and conversations as the admin API reads them."""

from collections.abc import Iterator
from typing import Any

import orjson

from mockserver.api.batch_reads import BatchFacts, BatchItem, BatchReads, Milestone, known
from mockserver.api.call import ApiContext
from mockserver.providers.agentfirst.completions import completion_for, questions
from mockserver.providers.agentfirst.statuses import LIFECYCLE, RequestKind, Status, status_of
from mockserver.sandbox.sandbox import Sandbox
from mockserver.stores.collection import latest_of


def latest(sandbox: Sandbox) -> Iterator[tuple[float, str]]:
    return ((each.created, each.id) for each in latest_of(sandbox.batches))


def read(_: ApiContext, sandbox: Sandbox, id_: str, now: float) -> BatchFacts | None:
    batch = sandbox.batches.get(id_)
    if batch is None:
        return None
    status, tally = status_of(batch, now), batch.tally(now)
    has_archive = batch.kind == RequestKind.BATCH and status is Status.SUCCESSFUL
    return BatchFacts(
        id=batch.id,
        kind=batch.kind,
        account=batch.account,
        status=status,
        is_over=LIFECYCLE.is_final(status),
        progression=batch.progression,
        total=batch.size,
        successful=tally.successful,
        failed=tally.failed,
        timeline=(
            Milestone("created", batch.created),
            Milestone("last item", known(batch.items_end())),
            Milestone("finished", known(batch.end())),
        ),
        archive=f"/ai/archives/{sandbox.key}/{batch.id}" if has_archive else "",
    )


def items(context: ApiContext, sandbox: Sandbox, id_: str, now: float, start: int) -> Iterator[BatchItem]:
    """The prompts; an answer is made when it is reached."""
    batch = sandbox.batches.get(id_)
    if batch is None:
        return
    batch = batch.with_outcomes()
    settings = sandbox.conditions.applied_to(context.settings)
    asked = questions(batch, sandbox)
    for index in range(start, batch.size):
        due, failure = batch.due(index), batch.outcome(index).failure
        item = BatchItem(index, "", asked[index].prompt, "pending", known(due))
        if due > now:
            yield item
        elif failure is not None:
            yield item._replace(outcome="failed", output=orjson.dumps({"status": failure}).decode())
        else:
            completion: dict[str, Any] = completion_for(asked[index], context._replace(settings=settings))
            output = orjson.dumps(completion).decode()
            yield item._replace(outcome="successful", output=output, page=str(completion.get("html", "")))


BATCH_READS: BatchReads = BatchReads(latest, read, items)
