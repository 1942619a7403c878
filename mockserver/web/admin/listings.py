"""Admin routes for a sandbox's batches and files. Unlike a client's poll, they make no batch progress."""

from collections.abc import Callable, Generator, Iterator, Mapping
from heapq import merge
from itertools import islice
from typing import Any

from mockserver.api.batch_reads import BatchFacts, BatchItem, BatchReads
from mockserver.api.call import ApiContext
from mockserver.errors import Refusal
from mockserver.http import Response
from mockserver.redaction import redacted_text
from mockserver.web.admin.call import PAGE, AdminCall, AdminRefusal, AdminRoute, Step, page_of, read_page
from mockserver.web.admin.clock import progression_fields
from mockserver.web.admin.views import MAX_CHARACTERS, iso_instant
from mockserver.workers import checkpoint

MAX_ITEMS = 200
Provided = tuple[str, ApiContext, BatchReads]
"""A provider's name, its context, and its functions."""


def listing(kind: str) -> Callable[[AdminCall], Any]:
    """The rows of all providers, each with the provider's name; `next` is the `after` of the following page."""

    def answer(call: AdminCall) -> Any:
        limit, after = read_page(call)
        providers = {service.provider for service in call.engine.services if service.provider}
        found = (
            _row(each.name, row)
            for each in sorted(providers, key=lambda provider: provider.name)
            if kind in each.listings
            for row in each.listings[kind](call.sandbox, call.now)
        )
        rows, more = page_of(islice(found, after, None), limit, after)
        return {kind: rows, "next": more}

    return answer


def _row(provider: str, row: Mapping[str, Any]) -> dict[str, Any]:
    checkpoint()
    return {"provider": provider, **row}


def latest_batches(call: AdminCall) -> Generator[Step, Any, dict[str, Any]]:
    """The batches of all providers, newest first; `next` is the `after` of the following page."""
    limit, after = read_page(call, 50, MAX_ITEMS)
    return (yield Step(call.sandbox.name, lambda: _latest(call, limit, after)))  # type: ignore[no-any-return]


def _latest(call: AdminCall, limit: int, after: int) -> dict[str, Any]:
    with call.sandbox.transaction:
        newest = merge(*(_newest(call, each) for each in _providers(call)), key=lambda row: row[0])
        page, more = page_of(islice(newest, after, None), limit, after)
        found = (_facts_json(call, each, id_) for _, each, id_ in page)
        return {"batches": [each for each in found if each], "next": more}


def _newest(call: AdminCall, provided: Provided) -> Iterator[tuple[float, Provided, str]]:
    """Age, provider and id of a provider's batches, newest first."""
    return ((-created, provided, id_) for created, id_ in provided[2].latest(call.sandbox))


def read_batch(call: AdminCall) -> Generator[Step, Any, dict[str, Any]]:
    """One batch with a page of its items."""
    limit, after = read_page(call, 50, MAX_ITEMS)
    return (yield Step(call.sandbox.name, lambda: _batch(call, limit, after)))  # type: ignore[no-any-return]


def _batch(call: AdminCall, limit: int, after: int) -> dict[str, Any]:
    with call.sandbox.transaction:
        provided, facts = _find(call)
        _, context, reads = provided
        items, more = page_of(reads.items(context, call.sandbox, facts["id"], call.now, after), limit, after)
        return {**facts, "items": [_item_json(each) for each in items], "next": more}


def read_item(call: AdminCall) -> Generator[Step, Any, dict[str, Any]]:
    """One item of a batch, with all of its answer."""
    text = call.path["position"]
    if not (text.isascii() and text.isdigit() and len(text) < 18):
        raise AdminRefusal(404, f"{text[:100]!r} is no item's position.")
    return (yield Step(call.sandbox.name, lambda: _item(call, int(text))))  # type: ignore[no-any-return]


def _item(call: AdminCall, position: int) -> dict[str, Any]:
    with call.sandbox.transaction:
        (_, context, reads), facts = _find(call)
        found = next(reads.items(context, call.sandbox, facts["id"], call.now, position), None)
        if found is None:
            raise AdminRefusal(404, f"The batch has no item {position}.")
        return {**_item_json(found, None), "page": found.page}


def cancel_batch(call: AdminCall) -> Generator[Step, Any, dict[str, Any]]:
    """Cancel a batch, as its client would."""
    return (yield Step(call.sandbox.name, lambda: _cancel(call)))  # type: ignore[no-any-return]


def _cancel(call: AdminCall) -> dict[str, Any]:
    with call.sandbox.transaction:
        provided, facts = _find(call)
        _, context, reads = provided
        if reads.cancel is None:
            raise AdminRefusal(409, f"Batches of {provided[0]} cannot be cancelled.")
        try:
            reads.cancel(context, call.sandbox, facts["id"], call.now)
        except Refusal as refusal:
            raise AdminRefusal(409, refusal.without_frames().detail) from None
        call.engine.settle(call.sandbox)
        return _find(call)[1]


def read_file(call: AdminCall) -> Generator[Step, Any, Response]:
    """The content of a file, as bytes."""
    return (yield Step(call.sandbox.name, lambda: _file(call)))  # type: ignore[no-any-return]


def _file(call: AdminCall) -> Response:
    with call.sandbox.transaction:
        for _, _, reads in _providers(call):
            found = reads.file(call.sandbox, call.path["id"], call.now) if reads.file else None
            if found is not None:
                return Response(200, "application/octet-stream", found.content.chunks())
    raise AdminRefusal(404, "There is no file of this id; it may have been deleted, or have expired.")


def _providers(call: AdminCall) -> Iterator[Provided]:
    known = {service.provider: service.world for service in call.engine.services if service.provider}
    for provider, context in sorted(known.items(), key=lambda each: each[0].name):
        if provider.find_batch_reads is not None:
            yield provider.name, context, provider.find_batch_reads()


def _find(call: AdminCall) -> tuple[Provided, dict[str, Any]]:
    id_ = call.path["id"]
    for each in _providers(call):
        facts = _facts_json(call, each, id_)
        if facts is not None:
            return each, facts
    raise AdminRefusal(404, f"There is no batch {id_[:100]!r} in this sandbox.")


def _facts_json(call: AdminCall, provided: Provided, id_: str) -> dict[str, Any] | None:
    name, context, reads = provided
    facts: BatchFacts | None = reads.read(context, call.sandbox, id_, call.now)
    if facts is None:
        return None
    shown = facts._asdict() | {
        "progression": progression_fields(facts.progression.kind, facts.progression.amount),
        "timeline": [
            {"name": each.name, "at": _instant(each.at), "is_over": each.at is not None and each.at <= call.now}
            for each in facts.timeline
        ],
        "errors": [each._asdict() for each in facts.errors],
    }
    return {"provider": name, **shown}


def _item_json(item: BatchItem, most: int | None = MAX_CHARACTERS) -> dict[str, Any]:
    """The item; texts are cut to `most` characters, and `page` is only whether there is one."""
    shown = {"input": redacted_text(item.input[:most]), "output": redacted_text(item.output[:most], is_answer=True)}
    return item._asdict() | shown | {"at": _instant(item.at), "page": bool(item.page)}


def _instant(at: float | None) -> str | None:
    return None if at is None else iso_instant(at)


ROUTES = (
    AdminRoute("GET", "/batches", listing("batches"), parameters=PAGE, grows=True),
    AdminRoute("GET", "/files", listing("files"), parameters=PAGE, grows=True),
    AdminRoute("GET", "/batches/latest", latest_batches, parameters=PAGE, in_steps=True, grows=True),
    AdminRoute("GET", "/batches/{id}", read_batch, parameters=PAGE, in_steps=True, grows=True),
    AdminRoute("GET", "/batches/{id}/items/{position}", read_item, in_steps=True, grows=True),
    AdminRoute("POST", "/batches/{id}/cancel", cancel_batch, in_steps=True, grows=True),
    AdminRoute("GET", "/files/{id}/content", read_file, in_steps=True, grows=True),
)
