"""Records exchanges with an upstream where the sandbox's own are recorded, so that all reports see them."""

from mockserver.engine.engine import DEFAULT_SANDBOX, SANDBOX_HEADER, Engine
from mockserver.engine.hits import count_hit
from mockserver.errors import Violation
from mockserver.http import Request, Response
from mockserver.sandbox.manager import SandboxesFull


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
    name = engine.lane(request)
    is_named = bool(request.headers.get(SANDBOX_HEADER)) or name == DEFAULT_SANDBOX
    try:
        sandbox = engine.sandboxes.open(name, by_token=not is_named)
    except SandboxesFull:
        return
    with sandbox.transaction:
        now = sandbox.clock.now()
        sandbox.journal.record(now, operation, request, response, reason, violations, seconds)
        if engine.observer is not None:
            engine.observer(sandbox, operation, response.status, reason, seconds)
        if response.status >= 400 or sandbox.journal.waits_end:
            sandbox.journal.note_wait(now, response, sandbox.clock.wall())
