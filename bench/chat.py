"""Live chat completions under wrk, with an answer from a fixture and everything on."""

import json

from bench.load import DISTURBED, Load, Run, find_wrk, row_of, run_once
from bench.plan import Plan
from bench.report import Result, ratio
from bench.targets import CONSTANT, OURS

ASKED = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello!"}]}
CHAT = Load(
    "chat",
    "POST /v1/chat/completions, answered by a fixture, 64 connections",
    json.dumps(ASKED).encode(),
    64,
    40_000,
    (("a", 0.45),),
    path="/v1/chat/completions",
    says=b"Hello! How can I help you today?",
)


def measure_chat(plan: Plan) -> Result:
    wrk = find_wrk()
    runs: dict[str, list[Run]] = {target.key: [] for target in (OURS, CONSTANT)}
    for repetition in range(plan.repeat):
        for target in (OURS, CONSTANT) if repetition % 2 else (CONSTANT, OURS):
            runs[target.key].append(run_once(wrk, CHAT, target, plan.seconds, f"bench-{repetition}"))
    ours, constant = row_of(OURS, runs["ours"]), row_of(CONSTANT, runs["a"])
    result = Result(CHAT.name, f"{CHAT.title} ({plan.repeat} x {plan.seconds} s)", "requests/s", [ours, constant])
    result.comparisons = [ratio(f"ours / {key}", ours, constant, "at least", share) for key, share in CHAT.promises]
    if min(run.share for each in runs.values() for run in each) < DISTURBED:
        result.notes.append("a server had too little of its core (others at work here?): do not trust this ratio")
        result.reservation = " (disturbed)"
    return result
