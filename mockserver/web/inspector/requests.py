"""The live table of requests, and one request with its response."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from mockserver.errors import Reason
from mockserver.http import FIXTURE_SOURCE, SOURCES
from mockserver.web.inspector import explain
from mockserver.web.inspector.admin_calls import AdminCallError
from mockserver.web.inspector.view import ROWS_OF_A_PAGE, Page, View

FILTERS = ("text", "operation", "status", "reason", "source")


async def list_requests(view: View) -> Response:
    """Requests, newest first, with filters."""
    wanted = {name: view.argument(name) for name in FILTERS}
    problem = ""
    try:
        found = await view.get("/requests/summaries", limit=ROWS_OF_A_PAGE, before=view.argument("before"), **wanted)
    except AdminCallError as error:
        found, problem = {"requests": [], "next": None, "seen": 0, "dropped": 0}, error.detail
    return await view.page(
        "requests.html",
        found=found,
        wanted=wanted,
        problem=problem,
        operations=await view.operations(),
        reasons=list(Reason),
        sources=[*SOURCES, f"{FIXTURE_SOURCE}*"],
    )


async def show_request(view: View) -> Response:
    """One request and its response side by side, with what is wrong and what could be done next."""
    exchange, delay = await _find(view)
    near: list[Any] = []
    if exchange["reason"] in {Reason.NO_SUCH_PATH, Reason.METHOD_NOT_ALLOWED} or exchange["response"]["status"] < 300:
        unmatched = await view.get("/requests/unmatched", number=exchange["number"], limit=1)
        near = [miss for each in unmatched["requests"] for miss in each["near_misses"]]
    return await view.page(
        "request.html",
        exchange=exchange,
        delay=delay,
        why=explain.why_rejected(exchange),
        near=near,
        sent=explain.body_lines(exchange["request"]["body"], exchange["violations"]),
        received=explain.body_lines(exchange["response"]["body"], ()),
        marked={str(each["location"][1]).lower() for each in exchange["violations"] if len(each["location"]) > 1},
        curl=explain.as_curl(exchange, view.origin),
        fixture=explain.as_fixture(exchange) if explain.is_whole(exchange) else "",
        can_repeat=explain.is_whole(exchange),
    )


async def answer_next(view: View) -> Response:
    """Install a stub that answers the next request as this one was answered."""
    exchange, _ = await _find(view)
    if not explain.is_whole(exchange):
        raise AdminCallError(409, "The response is too large to be given again.")
    await view.change("POST", "/next", explain.as_stub(exchange))
    return view.redirect("/next", done="stub")


async def _find(view: View) -> tuple[dict[str, Any], float]:
    """The exchange of the number in the path, and the seconds by which its response was delayed."""
    number = int(view.request.path_params["number"])
    found = (await view.get("/requests", limit=1, after=max(number, 1) - 1))["requests"]
    if not found or found[0]["number"] != number:
        raise AdminCallError(404, f"The sandbox has no request {number}, or no longer keeps it.")
    summary = (await view.get("/requests/summaries", limit=1, before=number + 1))["requests"]
    return found[0], summary[0]["delay"] if summary else 0.0


PAGES: Mapping[str, Page] = {"/requests": list_requests, "/requests/{number:int}": show_request}
ACTIONS: Mapping[str, Page] = {"/requests/{number:int}/next": answer_next}
