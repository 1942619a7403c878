"""Batches: the list with progress bars, one batch with its timeline and items, cancel and downloads."""

from collections.abc import Mapping

from starlette.responses import HTMLResponse, Response

from mockserver.web.inspector.view import ROWS_OF_A_PAGE, Page, View, quoted

FRAME_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
"""The policy of an answer that is a page: it has no origin, runs no script and loads nothing."""


async def list_batches(view: View) -> Response:
    """The batches of all accounts, newest first."""
    found = await view.get("/batches/latest", limit=ROWS_OF_A_PAGE, after=view.argument("after"))
    return await view.page("batches.html", found=found)


async def show_batch(view: View) -> Response:
    """One batch with a page of its items."""
    found = await view.get(_path(view), limit=ROWS_OF_A_PAGE, after=view.argument("after"))
    return await view.page("batch.html", batch=found)


async def show_item(view: View) -> Response:
    """One item: what was sent and what came back, side by side."""
    found = await view.get(_path(view))
    item = await view.get(f"{_path(view)}/items/{view.request.path_params['position']}")
    return await view.page("item.html", batch=found, item=item)


async def show_frame(view: View) -> Response:
    """The HTML of an answer, for a sandboxed frame."""
    item = await view.get(f"{_path(view)}/items/{view.request.path_params['position']}")
    return HTMLResponse(item["page"], headers={"Content-Security-Policy": FRAME_POLICY})


async def cancel(view: View) -> Response:
    await view.change("POST", f"{_path(view)}/cancel")
    return view.redirect(f"/batches/{quoted(view.request.path_params['id'])}", done="cancelled")


async def download(view: View) -> Response:
    """A file of a batch."""
    id_ = view.request.path_params["id"]
    return view.calls.forward(f"/files/{id_}/content", view.sandbox, f"{id_}.jsonl")


def _path(view: View) -> str:
    return f"/batches/{view.request.path_params['id']}"


PAGES: Mapping[str, Page] = {
    "/batches": list_batches,
    "/batches/{id}": show_batch,
    "/batches/{id}/items/{position:int}": show_item,
    "/frames/{id}/{position:int}": show_frame,
    "/files/{id}": download,
}
ACTIONS: Mapping[str, Page] = {"/batches/{id}/cancel": cancel}
