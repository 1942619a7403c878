"""Admin routes for accounts: credits, ledger and usage."""

from itertools import islice
from typing import Any

from mockserver.sandbox.accounts import Account, facts_of
from mockserver.web.admin.call import (
    MAX_NUMBER,
    PAGE,
    AdminCall,
    AdminRefusal,
    AdminRoute,
    object_schema,
    page_of,
    read_page,
)
from mockserver.web.admin.views import iso_instant


def accounts(call: AdminCall) -> Any:
    limit, after = read_page(call, MAX_NUMBER, MAX_NUMBER)
    found = islice(call.sandbox.accounts.every(), after, after + limit)
    return {"accounts": (_account(call, each) for each in found)}


def account(call: AdminCall) -> Any:
    return _account(call, _find_account(call))


def put_account(call: AdminCall) -> Any:
    token, body, book = call.path["token"], call.body, call.sandbox.accounts
    found = book.with_key(token) or call.engine.find_account(call.sandbox, token)
    if found is None:
        found = book.open(facts_of(token), call.now)
    if "credits" in body:
        found = book.set_balance(found, int(body["credits"]), call.now)
    found = found._replace(is_operator_made=True, email=body.get("email", found.email))
    if "revoked" in body:
        found = found._replace(revoked=body["revoked"], revoked_at=None)
    book.put(found)
    return _account(call, found)


def usage(call: AdminCall) -> Any:
    """By provider, what the sandbox's accounts used; providers without meters are left out.

    `limit` and `after` page the meter events of each; `next` is the `after` of the following page, null at the end.
    """
    limit, after = read_page(call)
    reporting = {service.provider: service.world for service in call.engine.services if service.provider}
    return {
        provider.name: provider.usage_report(world, call.sandbox, after, limit)
        for provider, world in reporting.items()
        if provider.usage_report
    }


def ledger(call: AdminCall) -> Any:
    """The account's charges, oldest first; `next` is the `after` of the following page, null at the end."""
    found = _find_account(call)
    limit, after = read_page(call)
    rows, more = page_of(islice(call.sandbox.accounts.ledger(found, call.now), after, None), limit, after)
    entries = [{**row._asdict(), "at": iso_instant(row.at)} for row in rows]
    return {"credits": call.sandbox.accounts.balance(found, call.now), "entries": entries, "next": more}


ACCOUNT: dict[str, Any] = {
    "credits": {"type": "integer", "minimum": -(2**53), "maximum": 2**53},
    "email": {"type": "string", "minLength": 1, "maxLength": 320},
    "revoked": {"type": "boolean"},
}
"""The schema of the body: what can be set of an account."""

ROUTES = (
    AdminRoute("GET", "/accounts", accounts, parameters=PAGE, grows=True),
    AdminRoute("GET", "/accounts/{token}", account, grows=True),
    AdminRoute(
        "PUT",
        "/accounts/{token}",
        put_account,
        object_schema(**ACCOUNT),
        grows=True,
    ),
    AdminRoute("GET", "/accounts/{token}/ledger", ledger, parameters=PAGE, grows=True),
    AdminRoute("GET", "/usage", usage, parameters=PAGE, grows=True),
)


def _find_account(call: AdminCall) -> Account:
    """The account, open or as it would be opened. Does not open it."""
    found = call.sandbox.accounts.peek(call.path["token"], call.now, magic=call.engine.settings.magic)
    if found is None:
        raise AdminRefusal(404, "The accounts are closed, and this token is not among them.")
    return found


def _account(call: AdminCall, found: Account) -> dict[str, Any]:
    balance = call.sandbox.accounts.balance(found, call.now)
    return {"key": found.key, "email": found.email, "credits": balance, "revoked": found.is_revoked(call.now)}
