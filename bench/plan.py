"""How much is measured: repetitions, seconds and counts, and where Prism comes from."""

import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from bench.targets import OURS, Target, prism


@dataclass(frozen=True)
class Plan:
    repeat: int = 5
    """Repetitions of what takes seconds: wrk runs, memory, history."""
    seconds: int = 2
    starts: int = 11
    """Repetitions of what takes milliseconds: starting and stopping."""
    history: int = 10_000
    """Batches queued before the second look."""
    large: int = 10_000
    """Large batches queued before the server is weighed."""
    prism_executable: str | None = None
    prism_missing: str = ""
    """Why there is no Prism, where there is none."""

    installs_mocks: bool = False
    """Whether aimock and llmock may be fetched."""

    before: str | None = None
    """The folder of another checkout, which is measured beside this one."""

    def earlier(self) -> list[Target]:
        """The server of the other checkout; empty without one."""
        if self.before is None:
            return []
        return [replace(OURS, key="before", label=f"the checkout {self.before}", folder=Path(self.before).resolve())]

    def prism(self) -> Target | None:
        return prism(self.prism_executable) if self.prism_executable else None

    def prism_version(self) -> str:
        """As Prism itself says it; empty when it says nothing."""
        command = [self.prism_executable or "prism", "--version"]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout.strip()
