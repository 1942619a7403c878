"""What the admin API can do: one row per verb, each a function from a call to a JSON value."""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from mockserver import __version__
from mockserver.contract.schema import Schema
from mockserver.state.batches import Progression
from mockserver.state.clock import LATEST
from mockserver.state.ledger import Account, AccountFacts, email_of
from mockserver.web.calls import AdminCall, AdminRefusal, Verb, body_of
from mockserver.web.views import find_exchanges, instant_of, listed

MAX_ROWS = 1000


def version(call: AdminCall) -> Any:  # noqa: ARG001  every verb takes the call
    return {"name": "mockserver", "version": __version__}


def openapi(call: AdminCall) -> Any:
    return call.engine.services[0].world.spec.document


def reset(call: AdminCall) -> Any:
    call.sandbox.reset()
    return {"reset": ["journal", "state", "clock", "progression"]}


def reset_part(call: AdminCall) -> Any:
    parts = {
        "journal": call.sandbox.journal.clear,
        "state": call.sandbox.reset_state,
        "clock": lambda: _obeyed(call.sandbox.reset_clock),
        "progression": call.sandbox.reset_progression,
    }
    part = call.path["part"]
    if part not in parts:
        raise AdminRefusal(404, f"There is no part {part!r} to reset; there are {', '.join(parts)}.")
    parts[part]()
    return {"reset": [part]}


def requests(call: AdminCall) -> Any:
    limit = _read_count(call, "limit", 100, MAX_ROWS)
    after = _read_count(call, "after", 0, 2**53)
    wanted = {name: value for name, value in call.query.items() if name not in {"limit", "after"}}
    if "status" in wanted:
        wanted["status"] = _read_count(call, "status", 0, 999)  # type: ignore[assignment]  # compared with a number
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


def clock(call: AdminCall) -> Any:
    it = call.sandbox.clock
    now = it.now()
    return {"now": instant_of(now), "unix": now, "frozen": it.is_frozen, "scale": it.scale}


def put_clock(call: AdminCall) -> Any:
    it, body = call.sandbox.clock, call.body
    if "now" in body:
        instant = _read_instant(body["now"])
        _obeyed(lambda: it.set(instant))
    if "scale" in body:
        it.scale_by(body["scale"])
    if "frozen" in body:
        (it.freeze if body["frozen"] else it.resume)()
    return clock(call)


def advance_clock(call: AdminCall) -> Any:
    body = call.body
    seconds = sum(body.get(name, 0) * worth for name, worth in _WORTHS.items())
    _obeyed(lambda: call.sandbox.clock.advance(seconds))
    return clock(call)


def freeze_clock(call: AdminCall) -> Any:
    call.sandbox.clock.freeze()
    return clock(call)


def resume_clock(call: AdminCall) -> Any:
    call.sandbox.clock.resume()
    return clock(call)


def scale_clock(call: AdminCall) -> Any:
    call.sandbox.clock.scale_by(call.body["scale"])
    return clock(call)


def progression(call: AdminCall) -> Any:
    kind, amount = call.sandbox.progression
    return {"progression": kind} | ({_AMOUNTS[kind]: amount} if kind in _AMOUNTS else {})


def put_progression(call: AdminCall) -> Any:
    """Batches queued from now on age so; those queued before keep their way."""
    kind = call.body["progression"]
    amount = call.body[_AMOUNTS[kind]] if kind in _AMOUNTS else 0
    call.sandbox.progression = Progression(kind, int(amount) if kind == "polls" else amount)
    return progression(call)


def accounts(call: AdminCall) -> Any:
    return {"accounts": [_account(call, each) for each in call.sandbox.accounts.every()]}


def account(call: AdminCall) -> Any:
    return _account(call, _find_account(call))


def put_account(call: AdminCall) -> Any:
    token, body = call.path["token"], call.body
    found = call.engine.find_account(call.sandbox, token)
    if found is None:
        found = call.sandbox.accounts.open(AccountFacts(token, email_of(token)), call.now)
    if "credits" in body:
        found.set_balance(int(body["credits"]), call.sandbox.batches, call.now)
    found.email = body.get("email", found.email)
    found.revoked = body.get("revoked", found.revoked)
    return _account(call, found)


def usage(call: AdminCall) -> Any:
    """By provider, what the sandbox's accounts used; providers that meter nothing are left out."""
    reporting = {service.provider: service.world for service in call.engine.services if service.provider}
    return {
        provider.name: provider.report(world, call.sandbox) for provider, world in reporting.items() if provider.report
    }


def ledger(call: AdminCall) -> Any:
    """The account's charges, oldest first; `next` is the `after` of the following page, null at the end."""
    found = _find_account(call)
    limit, after = _read_count(call, "limit", 100, MAX_ROWS), _read_count(call, "after", 0, 2**53)
    rows = list(islice(found.ledger(call.sandbox.batches, call.now), after, after + limit + 1))
    entries = [{**row._asdict(), "at": instant_of(row.at)} for row in rows[:limit]]
    more = after + limit if len(rows) > limit else None
    return {"credits": found.balance(call.sandbox.batches, call.now), "entries": entries, "next": more}


_AMOUNTS = {"time": "seconds", "polls": "polls"}
_WORTHS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400}
_POSITIVE = {"type": "number", "exclusiveMinimum": 0, "maximum": 1e12}
_MATCHER = body_of(
    operation={"type": "string"},
    method={"type": "string"},
    path={"type": "string"},
    status={"type": "integer"},
    reason={"type": "string"},
    source={"type": "string"},
)
_PAGE = frozenset({"limit", "after"})
_SPAN = body_of(at_least=1, **{name: {"type": "number", "minimum": 0, "maximum": LATEST} for name in _WORTHS})
_PROGRESSION = Schema(
    {
        "oneOf": [
            body_of("progression", progression={"const": "immediate"}).definition,
            body_of(
                "progression",
                "seconds",
                progression={"const": "time"},
                seconds={"type": "number", "minimum": 0, "maximum": 1e12},
            ).definition,
            body_of(
                "progression",
                "polls",
                progression={"const": "polls"},
                polls={"type": "integer", "minimum": 1, "maximum": 10**6},
            ).definition,
        ]
    },
    {},
)

VERBS = (
    Verb("GET", "/version", version),
    Verb("GET", "/openapi.json", openapi),
    Verb("POST", "/reset", reset),
    Verb("POST", "/reset/{part}", reset_part),
    Verb("GET", "/requests", requests, parameters=_PAGE | _MATCHER.definition["properties"].keys()),
    Verb("DELETE", "/requests", delete_requests),
    Verb("POST", "/requests/count", count_requests, _MATCHER),
    Verb("POST", "/requests/find", find_requests, _MATCHER),
    Verb("GET", "/clock", clock),
    Verb(
        "PUT",
        "/clock",
        put_clock,
        body_of(now={"type": ["string", "number"]}, frozen={"type": "boolean"}, scale=_POSITIVE),
    ),
    Verb("POST", "/clock/advance", advance_clock, _SPAN),
    Verb("POST", "/clock/freeze", freeze_clock),
    Verb("POST", "/clock/resume", resume_clock),
    Verb("POST", "/clock/scale", scale_clock, body_of("scale", scale=_POSITIVE)),
    Verb("GET", "/progression", progression),
    Verb("PUT", "/progression", put_progression, _PROGRESSION),
    Verb("GET", "/accounts", accounts),
    Verb("GET", "/accounts/{token}", account),
    Verb(
        "PUT",
        "/accounts/{token}",
        put_account,
        body_of(
            credits={"type": "integer", "minimum": -(2**53), "maximum": 2**53},
            email={"type": "string", "minLength": 1, "maxLength": 320},
            revoked={"type": "boolean"},
        ),
    ),
    Verb("GET", "/accounts/{token}/ledger", ledger, parameters=_PAGE),
    Verb("GET", "/usage", usage),
)


def _find_account(call: AdminCall) -> Account:
    found = call.engine.find_account(call.sandbox, call.path["token"])
    if found is None:
        raise AdminRefusal(404, "The accounts are closed, and this token is not among them.")
    return found


def _account(call: AdminCall, found: Account) -> dict[str, Any]:
    balance = found.balance(call.sandbox.batches, call.now)
    return {"token": found.token, "email": found.email, "credits": balance, "revoked": found.revoked}


def _read_instant(came: str | float) -> float:
    if isinstance(came, int | float):
        return came
    try:
        instant = datetime.fromisoformat(came)
    except ValueError as error:
        raise AdminRefusal(422, f"now is {came[:100]!r}; wanted an ISO 8601 instant or Unix seconds.") from error
    return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()


def _obeyed(change: Callable[[], None]) -> None:
    try:
        change()
    except ValueError as error:
        raise AdminRefusal(422, f"{error}.") from error


def _read_count(call: AdminCall, name: str, default: int, most: int) -> int:
    text = call.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 18 and int(text) <= most):
        raise AdminRefusal(400, f"{name} is {text[:100]!r}; wanted a whole number up to {most}.")
    return int(text)
