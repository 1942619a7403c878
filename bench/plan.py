"""How much is measured: repetitions, seconds and counts, and where Prism comes from."""

import subprocess
from dataclasses import dataclass

from bench.targets import Target, prism


@dataclass(frozen=True)
class Plan:
    repeat: int = 5
    """Repetitions of what takes seconds: wrk runs, memory, history."""
    seconds: int = 2
    starts: int = 11
    """Repetitions of what takes milliseconds: starting and stopping."""
    history: int = 10_000
    """Batches queued before the second look."""
    prism_executable: str | None = None
    prism_missing: str = ""
    """Why there is no Prism, where there is none."""

    installs_mocks: bool = False
    """Whether aimock and llmock may be fetched."""

    def prism(self) -> Target | None:
        return prism(self.prism_executable) if self.prism_executable else None

    def prism_version(self) -> str:
        """As Prism itself says it; empty when it says nothing."""
        command = [self.prism_executable or "prism", "--version"]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout.strip()
