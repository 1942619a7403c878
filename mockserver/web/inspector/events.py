"""Server-sent events: tell an open page that its sandbox has changed."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import orjson
from starlette.responses import Response, StreamingResponse

from mockserver.web.fault_delivery import TRANSPORT
from mockserver.web.inspector.admin_calls import AdminCallError
from mockserver.web.inspector.view import Page, View

INTERVAL = 0.5
"""Seconds between two looks at the sandbox; a page learns of a change after so long."""
LOOK_INTERVAL = 0.01
"""Seconds from a look to the next one of any page: with hundreds of open pages, each looks less often."""
PINGS = 30
"""Looks without a change after which a comment is sent, so that a connection that broke is noticed."""


async def events(view: View) -> Response:
    """An event `change` whenever the sandbox has changed. A server that stops does not wait for its end."""
    transport = view.request.scope.get(TRANSPORT)
    if transport is not None:
        transport.disturb()
    return StreamingResponse(_changes(view), media_type="text/event-stream")


async def _changes(view: View) -> AsyncIterator[bytes]:
    calls = view.calls
    calls.streams += 1
    try:
        yield b"retry: 1000\n\n"
        last, quiet = await _state(view), 0
        while True:
            await asyncio.sleep(max(INTERVAL, LOOK_INTERVAL * calls.streams))
            state = await _state(view)
            if state != last:
                last, quiet = state, 0
                yield b"event: change\ndata: %b\n\n" % state
            elif (quiet := quiet + 1) >= PINGS:
                quiet = 0
                yield b": still here\n\n"
    finally:
        calls.streams -= 1


async def _state(view: View) -> bytes:
    """What shows whether the sandbox has changed, as JSON; without the time, which always does."""
    try:
        facts = await view.calls.get(f"/sandboxes/{view.sandbox}")
    except AdminCallError as error:
        return b"%d" % error.status
    clock = facts.pop("clock")
    moved = clock["unix"] if clock["frozen"] else clock["scale"]
    return orjson.dumps([facts["requests"], facts["dropped"], clock["frozen"], moved, sorted(facts.items(), key=str)])


PAGES: Mapping[str, Page] = {"/events": events}
