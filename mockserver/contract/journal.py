"""Records exchanges with an upstream where the sandbox's own are recorded, so that all reports see them."""

from mockserver.engine.engine import Engine
from mockserver.engine.hits import count_hit
from mockserver.engine.prepared import DEFAULT_SANDBOX, SANDBOX_HEADER
from mockserver.errors import Violation
from mockserver.http import Request, Response
from mockserver.sandbox.manager import SandboxesFull
from mockserver.sandbox.sandbox import Sandbox


def record_exchange(
    engine: Engine,
    operation: str,
    request: Request,
    response: Response,
    *,
    reason: str = "",
    violations: tuple[Violation, ...] = (),
    seconds: float = 0.0,
) -> None:
    """Count the exchange for coverage, and record it in the journal of the request's sandbox."""
    count_hit(engine.met, operation, response.status)
    sandbox = open_sandbox(engine, *sandbox_of(engine, request))
    if sandbox is None:
        return
    with sandbox.transaction:
        now = sandbox.clock.now()
        sandbox.journal.record(now, operation, request, response, reason, violations, seconds)
        if engine.observer is not None:
            engine.observer(sandbox, operation, response.status, reason, seconds)
        if response.status >= 400 or sandbox.journal.waits_end:
            sandbox.journal.note_wait(now, response, sandbox.clock.wall())


def sandbox_of(engine: Engine, request: Request) -> tuple[str, bool]:
    """The name of a request's sandbox, and whether it is that of a token."""
    name = engine.lane(request)
    return name, not (request.headers.get(SANDBOX_HEADER) or name == DEFAULT_SANDBOX)


def open_sandbox(engine: Engine, name: str, by_token: bool) -> Sandbox | None:
    """The sandbox of that name; None if there are too many."""
    try:
        return engine.sandboxes.open(name, by_token=by_token)
    except SandboxesFull:
        return None
