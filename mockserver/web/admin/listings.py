"""Admin routes that list a sandbox's batches and files. Unlike a client's poll, they make no batch progress."""

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from mockserver.web.admin.call import MAX_ROWS, PAGE, AdminCall, AdminRoute, read_count
from mockserver.workers import checkpoint


def listing(kind: str) -> Callable[[AdminCall], Any]:
    """The rows of all providers, each with the provider's name; `next` is the `after` of the following page."""

    def answer(call: AdminCall) -> Any:
        limit, after = read_count(call, "limit", 100, MAX_ROWS), read_count(call, "after", 0, 2**53)
        providers = {service.provider for service in call.engine.services if service.provider}
        found = (
            _row(each.name, row)
            for each in sorted(providers, key=lambda provider: provider.name)
            if kind in each.listings
            for row in each.listings[kind](call.sandbox, call.now)
        )
        rows = list(islice(found, after, after + limit + 1))
        return {kind: rows[:limit], "next": after + limit if len(rows) > limit else None}

    return answer


def _row(provider: str, row: Mapping[str, Any]) -> dict[str, Any]:
    checkpoint()
    return {"provider": provider, **row}


VERBS = (
    AdminRoute("GET", "/batches", listing("batches"), parameters=PAGE, grows=True),
    AdminRoute("GET", "/files", listing("files"), parameters=PAGE, grows=True),
)
