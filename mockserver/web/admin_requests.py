"""Admin verbs for the journal: what was asked, and how it was answered."""

from itertools import islice
from typing import Any

from mockserver.web.calls import MAX_ROWS, PAGE, AdminCall, Verb, body_of, read_count
from mockserver.web.views import find_exchanges, listed


def requests(call: AdminCall) -> Any:
    limit = read_count(call, "limit", 100, MAX_ROWS)
    after = read_count(call, "after", 0, 2**53)
    wanted = {name: value for name, value in call.query.items() if name not in {"limit", "after"}}
    if "status" in wanted:
        wanted["status"] = read_count(call, "status", 0, 999)  # type: ignore[assignment]  # compared with a number
    found = find_exchanges(call.sandbox, wanted, after)
    return listed(call.sandbox, islice(found, limit))


def delete_requests(call: AdminCall) -> Any:
    forgotten = call.sandbox.journal.seen
    call.sandbox.journal.clear()
    return {"forgotten": forgotten}


def count_requests(call: AdminCall) -> Any:
    return {"count": sum(1 for _ in find_exchanges(call.sandbox, call.body)), "dropped": call.sandbox.journal.dropped}


def find_requests(call: AdminCall) -> Any:
    return listed(call.sandbox, islice(find_exchanges(call.sandbox, call.body), MAX_ROWS))


_MATCHER = body_of(
    operation={"type": "string"},
    method={"type": "string"},
    path={"type": "string"},
    status={"type": "integer"},
    reason={"type": "string"},
    source={"type": "string"},
)

VERBS = (
    Verb("GET", "/requests", requests, parameters=PAGE | _MATCHER.definition["properties"].keys()),
    Verb("DELETE", "/requests", delete_requests, opens=False),
    Verb("POST", "/requests/count", count_requests, _MATCHER, opens=False),
    Verb("POST", "/requests/find", find_requests, _MATCHER, opens=False),
)
