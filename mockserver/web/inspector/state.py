"""The clock, the accounts and the callbacks of a sandbox."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from mockserver.web.inspector.admin_calls import AdminCallError
from mockserver.web.inspector.view import ROWS_OF_A_PAGE, Page, View, quoted
from mockserver.web.paths import INSPECTOR_PREFIX

SPANS = ("minutes", "hours", "days")


async def change_clock(view: View) -> Response:
    """Freeze, resume or advance; then back to the page with the buttons."""
    action = view.field("do")
    if action in {"freeze", "resume"}:
        await view.change("POST", f"/clock/{action}")
    else:
        given = {name: read_number(view.field(name), name) for name in SPANS if view.field(name)}
        await view.change("POST", "/clock/advance", given)
    back = view.field("back")
    page = back.partition(INSPECTOR_PREFIX)[2] if back.startswith(f"{view.base}/ui/") else "/requests"
    query = {"after": view.field("after")} if view.field("after") else {}
    return view.redirect(page if page.startswith("/") else "/requests", **query)


def read_number(text: str, name: str) -> float | int:
    """The number in a field of a form; raises AdminCallError."""
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        raise AdminCallError(422, f"{name} is {text[:100]!r}; wanted a number.") from None


async def list_accounts(view: View) -> Response:
    """The accounts with their credits, and what they used."""
    found = await view.get("/accounts", limit=ROWS_OF_A_PAGE + 1, after=view.argument("after"))
    accounts: list[Any] = found["accounts"]
    shown = {each["key"] for each in accounts[:ROWS_OF_A_PAGE]}
    usage = {
        name: {**report, "accounts": {key: used for key, used in report["accounts"].items() if key in shown}}
        for name, report in (await view.get("/usage", limit=0)).items()
    }
    start = int(view.argument("after") or "0") if view.argument("after").isdigit() else 0
    return await view.page(
        "accounts.html",
        accounts=accounts[:ROWS_OF_A_PAGE],
        next=start + ROWS_OF_A_PAGE if len(accounts) > ROWS_OF_A_PAGE else None,
        usage=usage,
    )


async def show_account(view: View) -> Response:
    """One account with its ledger."""
    key = view.request.path_params["key"]
    account = await view.get(f"/accounts/{key}")
    ledger = await view.get(f"/accounts/{key}/ledger", limit=ROWS_OF_A_PAGE, after=view.argument("after"))
    usage = await view.get("/usage", limit=0)
    used = {name: each["accounts"][key] for name, each in usage.items() if key in each["accounts"]}
    return await view.page("account.html", account=account, ledger=ledger, used=used)


async def change_account(view: View) -> Response:
    """Set the balance, revoke, or make good again."""
    key = view.request.path_params["key"]
    body: dict[str, Any] = {}
    if view.field("credits"):
        body["credits"] = read_number(view.field("credits"), "credits")
    if view.field("revoked"):
        body["revoked"] = view.field("revoked") == "true"
    await view.change("PUT", f"/accounts/{key}", body)
    return view.redirect(f"/accounts/{quoted(key)}", done="account")


async def list_callbacks(view: View) -> Response:
    """The inbox of callbacks, with payloads and attempts."""
    found = await view.get(
        "/callbacks", limit=ROWS_OF_A_PAGE, after=view.argument("after"), state=view.argument("state")
    )
    return await view.page("callbacks.html", found=found)


async def redeliver(view: View) -> Response:
    await view.change("POST", f"/callbacks/{view.field('id')}/redeliver")
    return view.redirect("/callbacks", done="redelivered")


PAGES: Mapping[str, Page] = {
    "/accounts": list_accounts,
    "/accounts/{key}": show_account,
    "/callbacks": list_callbacks,
}
ACTIONS: Mapping[str, Page] = {
    "/clock": change_clock,
    "/accounts/{key}": change_account,
    "/callbacks/redeliver": redeliver,
}
