"""The list of sandboxes, and what is done with a whole one: make, reset, delete, export, import."""

from collections.abc import Mapping

from starlette.datastructures import UploadFile
from starlette.responses import Response

from mockserver.web.inspector.view import ROWS_OF_A_PAGE, Page, View
from mockserver.web.paths import ADMIN_PREFIX


async def list_sandboxes(view: View) -> Response:
    """All sandboxes, the most recently used first."""
    found = await view.calls.get(
        "/sandboxes", limit=ROWS_OF_A_PAGE, after=view.argument("after"), text=view.argument("text")
    )
    return view.plain_page("sandboxes.html", found=found, facts=None)


async def show_sandbox(view: View) -> Response:
    """One sandbox as a whole, with what can be done with it."""
    return await view.page("sandbox.html")


async def create(view: View) -> Response:
    """Create a sandbox, pinned; without a name the server makes one."""
    name = view.field("name")
    made = await view.calls.change("POST", "/sandboxes", "", {"name": name} if name else {})
    return view._replace(sandbox=made["key"]).redirect("/requests")


async def reset(view: View) -> Response:
    await view.change("POST", "/reset")
    return view.redirect("/requests", done="reset")


async def delete(view: View) -> Response:
    await view.calls.change("DELETE", f"/sandboxes/{view.sandbox}", "")
    return view.redirect("/")


async def export(view: View) -> Response:
    """The export as a file."""
    return view.calls.forward("/export", view.sandbox, "sandbox.json", query="journal=true")


async def import_(view: View) -> Response:
    """Replace the sandbox's state by an exported file."""
    file = view.form.get("file")
    content = await file.read() if isinstance(file, UploadFile) else view.field("file").encode()
    await view.change("POST", "/import", content)
    return view.redirect("/requests", done="imported")


PAGES: Mapping[str, Page] = {
    ADMIN_PREFIX: list_sandboxes,
    f"{ADMIN_PREFIX}/": list_sandboxes,
    "/": list_sandboxes,
    "/sandbox": show_sandbox,
    "/export": export,
}
ACTIONS: Mapping[str, Page] = {
    "/sandboxes/create": create,
    "/sandboxes/reset": reset,
    "/sandboxes/delete": delete,
    "/sandboxes/import": import_,
}
