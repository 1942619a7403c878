"""Verdict and coverage: what the client did badly, and which documented responses it met."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from mockserver.web.inspector.admin_calls import AdminCallError
from mockserver.web.inspector.view import Page, View

MAX_FINDINGS, MAX_LINKS = 100, 20
"""The most findings of a page, and the most requests that one of them links to."""
SCOPES = ("sandbox", "server")
"""What the coverage covers. With a shared store, the server's is that of all sandboxes, whichever replica answered."""


async def show_verdict(view: View) -> Response:
    """The findings, with links to the requests they rest on."""
    verdict = await view.get("/verdict", scope="sandbox")
    findings = [_shown(each) for each in verdict["findings"][:MAX_FINDINGS]]
    return await view.page(
        "verdict.html", verdict=verdict, findings=findings, more=len(verdict["findings"]) - len(findings)
    )


def _shown(finding: Mapping[str, Any]) -> dict[str, Any]:
    """The finding with the first of its requests, and the number of the others."""
    exchanges = finding["exchanges"]
    return {**finding, "exchanges": exchanges[:MAX_LINKS], "more": max(0, len(exchanges) - MAX_LINKS)}


async def show_coverage(view: View) -> Response:
    """The matrix of operations and their documented responses."""
    scope = view.argument("scope") or "sandbox"
    if scope not in SCOPES:
        raise AdminCallError(400, "The scope is sandbox or server.")
    found = await view.get("/coverage", scope=_asked_scope(view, scope))
    return await view.page("coverage.html", coverage=found, scope=scope)


def _asked_scope(view: View, scope: str) -> str:
    return "sandboxes" if scope == "server" and view.calls.has_replicas else scope


async def download_coverage(view: View) -> Response:
    """The coverage as JUnit's XML."""
    scope = "server" if view.argument("scope") == "server" else "sandbox"
    query = f"scope={_asked_scope(view, scope)}&format=junit"
    return view.calls.forward("/coverage", view.sandbox, "coverage.xml", query=query)


PAGES: Mapping[str, Page] = {
    "/verdict": show_verdict,
    "/coverage": show_coverage,
    "/coverage.xml": download_coverage,
}
ACTIONS: Mapping[str, Page] = {}
