"""Admin routes for verdict, coverage, and contracts (Pact files)."""

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from functools import partial
from typing import Any

from mockserver.api.client_rules import ClientRules
from mockserver.http import Response
from mockserver.openapi.document import Operation
from mockserver.sandbox.sandbox import Sandbox
from mockserver.text import did_you_mean
from mockserver.verify.coverage import Hits, count_hits, count_stubbed_hits, coverage_json
from mockserver.verify.pact.contracts import CONSUMER, Pact, contracts_of, merge_contracts
from mockserver.verify.pact.interactions import provider_name
from mockserver.verify.reports import cobertura, coverage_table, junit
from mockserver.verify.verdict import RETRY_TOLERANCE, SEVERITIES, Finding, run_checks
from mockserver.web.admin.call import AdminCall, AdminRefusal, AdminRoute, Step

SCOPES = ("sandbox", "server")
PROCESSES = ("own", "all")
COVERAGE_SCOPES = ("server", "sandbox", "sandboxes")
FORMATS = ("json", "table", "junit", "cobertura")
MAX_FINDINGS = 1000
MAX_EXCHANGES = 20_000
"""Exchanges after which no further sandbox is examined, since other requests wait for a verdict."""
XML = "application/xml"
MAX_NAME = 100
"""The most characters of a consumer's name."""


def verdict(call: AdminCall) -> Generator[Step, Any, dict[str, Any]]:
    sandboxes = [call.sandbox] if _choice(call, "scope", SCOPES) == "sandbox" else call.engine.sandboxes.every()
    client_rules, operations = _client_rules(call), _operations(call)
    findings: list[dict[str, Any]] = []
    notes: list[str] = []
    judged = dropped = more = 0
    for n, sandbox in enumerate(sandboxes):
        if judged > MAX_EXCHANGES:
            notes.append(f"{_sandboxes_were(len(sandboxes) - n)} not checked; request them one by one.")
            break
        if not sandbox.journal.seen:
            continue
        found, counts, noted = yield Step(sandbox.name, partial(_judge, sandbox, client_rules, operations))
        judged += counts[0]
        dropped += counts[1]
        notes += noted
        room = MAX_FINDINGS - len(findings)
        findings += [_finding(sandbox, each) for each in found[:room]]
        more += len(found[room:])
    if more:
        notes.append(f"{more} more findings are not shown.")
    return {
        "findings": findings,
        "summary": {name: sum(each["severity"] == name for each in findings) for name in reversed(SEVERITIES)},
        "judged": judged,
        "dropped": dropped,
        "notes": notes[:MAX_FINDINGS],
        "rules": {
            "poll_seconds": {each.create: each.poll_seconds for each in client_rules},
            "retries": {str(status): count for status, count in RETRY_TOLERANCE.items()},
        },
    }


def _sandboxes_were(count: int) -> str:
    return "1 sandbox was" if count == 1 else f"{count} sandboxes were"


def _judge(
    sandbox: Sandbox, client_rules: Sequence[ClientRules], operations: Sequence[Operation]
) -> tuple[Sequence[Finding], tuple[int, int], Sequence[str]]:
    """The findings of one sandbox, the numbers of examined and dropped exchanges, and notes on what could not be
    checked.
    """
    with sandbox.transaction:
        found = run_checks(sandbox, client_rules, {each.key: each for each in operations}, now=sandbox.clock.now())
        dropped = sandbox.journal.dropped
        return found, (sandbox.journal.seen - dropped, dropped), list(_notes(sandbox))


def _notes(sandbox: Sandbox) -> Iterator[str]:
    """What the verdict could not check."""
    name = sandbox.shown_name
    if sandbox.journal.dropped:
        yield (
            f"Sandbox {name}: the journal dropped the first {sandbox.journal.dropped} of {sandbox.journal.seen} "
            f"exchanges, which were not checked (setting --journal-size)."
        )
    if sandbox.clock.is_frozen and sandbox.journal.seen:
        yield f"Sandbox {name}: its clock is frozen, so the polling interval cannot be checked."
    elif sandbox.progression.kind != "time" and sandbox.journal.seen:
        yield f"Sandbox {name}: its batches do not progress with the clock, so the polling interval is not checked."


def _finding(sandbox: Sandbox, finding: Finding) -> dict[str, Any]:
    return {"sandbox": sandbox.shown_name, **finding._asdict()}


def coverage(call: AdminCall) -> Generator[Step, Any, Any]:
    chosen = _choice(call, "format", FORMATS)
    scope = _choice(call, "scope", COVERAGE_SCOPES)
    met: Hits = call.engine.met.copy()  # other threads count meanwhile
    demanded: Hits = call.engine.demanded.copy()
    more: dict[str, int] = {}
    if scope == "server" and _is_merged(call):
        met, demanded = call.engine.sandboxes.coverage(call.engine.met, call.engine.demanded)
    elif scope != "server":
        every = [call.sandbox] if scope == "sandbox" else call.engine.sandboxes.by_use()
        met, demanded, more = yield from _count(every)
    found = coverage_json(_operations(call), met, demanded) | {"scope": scope, **more}
    if chosen == "table":
        return Response(200, "text/plain; charset=utf-8", coverage_table(found).encode())
    if chosen == "junit":
        return Response(200, XML, junit(found))
    return Response(200, XML, cobertura(found, timestamp=call.now)) if chosen == "cobertura" else found


def _count(sandboxes: Sequence[Sandbox]) -> Generator[Step, Any, tuple[Hits, Hits, dict[str, int]]]:
    """The counts of the kept exchanges, those of stubs and faults, and how many are missing."""
    met: Counter[tuple[str, int]] = Counter()
    demanded: Counter[tuple[str, int]] = Counter()
    dropped = examined = 0
    for sandbox in sandboxes:
        if examined > MAX_EXCHANGES:
            dropped += sandbox.journal.seen
            continue
        if sandbox.journal.seen:
            counts = yield Step(sandbox.name, partial(_counts, sandbox))
            met.update(counts[0])
            demanded.update(counts[1])
            dropped += sandbox.journal.dropped
            examined += sandbox.journal.seen - sandbox.journal.dropped
    return met, demanded, {"dropped": dropped}


def _counts(sandbox: Sandbox) -> tuple[Hits, Hits]:
    """The counts of one sandbox."""
    with sandbox.transaction:
        exchanges = tuple(sandbox.journal.find(lambda _: True))
    return count_hits(exchanges), count_stubbed_hits(exchanges)


def delete_coverage(call: AdminCall) -> Any:
    if _is_merged(call):
        call.engine.sandboxes.clear_coverage()
    forgotten = sum(call.engine.met.copy().values())
    call.engine.met.clear()
    call.engine.demanded.clear()
    return {"forgotten": forgotten}


def _is_merged(call: AdminCall) -> bool:
    """Whether the coverage of all processes on the store is meant, instead of this process's own."""
    return _choice(call, "processes", PROCESSES) == "all"


def pact(call: AdminCall) -> Generator[Step, Any, dict[str, Any]]:
    sandboxes = [call.sandbox] if _choice(call, "scope", SCOPES) == "sandbox" else call.engine.sandboxes.every()
    consumer, provider = _parties(call)
    found: list[Pact] = []
    notes: list[str] = []
    read = 0
    for n, sandbox in enumerate(sandboxes):
        if read > MAX_EXCHANGES:
            notes.append(f"{_sandboxes_were(len(sandboxes) - n)} not read; request them one by one.")
            break
        if sandbox.journal.seen:
            found += yield Step(sandbox.name, partial(_contracts, sandbox, call, consumer))
            read += sandbox.journal.seen - sandbox.journal.dropped
            if dropped := sandbox.journal.dropped:
                notes.append(f"Sandbox {sandbox.shown_name}: the journal dropped the first {dropped} exchanges.")
    merged = merge_contracts(found)
    return {
        "pacts": [each for each in merged if provider in {"", each["provider"]["name"]}],
        "notes": notes[:MAX_FINDINGS],
    }


def _parties(call: AdminCall) -> tuple[str, str]:
    """The names of consumer and provider in the query; an empty provider is any."""
    consumer, provider = call.query.get("consumer", CONSUMER), call.query.get("provider", "")
    if not 0 < len(consumer) <= MAX_NAME:
        raise AdminRefusal(400, f"consumer is {consumer[:MAX_NAME]!r}; wanted 1 to {MAX_NAME} characters.")
    known = sorted({provider_name(each) for each in call.engine.services})
    if "provider" in call.query and provider not in known:
        near = did_you_mean(provider, known)
        raise AdminRefusal(400, f"provider is {provider[:MAX_NAME]!r}; the documents have {', '.join(known)}{near}")
    return consumer, provider


def _contracts(sandbox: Sandbox, call: AdminCall, consumer: str) -> list[Pact]:
    with sandbox.transaction:
        return contracts_of(sandbox.journal.find(lambda _: True), call.engine.services, consumer)


def _choice(call: AdminCall, name: str, choices: tuple[str, ...]) -> str:
    """The query's value; by default the first."""
    chosen = call.query.get(name, choices[0])
    if chosen not in choices:
        raise AdminRefusal(
            400, f"{name} is {chosen[:100]!r}; wanted {', '.join(choices)}{did_you_mean(chosen, choices)}"
        )
    return chosen


def _operations(call: AdminCall) -> list[Operation]:
    """The documented operations, or those of one tag."""
    operations = [service.operation for service in call.engine.services]
    tag = call.query.get("tag")
    tags = sorted({each.tag for each in operations})
    if tag is None:
        return operations
    if tag not in tags:
        raise AdminRefusal(400, f"tag is {tag[:100]!r}; the documents have {', '.join(tags)}{did_you_mean(tag, tags)}")
    return [each for each in operations if each.tag == tag]


def _client_rules(call: AdminCall) -> list[ClientRules]:
    providers = {service.provider.name: service.provider for service in call.engine.services if service.provider}
    return [each for provider in providers.values() for each in provider.client_rules]


_COVERAGE = frozenset({"scope", "processes", "format", "tag"})

ROUTES = (
    AdminRoute("GET", "/verdict", verdict, parameters=frozenset({"scope"}), in_steps=True, grows=True),
    AdminRoute("GET", "/coverage", coverage, parameters=_COVERAGE, in_steps=True, grows=True),
    AdminRoute("DELETE", "/coverage", delete_coverage, parameters=frozenset({"processes"}), opens=False),
    AdminRoute(
        "GET", "/pact", pact, parameters=frozenset({"scope", "consumer", "provider"}), in_steps=True, grows=True
    ),
)
