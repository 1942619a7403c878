"""Work for a sandbox off the event loop: in its lane, as long as the client waits for it."""

import asyncio
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, TypeVar

from mockserver.http import Response
from mockserver.openapi.responses import problem
from mockserver.web.fault_delivery import wait_for_disconnect
from mockserver.workers import LaneFull, Workers

if TYPE_CHECKING:
    from starlette.types import Receive

RETRY_AFTER = 1
"""Seconds after which a client that was turned away by a full lane may ask again."""
_Result = TypeVar("_Result")
_numbers = count(1)


def own_lane() -> str:
    """A lane that nothing else uses; a name of a sandbox never begins like this."""
    return f"\0{next(_numbers)}"


async def in_lane(workers: Workers, lane: str, action: Callable[[], _Result], receive: "Receive") -> _Result:
    """The action's result, once what the lane had to do before is done.

    Raises LaneFull, and ConnectionResetError when the client left before its turn came: the work is dropped then.
    """
    work = workers.submit(lane, action)
    leaving = asyncio.ensure_future(wait_for_disconnect(receive))
    leaving.add_done_callback(lambda _: work.cancel())
    try:
        return await asyncio.wrap_future(work)
    except asyncio.CancelledError:
        if leaving.done() and not leaving.cancelled():
            raise ConnectionResetError from None
        raise
    finally:
        leaving.cancel()


def busy(full: LaneFull) -> Response:
    """The answer to a request that found too many others waiting for the same sandbox."""
    detail = f"This request was not handled: {full} for its sandbox."
    response = problem(503, "Sandbox Busy", detail)
    return response.with_headers(("Retry-After", str(RETRY_AFTER)))
