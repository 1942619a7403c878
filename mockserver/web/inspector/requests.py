"""The live table of requests, and one request with its response."""

from collections.abc import Mapping

from starlette.responses import Response

from mockserver.errors import Reason
from mockserver.http import FIXTURE_SOURCE, SOURCES
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
    coverage = await view.get("/coverage")
    return await view.page(
        "requests.html",
        found=found,
        wanted=wanted,
        problem=problem,
        operations=[each["key"] for each in coverage["coverage"]],
        reasons=list(Reason),
        sources=[*SOURCES, f"{FIXTURE_SOURCE}*"],
    )


PAGES: Mapping[str, Page] = {"/requests": list_requests}
ACTIONS: Mapping[str, Page] = {}
