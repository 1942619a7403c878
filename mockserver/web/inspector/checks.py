"""Verdict and coverage: what the client did badly, and which documented responses it met."""

from collections.abc import Mapping

from starlette.responses import Response

from mockserver.web.inspector.admin_calls import AdminCallError
from mockserver.web.inspector.view import Page, View

SCOPES = ("sandbox", "server")


async def show_verdict(view: View) -> Response:
    """The findings, with links to the requests they rest on."""
    return await view.page("verdict.html", verdict=await view.get("/verdict", scope="sandbox"))


async def show_coverage(view: View) -> Response:
    """The matrix of operations and their documented responses."""
    scope = view.argument("scope") or "sandbox"
    if scope not in SCOPES:
        raise AdminCallError(400, "The scope is sandbox or server.")
    return await view.page("coverage.html", coverage=await view.get("/coverage", scope=scope), scope=scope)


async def download_coverage(view: View) -> Response:
    """The coverage as JUnit's XML."""
    scope = "server" if view.argument("scope") == "server" else "sandbox"
    query = f"scope={scope}&format=junit"
    return view.calls.forward("/coverage", view.sandbox, "coverage.xml", query=query)


PAGES: Mapping[str, Page] = {
    "/verdict": show_verdict,
    "/coverage": show_coverage,
    "/coverage.xml": download_coverage,
}
ACTIONS: Mapping[str, Page] = {}
