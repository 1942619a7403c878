"""Admin routes for the server, and for whole sandboxes: list, create, delete and reset."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mockserver import __version__
from mockserver.sandbox.accounts import DEFAULT_CREDITS, AccountSpec, facts_of
from mockserver.sandbox.clock import LATEST, ClockConfig
from mockserver.sandbox.manager import MAX_NAME
from mockserver.sandbox.record import SandboxOptions
from mockserver.sandbox.sandbox import Sandbox
from mockserver.text import did_you_mean
from mockserver.web.admin.accounts import ACCOUNT
from mockserver.web.admin.call import (
    PAGE,
    AdminCall,
    AdminRefusal,
    AdminRoute,
    object_schema,
    or_422,
    read_page,
)
from mockserver.web.admin.clock import (
    CLOCK,
    PROGRESSION,
    clock_json,
    progression_json,
    read_instant,
    read_progression,
)
from mockserver.web.admin.views import unexpected

MAX_ACCOUNTS = 1000


def version(_: AdminCall) -> Any:
    return {"name": "mockserver", "version": __version__}


def openapi(call: AdminCall) -> Any:
    return call.engine.services[0].world.spec.document


def reset(call: AdminCall) -> Any:
    call.sandbox.reset()
    return {"reset": ["journal", "state", "stubs", "clock", "progression", "conditions"]}


def reset_part(call: AdminCall) -> Any:
    parts: dict[str, Callable[[], object]] = {
        "journal": call.sandbox.journal.clear,
        "state": call.sandbox.reset_state,
        "stubs": call.sandbox.rules.remove,
        "clock": lambda: or_422(call.sandbox.reset_clock),
        "progression": call.sandbox.reset_progression,
        "conditions": call.sandbox.reset_conditions,
    }
    part = call.path["part"]
    if part not in parts:
        raise AdminRefusal(
            404, f"There is no part {part!r} to reset; there are {', '.join(parts)}{did_you_mean(part, parts)}"
        )
    parts[part]()
    return {"reset": [part]}


def sandboxes(call: AdminCall) -> Any:
    """The most recently used first; `next` is the `after` of the following page, null at the end.

    With `text`, those whose shown name contains it.
    """
    book = call.engine.sandboxes
    limit, after = read_page(call)
    found, count = book.page_by_use(after, limit, call.query.get("text", "").lower())
    more = after + limit if count > after + limit else None
    totals = {"count": count, "limit": book.limit, "evicted": book.evicted}
    journals = {"bytes": book.journals.held, "limit": book.journals.limit, "dropped": book.journals.dropped}
    return {"sandboxes": [_row(each) for each in found], **totals, "journals": journals, "next": more}


def sandbox_facts(call: AdminCall) -> Any:
    """One sandbox's row of the list, with its clock, its progression and its number of stubs."""
    name = call.path["name"]
    sandbox = call.engine.sandboxes.named(name)
    if sandbox is None:
        raise AdminRefusal(404, f"There is no sandbox {name[:MAX_NAME]!r}.")
    rules, outbox = sandbox.rules.installed, sandbox.outbox
    return {
        **_row(sandbox),
        "clock": clock_json(sandbox),
        "progression": progression_json(sandbox),
        "stubs": len(rules),
        "matched": sum(rule.matched for rule in rules),
        "callbacks": {
            "pending": outbox.counts()[0] if outbox else 0,
            "attempts": outbox.attempts() if outbox else 0,
        },
    }


def create_sandbox(call: AdminCall) -> Any:
    """Create a sandbox, or pin an existing one; `header` is the value that its clients send."""
    book, body = call.engine.sandboxes, call.body
    name = body.get("name") or book.unused_name()
    own = _read_own(call)
    found = book.named(name)
    if found is not None and own != SandboxOptions():
        detail = f"The sandbox {name!r} is there already, and is what it is; delete it first, or change it bit by bit."
        raise AdminRefusal(409, detail)
    if body.get("hold", True):
        book.check_room_to_pin(name)
    sandbox = book.open(name, own)
    sandbox.is_held = body.get("hold", True)
    sandbox.is_set_up = sandbox.is_set_up and sandbox.is_held
    sandbox.is_named_by_token = sandbox.is_named_by_token and name != sandbox.name
    return {**_row(sandbox), "created": found is None, "header": {"X-Mock-Sandbox": name}}


def delete_sandbox(call: AdminCall) -> Any:
    """`unexpected` are requests that no document allows, so that a test can check and clean up in one call."""
    name = call.path["name"]
    sandbox = call.engine.sandboxes.named(name)
    if sandbox is None:
        raise AdminRefusal(404, f"There is no sandbox {name[:MAX_NAME]!r}.")
    answer = {"deleted": sandbox.shown_name, "unexpected": unexpected(sandbox)}
    call.engine.sandboxes.delete(name)
    return answer


_NAME = {"type": "string", "pattern": "^[!-~]([ -~]*[!-~])?$", "maxLength": MAX_NAME}
_CREATE = object_schema(
    name=_NAME,
    ids_of=_NAME,
    clock=CLOCK.definition,
    progression=PROGRESSION.definition,
    accounts={
        "type": "array",
        "items": object_schema(
            "token", token={"type": "string", "minLength": 1, "maxLength": 8192}, **ACCOUNT
        ).definition,
        "maxItems": MAX_ACCOUNTS,
    },
    hold={"type": "boolean"},
)

ROUTES = (
    AdminRoute("GET", "/version", version),
    AdminRoute("GET", "/openapi.json", openapi),
    AdminRoute("POST", "/reset", reset, opens=False),
    AdminRoute("POST", "/reset/{part}", reset_part, opens=False),
    AdminRoute("GET", "/sandboxes", sandboxes, parameters=PAGE | {"text"}),
    AdminRoute("GET", "/sandboxes/{name}", sandbox_facts),
    AdminRoute("POST", "/sandboxes", create_sandbox, _CREATE, opens=False),
    AdminRoute("DELETE", "/sandboxes/{name}", delete_sandbox, opens=False),
)


def _row(sandbox: Sandbox) -> dict[str, Any]:
    return {
        "name": sandbox.shown_name,
        "key": sandbox.key,
        "held": sandbox.is_in_use,
        "used": sandbox.used,
        **{name.rpartition(".")[2]: size for name, size in sandbox.sizes().items()},
        "requests": sandbox.journal.seen,
        "dropped": sandbox.journal.dropped,
    }


def _read_own(call: AdminCall) -> SandboxOptions:
    body = call.body
    return SandboxOptions(
        clock=_read_start(body["clock"], call.engine.sandboxes.defaults.clock) if "clock" in body else None,
        progression=read_progression(body["progression"]) if "progression" in body else None,
        accounts=_read_accounts(body.get("accounts", ())),
        ids_of=body.get("ids_of", ""),
    )


def _read_start(body: Mapping[str, Any], usual: ClockConfig) -> ClockConfig:
    instant = read_instant(body["now"]) if "now" in body else usual.instant
    if instant is not None and not 0 <= instant <= LATEST:
        raise AdminRefusal(422, f"now is {str(body['now'])[:100]}; wanted an instant from 1970 to 9999.")
    return ClockConfig(body.get("frozen", usual.frozen), instant, body.get("scale", usual.scale))


def _read_accounts(entries: Sequence[Mapping[str, Any]]) -> tuple[AccountSpec, ...]:
    tokens = [entry["token"] for entry in entries]
    if len(set(tokens)) < len(tokens):
        raise AdminRefusal(422, "accounts: a token stands twice.")
    return tuple(
        facts_of(token, each.get("email"), each.get("credits", DEFAULT_CREDITS), each.get("revoked", False))
        for token, each in zip(tokens, entries, strict=True)
    )
