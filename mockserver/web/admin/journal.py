"""Admin routes for the journal: list, summarise, count, find, order."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from mockserver.api.provider import BoundOperation
from mockserver.errors import Reason
from mockserver.http import FIXTURE_SOURCE, SOURCES
from mockserver.openapi.router import MAX_NAME
from mockserver.openapi.schema import Schema
from mockserver.redaction import redacted_json, secrets_in
from mockserver.sandbox.journal import Exchange
from mockserver.sandbox.sandbox import Sandbox
from mockserver.sandbox.stubs.matcher import ANY
from mockserver.sandbox.stubs.search import SEARCH_PROPERTIES, Search, find_order, read_search
from mockserver.text import nearest
from mockserver.verify.near_miss import MAX_PROMPTS, NearMiss, NearMissFinder, UnmatchedPrompts
from mockserver.web.admin.call import (
    MAX_NUMBER,
    MAX_ROWS,
    PAGE,
    AdminCall,
    AdminRefusal,
    AdminRoute,
    deduplicated,
    read_count,
    read_page,
)
from mockserver.web.admin.views import exchange_summary, exchanges_json, iso_instant, public_name
from mockserver.workers import checkpoint

MAX_ORDER = 100
MAX_EXAMINED = 10_000
"""The most requests that one page of summaries examines."""
MAX_TEXT = 200
"""The most characters of a text that is searched."""
MAX_EXPLAINED = 100
KINDS = ("operation", "fixture")
LOST = frozenset({"no-such-path", "method-not-allowed"})


def requests(call: AdminCall) -> Any:
    limit, after = read_page(call)
    wanted: dict[str, Any] = {name: value for name, value in call.query.items() if name in _SIMPLE}
    if "status" in wanted and not wanted["status"].upper().endswith("XX"):
        wanted["status"] = read_count(call, "status", 0, 999)
    search = _read_filter(call, wanted)
    return exchanges_json(call.sandbox, islice(call.sandbox.journal.find(search.finds, after), limit))


def _read_filter(call: AdminCall, wanted: Mapping[str, Any]) -> Search:
    """The search of parameters; a status may be a number or a class such as `4XX`. Raises AdminRefusal."""
    status = wanted.get("status")
    if isinstance(status, str) and status.isascii() and status.isdigit():
        wanted = {**wanted, "status": int(status[:4])}
    violations = _SEARCH.violations(wanted, ("query",))
    if violations:
        raise AdminRefusal(422, "The query is not what this call takes.", deduplicated(violations))
    return _search(call, wanted)


def summaries(call: AdminCall) -> Any:
    """Requests without their headers and bodies, newest first; `next` is the `before` of the following page.

    `text` is searched in paths, queries and bodies, without regard to the case of ASCII letters. A page ends after
    MAX_EXAMINED requests, however few of them match.
    """
    limit, before = read_page(call)[0], read_count(call, "before", MAX_NUMBER, MAX_NUMBER)
    text = call.query.get("text", "")[:MAX_TEXT].encode().lower()
    search = _read_filter(call, {name: value for name, value in call.query.items() if name in _SIMPLE and value})
    journal = call.sandbox.journal
    page: list[Exchange] = []
    oldest = before
    for each in journal.latest(before, MAX_EXAMINED):
        oldest = each.number
        if _is_found(each, search, text):
            page.append(each)
            if len(page) > limit:
                oldest = page[-2].number if limit else 0
                break
    return {
        "requests": [_summary(each, call.sandbox) for each in page[:limit]],
        "next": oldest if journal.dropped + 1 < oldest <= journal.seen else None,
        "seen": journal.seen,
        "dropped": journal.dropped,
    }


def _is_found(exchange: Exchange, search: Search, text: bytes) -> bool:
    checkpoint()
    return search.finds(exchange) and (not text or _contains(exchange, text))


def _contains(exchange: Exchange, text: bytes) -> bool:
    request, body = exchange.request, exchange.response.body
    head = f"{request.method} {request.path}?{request.query}".encode("utf-8", "surrogatepass")
    return any(text in each.lower() for each in (head, request.body, body) if isinstance(each, bytes))


def _summary(exchange: Exchange, sandbox: Sandbox) -> dict[str, Any]:
    summary = exchange_summary(exchange._replace(violations=()), public_name(sandbox))
    return {
        **summary,
        "at": iso_instant(exchange.at),
        "operation": exchange.operation,
        "violations": len(exchange.violations),
        "seconds": round(sandbox.journal.seconds(exchange.number), 6),
        "delay": exchange.response.delay,
    }


def delete_requests(call: AdminCall) -> Any:
    forgotten = call.sandbox.journal.seen
    call.sandbox.journal.clear()
    return {"forgotten": forgotten}


def count_requests(call: AdminCall) -> Any:
    wanted = dict(call.body)
    expected = {name: wanted.pop(name) for name in _EXPECTED if name in wanted}
    count = sum(1 for _ in call.sandbox.journal.find(_search(call, wanted).finds))
    answer = {"count": count, "dropped": call.sandbox.journal.dropped}
    return answer | {"met": _is_met(count, expected, dropped=answer["dropped"])} if expected else answer


def _is_met(count: int, expected: Mapping[str, int], *, dropped: int) -> bool | None:
    """Whether the count is as expected; None if dropped exchanges could change the result."""
    least = max(expected.get("exactly", 0), expected.get("at_least", 0))
    most = min(expected.get("exactly", count), expected.get("at_most", count))
    if count > most or (not dropped and count < least):
        return False
    is_certain = not dropped or (count >= least and not expected.keys() & {"exactly", "at_most"})
    return True if is_certain else None


def find_requests(call: AdminCall) -> Any:
    found = call.sandbox.journal.find(_search(call, call.body).finds)
    return exchanges_json(call.sandbox, islice(found, MAX_ROWS))


def order_requests(call: AdminCall) -> Any:
    searches = [_search(call, each) for each in call.body["requests"]]
    order = find_order(searches, call.sandbox.journal.find(lambda _: True))
    answer = {"met": order.missing is None, "numbers": order.numbers, "dropped": call.sandbox.journal.dropped}
    if order.missing is None:
        return answer
    after = f"after exchange {order.numbers[-1]}" if order.numbers else "at all"
    detail = f"requests[{order.missing}] does not occur {after}."
    return answer | {"missing": order.missing, "detail": detail}


def _search(call: AdminCall, definition: Mapping[str, Any]) -> Search:
    """The search of the body. Unknown names are rejected, since a count of 0 would look like success."""
    _check_operation(call, definition.get("operation", ""))
    _check_reason(definition.get("reason", ""))
    _check_source(definition.get("source", ""))
    try:
        return read_search(definition)
    except ValueError as error:
        raise AdminRefusal(422, f"{error}.") from error


def _check_operation(call: AdminCall, key: str) -> None:
    known = [service.operation.key for service in call.engine.services]
    if key and key not in known:
        raise AdminRefusal(422, f"No operation has the key {key[:MAX_NAME]!r}.{_hint(key, known)}")


def _check_reason(word: str) -> None:
    """An empty reason selects accepted requests."""
    if word and word not in set(Reason):
        raise _unknown("reason", word, tuple(Reason))


def _check_source(word: str) -> None:
    """An empty source selects responses without one, e.g. for an unknown path; a trailing `*` matches any rest."""
    is_known = word in {"", *SOURCES} or word.startswith(FIXTURE_SOURCE)
    if not is_known and not (word.endswith(ANY) and any(each.startswith(word[:-1]) for each in _SOURCES)):
        raise _unknown("source", word, _SOURCES)


def _unknown(name: str, word: str, known: Sequence[str]) -> AdminRefusal:
    return AdminRefusal(422, f"{name} is {word[:MAX_NAME]!r}; wanted one of {', '.join(known)}.{_hint(word, known)}")


def _hint(word: str, known: Iterable[str]) -> str:
    near = nearest(word, known)
    return f" Did you mean {near}?" if near else ""


def unmatched_requests(call: AdminCall) -> Any:
    limit, after = read_page(call, 20, MAX_EXPLAINED)
    kind = call.query.get("kind", "")
    if kind not in {"", *KINDS}:
        raise AdminRefusal(400, f"kind is {kind[:100]!r}; wanted {' or '.join(KINDS)}.")
    services = {service.operation.key: service for service in call.engine.services}
    nearness = NearMissFinder([service.operation for service in call.engine.services])
    journal = call.sandbox.journal
    found: list[dict[str, Any]] = []
    upto = after
    number = read_count(call, "number", 0, MAX_NUMBER)
    exchanges = journal.latest(number + 1, 1) if number else journal.find(lambda _: True, after)
    for exchange in exchanges:
        if exchange.number <= after or number not in {0, exchange.number}:
            break
        if len(found) >= limit or nearness.is_exhausted:
            break
        found += [_unmatched_json(each, call.sandbox) for each in _unmatched(exchange, services, nearness, kind)]
        upto = exchange.number
    is_more = upto < journal.seen and journal.seen > journal.dropped
    return {
        "requests": found,
        "next": upto if is_more else None,
        "seen": journal.seen,
        "dropped": journal.dropped,
    }


def _unmatched(
    each: Exchange, services: Mapping[str, BoundOperation], nearness: NearMissFinder, kind: str
) -> Iterator[UnmatchedPrompts]:
    """The exchange, if it matched no operation or no fixture."""
    if each.reason in LOST and not each.operation:
        if kind != "fixture":
            yield UnmatchedPrompts(each, (nearness.operation(each.request),), 1)
    elif kind != "operation" and each.operation in services and each.response.status < 300:
        yield from _without_fixture(each, services[each.operation], nearness)


def _without_fixture(
    exchange: Exchange, service: BoundOperation, nearness: NearMissFinder
) -> Iterator[UnmatchedPrompts]:
    """The exchange, if a fixture could have answered it and none did."""
    fixtures, provider = service.world.fixtures, service.provider
    if exchange.response.source.startswith("fixture"):
        return
    if service.handler is None:
        canned = [each for each in fixtures.responses if each.operation == exchange.operation]
        if canned:
            yield UnmatchedPrompts(exchange, (nearness.response(exchange.request, canned),), 1)
    elif provider is not None and provider.prompts is not None:
        prompts = nearness.unmatched_prompts(provider.prompts(exchange.operation, exchange.request), fixtures)
        if prompts:
            misses = tuple(nearness.completion(each, fixtures) for each in prompts[:MAX_PROMPTS])
            yield UnmatchedPrompts(exchange, misses, len(prompts))


def _unmatched_json(each: UnmatchedPrompts, sandbox: Sandbox) -> dict[str, Any]:
    request = each.exchange.request
    secrets = secrets_in(request.headers.items(), request.query)
    secrets = [secret for secret in secrets if secret != public_name(sandbox)]
    shown: dict[str, Any] = redacted_json(_whole(each), secrets)
    return shown


def _whole(each: UnmatchedPrompts) -> dict[str, Any]:
    request = each.exchange.request
    return {
        "number": each.exchange.number,
        "method": request.method,
        "path": request.path,
        "status": each.exchange.response.status,
        "operation": each.exchange.operation,
        "unmatched": each.unfit,
        "near_misses": [_miss(miss) for miss in each.misses],
    }


def _miss(miss: NearMiss) -> dict[str, Any]:
    return miss._asdict()


_SOURCES = (*SOURCES, f"{FIXTURE_SOURCE}{ANY}")
_SIMPLE = frozenset({"operation", "method", "path", "status", "reason", "source"})
_NUMBER = {"type": "integer", "minimum": 0}
_EXPECTED = {"exactly": _NUMBER, "at_least": _NUMBER, "at_most": _NUMBER}


def _object(properties: Mapping[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


_SEARCH = Schema(_object(SEARCH_PROPERTIES), {})
_COUNT = Schema(_object({**SEARCH_PROPERTIES, **_EXPECTED}), {})
_SEARCHES = {"type": "array", "minItems": 1, "maxItems": MAX_ORDER, "items": _object(SEARCH_PROPERTIES)}
_ORDER = Schema(_object({"requests": _SEARCHES}, "requests"), {})

ROUTES = (
    AdminRoute("GET", "/requests", requests, parameters=PAGE | _SIMPLE, grows=True),
    AdminRoute("DELETE", "/requests", delete_requests, opens=False),
    AdminRoute(
        "GET",
        "/requests/summaries",
        summaries,
        parameters=_SIMPLE | {"limit", "before", "text"},
        grows=True,
    ),
    AdminRoute("POST", "/requests/count", count_requests, _COUNT, opens=False, grows=True),
    AdminRoute("POST", "/requests/find", find_requests, _SEARCH, opens=False, grows=True),
    AdminRoute("POST", "/requests/order", order_requests, _ORDER, opens=False, grows=True),
    AdminRoute("GET", "/requests/unmatched", unmatched_requests, parameters=PAGE | {"kind", "number"}, grows=True),
)
