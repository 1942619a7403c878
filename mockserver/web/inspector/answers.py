"""What happens next: scenarios, stubs and faults of a sandbox."""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response

from mockserver.json_bodies import JsonError, parse_json
from mockserver.sandbox.stubs.faults import faults_json
from mockserver.web.inspector.admin_calls import AdminCallError
from mockserver.web.inspector.state import read_number
from mockserver.web.inspector.view import Page, View

MAX_SHOWN = 200
"""The most stubs that a page shows."""


async def show_next(view: View) -> Response:
    """The scenarios that can be applied, and the stubs and faults that are installed."""
    stubs = (await view.get("/stubs"))["stubs"]
    shown = [{**each, "definition": orjson.dumps(each["definition"]).decode()[:2000]} for each in stubs[:MAX_SHOWN]]
    return await view.page(
        "next.html",
        scenarios=(await view.get("/scenarios"))["scenarios"],
        stubs=shown,
        more=len(stubs) - len(shown),
        conditions=(await view.get("/conditions"))["conditions"],
        operations=await view.operations(),
        faults=faults_json(),
    )


async def apply_scenario(view: View) -> Response:
    reset = "reset=true" if view.field("reset") else ""
    await view.change("POST", f"/scenarios/{view.field('name')}", query=reset)
    return view.redirect("/next", done="scenario")


async def add_stub(view: View) -> Response:
    """A stub or a fault of the form."""
    definition: dict[str, Any] = {"operation": view.field("operation")} if view.field("operation") else {}
    if view.field("times"):
        definition["times"] = read_number(view.field("times"), "times")
    if view.field("fault"):
        definition["fault"] = {"type": view.field("fault"), **_object(view.field("fields"), "fields")}
    else:
        reply: dict[str, Any] = {"status": read_number(view.field("status") or "200", "status")}
        text = view.field("body")
        if text:
            try:
                reply["body"] = parse_json(text.encode("utf-8", "replace"))
            except JsonError:
                reply["text"] = text
        definition |= {"reply": reply, "undocumented": bool(view.field("undocumented"))}
    await view.change("POST", "/next", definition)
    return view.redirect("/next", done="stub")


def _object(text: str, name: str) -> dict[str, Any]:
    try:
        value = parse_json(text.encode("utf-8", "replace")) if text else {}
    except JsonError as error:
        raise AdminCallError(422, f"{name}: {error}; wanted a JSON object.") from None
    if not isinstance(value, dict):
        raise AdminCallError(422, f"{name} is no JSON object.")
    return value


async def remove_stub(view: View) -> Response:
    """Remove one stub or fault, or all."""
    id_ = view.field("id")
    await view.change("DELETE", f"/stubs/{id_}" if id_ else "/stubs")
    return view.redirect("/next", done="removed")


async def remove_conditions(view: View) -> Response:
    await view.change("DELETE", "/conditions")
    return view.redirect("/next", done="removed")


PAGES: Mapping[str, Page] = {"/next": show_next}
ACTIONS: Mapping[str, Page] = {
    "/scenarios": apply_scenario,
    "/stubs": add_stub,
    "/stubs/remove": remove_stub,
    "/conditions/remove": remove_conditions,
}
