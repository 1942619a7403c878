"""The list of sandboxes, and what is done with a whole one: follow, make, reset, delete, export, import."""

from collections.abc import AsyncIterator, Mapping

from starlette.datastructures import UploadFile
from starlette.responses import Response, StreamingResponse

from mockserver.web.inspector.view import ROWS_OF_A_PAGE, Page, View
from mockserver.web.paths import ADMIN_PREFIX
from mockserver.web.scopes import TRANSPORT

PING_SECONDS = 15.0
"""Seconds without a change after which a comment is sent, so that a connection that broke is noticed."""


async def list_sandboxes(view: View) -> Response:
    """All sandboxes, the most recently used first."""
    found = await view.calls.get(
        "/sandboxes", limit=ROWS_OF_A_PAGE, after=view.argument("after"), text=view.argument("text")
    )
    return view.plain_page("sandboxes.html", found=found, facts=None)


async def show_sandbox(view: View) -> Response:
    """One sandbox as a whole, with what can be done with it."""
    return await view.page("sandbox.html")


async def events(view: View) -> Response:
    """A server-sent event `change` with its number whenever the sandbox has changed.

    A server that stops does not wait for its end.
    """
    transport = view.request.scope.get(TRANSPORT)
    if transport is not None:
        transport.disturb()
    return StreamingResponse(_changes(view), media_type="text/event-stream")


async def _changes(view: View) -> AsyncIterator[bytes]:
    async with view.live.reading(view.sandbox) as watch:
        told = watch.version
        yield b"retry: 1000\n\n"
        while True:
            version = await watch.wait(told, PING_SECONDS)
            yield b"event: change\ndata: %d\n\n" % version if version != told else b": still here\n\n"
            told = version


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
    "/events": events,
    "/export": export,
}
ACTIONS: Mapping[str, Page] = {
    "/sandboxes/create": create,
    "/sandboxes/reset": reset,
    "/sandboxes/delete": delete,
    "/sandboxes/import": import_,
}
