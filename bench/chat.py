"""Live chat completions under wrk, with an answer from a fixture and everything on."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.load import Load, measure_pair
from bench.plan import Plan
from bench.report import Result
from bench.rivals import rivals

ASKED = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello!"}]}
CHAT = Load(
    "chat",
    "POST /v1/chat/completions, answered by a fixture, 64 connections",
    json.dumps(ASKED).encode(),
    64,
    40_000,
    (("a", 0.5), ("aimock", 2.0), ("llmock", 15.0)),
    path="/v1/chat/completions",
    says=b"Hello! How can I help you today?",
)


def measure_chat(plan: Plan) -> Result:
    with TemporaryDirectory(prefix="bench-mocks-") as name:
        others, missing = rivals(Path(name) if plan.installs_mocks else None)
        result = measure_pair(CHAT, plan, others)
    result.notes += missing
    if missing:
        result.reservation += f" ({len(missing)} of 2 others skipped)"
    return result
