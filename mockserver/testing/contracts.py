"""Collects the contracts of many sandboxes, and writes them as Pact files."""

import json
from collections.abc import Iterable
from pathlib import Path

from mockserver.client.client import SandboxClient
from mockserver.verify.pact.contracts import Pact, file_name, merge_contracts


class ContractCollector:
    """The contracts of a test run, each interaction once."""

    def __init__(self, consumer: str) -> None:
        """`consumer` is the name of the program under test."""
        self.consumer = consumer
        self.pacts: list[Pact] = []

    def collect(self, sandbox: SandboxClient) -> None:
        """Take what was sent to a sandbox. Costs one admin call."""
        self.add(sandbox.contracts(self.consumer))

    def add(self, pacts: Iterable[Pact]) -> None:
        """Take contracts that were read elsewhere, such as in another process of the run."""
        self.pacts = merge_contracts([*self.pacts, *pacts])

    def write(self, folder: Path) -> list[Path]:
        """Write `consumer-provider.json` for each API that was called; returns the files. Raises OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        written = []
        for each in self.pacts:
            path = folder / file_name(each)
            path.write_text(json.dumps(each, indent=2) + "\n", encoding="utf-8")
            written.append(path)
        return written
