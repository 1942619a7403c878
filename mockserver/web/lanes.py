"""Runs work for a sandbox in a worker thread: in the sandbox's lane, and only while the client waits."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

from mockserver.http import Response
from mockserver.openapi.responses import problem
from mockserver.workers import LaneFull, Pending, Workers

if TYPE_CHECKING:
    from starlette.types import Receive

RETRY_AFTER = 1
"""Seconds after which a client may retry when a lane was full."""
_Result = TypeVar("_Result")
_numbers = count(1)


async def wait_for_disconnect(receive: "Receive") -> None:
    """Return when the client has disconnected."""
    while (await receive())["type"] != "http.disconnect":
        pass


def own_lane() -> str:
    """A new lane for unrelated work. No sandbox's name begins like this."""
    return f"\0{next(_numbers)}"


async def in_lane(
    workers: Workers, lane: str, action: Callable[[], _Result], receive: "Receive", *, may_stop: bool = False
) -> _Result:
    """The action's result, after the lane's earlier work is done.

    Raises LaneFull, and ConnectionResetError if the client disconnects before its turn; the work is dropped then. Work
    that changes nothing `may_stop` at any checkpoint, too.
    """
    work = workers.submit(lane, action)
    leaving = asyncio.ensure_future(wait_for_disconnect(receive))
    leaving.add_done_callback(partial(_abandon if may_stop else _cancel, work))
    try:
        return await asyncio.wrap_future(work)
    except asyncio.CancelledError:
        if leaving.done() and not leaving.cancelled():
            raise ConnectionResetError from None
        raise
    finally:
        leaving.cancel()
        del work  # it holds the exception, whose traceback holds this frame


def _cancel(work: "Future[Any]", _: Any) -> None:
    work.cancel()


def _abandon(work: "Pending[Any]", _: Any) -> None:
    work.abandon()


def busy(full: LaneFull) -> Response:
    """The response to a request whose sandbox has too many waiting requests."""
    detail = f"This request was not handled: {full} for its sandbox."
    response = problem(503, "Sandbox Busy", detail)
    return response.with_headers(("Retry-After", str(RETRY_AFTER)))
