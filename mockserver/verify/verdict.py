"""Checks on a client's behaviour. A pure function of the journal and the states of its batches."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from mockserver.api.client_rules import BatchState, ClientRules
from mockserver.http import Request
from mockserver.openapi.document import Operation
from mockserver.redaction import redacted_text, secrets_in
from mockserver.sandbox.journal import Exchange, retry_after_seconds
from mockserver.sandbox.sandbox import Sandbox
from mockserver.verify.batch_history import BatchTraces, elapsed, fingerprint, read_traces

SEVERITIES = ("info", "warning", "error")
MAX_PROOFS = 20
"""The most exchanges that a finding lists; all are counted."""
POLL_TOLERANCE = 0.9
"""The tolerance of the polling interval: a sleep of one second may end slightly early."""
SHORT_LIFE = 10
"""A batch that takes less than so many polling intervals is shortened, and may be polled so often."""
LOOP = 2
"""How many short intervals make a finding; one may be a coincidence."""

RETRY_TOLERANCE = {400: 0, 401: 0, 402: 1, 403: 0, 404: 0, 405: 0, 409: 2, 410: 0, 413: 0, 414: 0, 415: 0, 422: 0}
"""How often a request may be repeated after a response of that status before the same response again is a finding.

These statuses do not change by waiting. 402: credits may be added, so one more try. 409: the OpenAI SDKs retry it
twice. 408, 425, 429 and all 5xx may change by waiting, and are not in the table.
"""


SEVERITY = {
    "polled-too-fast": "warning",
    "hopeless-retry": "error",
    "retry-after-ignored": "error",
    "batch-paid-twice": "error",
    "error-file-unread": "warning",
    "failed-unseen": "warning",
    "failed-ignored": "info",
    "refused-lines": "warning",
    "downloaded-twice": "warning",
}
"""All findings with their severity. A warning may have had a good reason; an info is a hint."""


class Finding(NamedTuple):
    """One finding about a client's behaviour."""

    code: str
    severity: str
    sentence: str
    exchanges: tuple[int, ...]
    """The numbers of exchanges that show it."""
    advice: str


class VerdictInput(NamedTuple):
    """The input of all checks."""

    waits: Mapping[int, float]
    """Wall-clock times of exchanges; see Journal."""
    traces: Sequence[BatchTraces]
    repeated: Sequence[Sequence[Exchange]]
    """Requests that occurred more than once, identical by bytes or JSON value."""
    states: Mapping[str, BatchState | None]
    """The state of each batch, by id."""


def run_checks(
    sandbox: Sandbox, client_rules: Sequence[ClientRules], operations: dict[str, Operation], now: float
) -> list[Finding]:
    """All findings about the sandbox's clients, in order of occurrence."""
    exchanges = tuple(sandbox.journal.find(lambda _: True))
    traces = [read_traces(each, exchanges, operations) for each in client_rules]
    states = {id_: each.client_rules.batch_state(sandbox, id_, now) for each in traces for id_ in each.by_id}
    seen = VerdictInput(sandbox.journal.waits, traces, list(_repeated(exchanges)), states)
    found = [finding for judge in CHECKS for finding in judge(seen)]
    return sorted(found, key=lambda each: (each.exchanges, each.code))


def _repeated(exchanges: Sequence[Exchange]) -> Iterator[list[Exchange]]:
    by_head: dict[tuple[str, ...], list[Exchange]] = {}
    for each in exchanges:
        head = (each.request.method, each.request.path, each.request.query)
        by_head.setdefault(head, []).append(each)
    for group in by_head.values():
        if len(group) > 1:
            same: dict[bytes, list[Exchange]] = {}
            for each in group:
                mark = fingerprint(each.request)
                if mark is not None:
                    same.setdefault(mark, []).append(each)
            yield from (again for again in same.values() if len(again) > 1)


def hopeless_retries(seen: VerdictInput) -> Iterator[Finding]:
    """The same request was repeated after a response that cannot change, and got it again."""
    patience = {
        (each.client_rules.create, status): n
        for each in seen.traces
        for status, n in each.client_rules.patience.items()
    }
    for same in seen.repeated:
        runs: list[list[Exchange]] = [[]]
        for each in same:
            if runs[-1] and runs[-1][-1].response.status != each.response.status:
                runs.append([])
            runs[-1].append(each)
        for run in runs:
            status, name = run[0].response.status, _name(run[0])
            again = patience.get((run[0].operation, status), RETRY_TOLERANCE.get(status))
            if again is not None and len(run) > 1 + again:
                yield _finding(
                    "hopeless-retry",
                    f"The same {name} was sent {len(run)} times, and answered with {status} each time.",
                    run,
                    f"A {status} does not change by itself: fix the request, or give up; retry 408, 429 and 5xx only.",
                )


def ignored_waits(seen: VerdictInput) -> Iterator[Finding]:
    """The same request was repeated before `Retry-After` was over."""
    for same in seen.repeated:
        early = [pair for pair in pairwise(same) if _is_early(*pair, seen.waits)]
        if early:
            seconds = retry_after_seconds(early[0][0].response, early[0][0].at)
            yield _finding(
                "retry-after-ignored",
                f"{_name(same[0])} should have waited {seconds:g} s, and was repeated too early {len(early)} times.",
                [each for pair in early for each in pair],
                "Sleep for as long as Retry-After says before the same request is sent again.",
            )


def _is_early(first: Exchange, second: Exchange, waits: Mapping[int, float]) -> bool:
    seconds = retry_after_seconds(first.response, first.at) if first.response.status >= 400 else 0.0
    passed = elapsed(first, second, waits) if seconds else None
    return passed is not None and passed < seconds * POLL_TOLERANCE


def hasty_reads(seen: VerdictInput) -> Iterator[Finding]:
    """A batch's status was polled faster than ClientRules allow; only if batches progress with the clock."""
    for traces in seen.traces:
        for id_, trace in traces.by_id.items():
            state = seen.states.get(id_)
            if state is None or state.progression.kind != "time":
                continue
            wanted = min(traces.client_rules.poll_seconds, state.progression.amount / SHORT_LIFE)
            reads = [each for each in trace.sightings if each.is_read]
            hasty = [
                (first, second)
                for first, second in pairwise(reads)
                if not traces.is_over(first) and 0 < second.exchange.at - first.exchange.at < wanted * POLL_TOLERANCE
            ]
            if len(hasty) >= LOOP:
                yield _finding(
                    "polled-too-fast",
                    f"The status of {id_} was read {len(hasty)} times less than {wanted:g} s after the previous read.",
                    [pair[1].exchange for pair in hasty],
                    f"Sleep {wanted:g} s or more between two reads, and longer each time.",
                )


def paid_twice(seen: VerdictInput) -> Iterator[Finding]:
    """The same batch was created again, although the first one was accepted and did not fail."""
    for traces in seen.traces:
        by_mark: dict[bytes | None, str] = {}
        for id_, trace in traces.by_id.items():
            if trace.created is None:
                continue
            mark = fingerprint(trace.created.request)
            earlier = by_mark.get(mark) if mark is not None else None
            by_mark[mark] = id_
            if earlier is None:
                continue
            first = traces.by_id[earlier]
            if first.created and not any(
                traces.is_lost(each) for each in first.sightings if each.exchange.number < trace.created.number
            ):
                yield _finding(
                    "batch-paid-twice",
                    f"{id_} is the same batch as {earlier}, which was accepted before and was not lost.",
                    [first.created, trace.created],
                    "Keep the id of a batch at once, and read its status instead of queuing the same again.",
                )


def unread_error_files(seen: VerdictInput) -> Iterator[Finding]:
    """A status named an error file that was not downloaded."""
    for traces in seen.traces:
        for id_, trace in traces.by_id.items():
            told = next((each for each in trace.sightings if traces.error_file(each)), None)
            name = traces.error_file(told) if told else ""
            if told and not any(name in each.request.path for each in traces.downloads):
                yield _finding(
                    "error-file-unread",
                    f"{id_} has the error file {name}, which was never downloaded.",
                    [told.exchange],
                    "Download error_file_id whenever it is set: a completed batch may hold failed requests.",
                )


def unchecked_failures(seen: VerdictInput) -> Iterator[Finding]:
    """Items failed, and the client either did not see the final status, or did nothing about it although the API has no
    error file.
    """
    latest = max((each.number for traces in seen.traces for each in traces.creations), default=0)
    for traces in seen.traces:
        for id_, trace in traces.by_id.items():
            ends = [each for each in trace.sightings if traces.is_over(each)]
            state = seen.states.get(id_)
            if not ends and trace.created and state and _is_unseen(state):
                yield _finding(
                    "failed-unseen",
                    f"{id_} is over, {state.failed} of its items failed, and the client read no final status.",
                    [trace.created, *(each.exchange for each in trace.sightings[-1:])],
                    "Read the status until the batch has ended, and look at how many failed.",
                )
            elif (
                ends
                and not traces.client_rules.error_file
                and traces.failures(ends[0])
                and latest < ends[0].exchange.number
            ):
                yield _finding(
                    "failed-ignored",
                    f"A status of {id_} reported failed items ({traces.failures(ends[0])}); nothing was queued later.",
                    [ends[0].exchange],
                    "Look at the count of failed items, and ask again for those that have no answer.",
                )


def refused_lines(seen: VerdictInput) -> Iterator[Finding]:
    """A batch was accepted, and items of it failed validation: as live requests they would have been rejected."""
    for traces in seen.traces:
        for id_, trace in traces.by_id.items():
            state = seen.states.get(id_)
            if state is not None and state.refused.total:
                count, told = state.refused.total, state.refused.examples
                said = "; ".join(each.rstrip(".") for each in told)
                more = f"; and {count - len(told)} more" if count > len(told) else ""
                yield _finding(
                    "refused-lines",
                    f"{id_} has {count} lines that failed validation: {said}{more}.",
                    [trace.created or trace.sightings[0].exchange],
                    "Mend what writes these lines; each would be refused as a live request, too.",
                )


def _is_unseen(state: BatchState) -> bool:
    return state.is_over and state.failed > 0 and not state.was_told


def repeated_downloads(seen: VerdictInput) -> Iterator[Finding]:
    """A complete result was downloaded more than once."""
    downloads = {each.number for traces in seen.traces for each in traces.downloads}
    for same in seen.repeated:
        whole = [each for each in same if each.number in downloads and each.response.status == 200]
        if len(whole) > 1:
            yield _finding(
                "downloaded-twice",
                f"{_path(whole[0].request)} was downloaded {len(whole)} times.",
                whole,
                "Keep what was downloaded; after a broken download ask for the missing part with Range.",
            )


CHECKS = (
    hopeless_retries,
    ignored_waits,
    hasty_reads,
    paid_twice,
    unread_error_files,
    unchecked_failures,
    refused_lines,
    repeated_downloads,
)


def _finding(code: str, sentence: str, proofs: Sequence[Exchange], advice: str) -> Finding:
    numbers = tuple(sorted({each.number for each in proofs}))
    return Finding(code, SEVERITY[code], sentence, numbers[:MAX_PROOFS], advice)


def _name(exchange: Exchange) -> str:
    return f"{exchange.request.method} {_path(exchange.request)}"


def _path(request: Request) -> str:
    return redacted_text(request.path[:200], secrets_in(request.headers.items(), request.query))
