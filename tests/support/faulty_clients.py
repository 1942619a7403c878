"""Clients with bad habits, under a sandbox clock and a wall clock that the test sets."""

from collections.abc import Iterable
from typing import Any

from builders import ask, make_engine, queue

from mockserver.engine.engine import Engine
from mockserver.http import Request, Response
from mockserver.sandbox.clock import Clock, ClockConfig
from mockserver.sandbox.stubs.rules import Rule
from mockserver.sandbox.stubs.schema import read_rule
from mockserver.verify.verdict import Finding, run_checks

EPOCH = 1775952000.0  # 2026-04-12T00:00:00Z


def findings_of(engine: Engine, sandbox: str) -> list[Finding]:
    providers = {each.provider.name: each.provider for each in engine.services if each.provider}
    client_rules = [each for provider in providers.values() for each in provider.client_rules]
    operations = {each.operation.key: each.operation for each in engine.services}
    opened = engine.sandboxes.open(sandbox)
    return run_checks(opened, client_rules, operations, now=opened.clock.now())


class Client:
    """One account in one sandbox, whose clock stands until the client waits."""

    def __init__(self, sandbox: str = "test", **settings: Any) -> None:
        self.engine = make_engine(**settings)
        self.sandbox = self.engine.sandboxes.open(sandbox)
        self._wall = 1000.0
        self.sandbox.clock = Clock(ClockConfig(frozen=True, instant=EPOCH), wall=lambda: self._wall)
        self._headers = {"x-mock-sandbox": sandbox}

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None, **given: Any) -> Response:
        return ask(self.engine, method, path, headers=self._headers | (headers or {}), **given)

    def queue(self, *prompts: str, **fields: Any) -> str:
        return queue(self.engine, *prompts, **fields)

    def note(self, request: Request, response: Response) -> None:
        """Let the journal have an exchange as the engine gives it one."""
        now = self.sandbox.clock.now()
        self.sandbox.journal.record(now, "", request, response, "", ())
        self.sandbox.journal.note_wait(now, response, self.sandbox.clock.wall())

    def wait(self, seconds: float) -> None:
        self.sandbox.clock.advance(seconds)

    def pass_wall(self, seconds: float) -> None:
        self._wall += seconds

    def read_after(self, pause: float, id_: str) -> int:
        """The number of a status read."""
        self.wait(pause)
        self.ask("GET", "/ai/batches", query={"id": id_})
        return self.sandbox.journal.seen

    def faults(self, fault: dict[str, Any]) -> Iterable[Rule]:
        return [read_rule({"fault": fault}, origin="test", now=self.sandbox.clock.now())]

    def findings(self) -> list[Finding]:
        return findings_of(self.engine, self.sandbox.name)
