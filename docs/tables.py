"""The sentences of the reference pages that the code does not hold. Tests compare the names in them with the code."""

from collections.abc import Mapping
from typing import NamedTuple

ADMIN_CALLS: Mapping[str, str] = {
    "GET /version": "Name and version of the server.",
    "GET /openapi.json": "The OpenAPI document that is served.",
    "POST /reset": "Reset the sandbox to its initial state.",
    "POST /reset/{part}": "Reset one part: `journal`, `state`, `stubs`, `clock` (only while there are no batches or "
    "files), `progression` or `conditions`.",
    "GET /sandboxes": "List the sandboxes, most recently used first, with their number, the limit, and how many were "
    "evicted. `text` is searched in their names.",
    "GET /sandboxes/{name}": "Read one sandbox by its name or key: its counts, clock, progression and stubs.",
    "POST /sandboxes": "Create a sandbox and pin it. All fields are optional. `ids_of` names the sandbox whose ids it "
    "produces; `hold: false` leaves it unpinned.",
    "DELETE /sandboxes/{name}": "Delete a sandbox, pinned or not. The response lists its `unexpected` requests: no "
    "such "
    "operation, or rejected by the schema.",
    "GET /export": "Export the sandbox as one JSON document; `journal=true` includes the recorded requests.",
    "POST /import": "Replace the sandbox by an exported one. Tokens are never part of an export.",
    "GET /requests": "List the journal, oldest first. Accepts the matchers of a search as parameters.",
    "DELETE /requests": "Clear the journal.",
    "GET /requests/summaries": "List the journal without headers and bodies, newest first. `text` is searched in "
    "paths, queries and bodies; `status` is a number or a class such as `4XX`; `before` takes a `next`. "
    "A page ends after 10,000 requests, however few of them match.",
    "POST /requests/count": "Count the requests that match. With `exactly`, `at_least` or `at_most`, `met` says "
    "whether "
    "the count is as expected (null if dropped requests could change that).",
    "POST /requests/find": "List the requests that match.",
    "POST /requests/order": 'Check that `{"requests": [...]}` occurred in this order; `missing` is the first that did '
    "not.",
    "GET /requests/unmatched": "List requests that matched no operation or no fixture, each with the nearest one and "
    "the "
    "difference; `number` selects one request.",
    "GET /verdict": "Checks on the client's behaviour; `scope=server` covers all sandboxes.",
    "GET /coverage": "The documented responses that occurred on this server; `processes=all` counts those of all "
    "processes on a shared store. `scope=sandbox` covers the kept requests of one sandbox, `scope=sandboxes` "
    "those of all. "
    "Responses of stubs and faults never count as undocumented.",
    "DELETE /coverage": "Reset the coverage.",
    "GET /pact": "What was sent, and which parts of the answers were given, as `pacts`: a Pact file (V4) for each API. "
    "`scope=server` covers all sandboxes, `consumer` names the client, `provider` selects one API.",
    "GET /clock": "Read the clock.",
    "PUT /clock": "Set `now`, `frozen` and `scale`. Time never goes back.",
    "POST /clock/advance": "Advance by `seconds`, `minutes`, `hours` or `days`.",
    "POST /clock/freeze": "Freeze the clock.",
    "POST /clock/resume": "Resume the clock.",
    "POST /clock/scale": "Set the clock's speed: with `3600` a real second is an hour.",
    "GET /progression": "Read how batches progress.",
    "PUT /progression": 'Set how batches progress from now on, as an object or as text such as `"polls:3"`.',
    "GET /scenarios": "List the scenarios, each with a sentence.",
    "GET /scenarios/{name}": "Read one scenario and what it sets.",
    "POST /scenarios/{name}": "Apply a scenario to the sandbox; `reset=true` resets the sandbox first.",
    "GET /conditions": "Read how the sandbox differs from the settings.",
    "PUT /conditions": "Replace the sandbox's conditions.",
    "DELETE /conditions": "Remove all conditions; the settings apply.",
    "GET /accounts": "List the accounts used so far.",
    "GET /accounts/{token}": "Read an account.",
    "PUT /accounts/{token}": "Set `credits`, `email` or `revoked` of an account.",
    "GET /accounts/{token}/ledger": "List the charges of an account.",
    "GET /batches": "List the sandbox's batches. This is not a poll: no batch progresses.",
    "GET /files": "List the sandbox's files. This is not a poll: no batch progresses.",
    "GET /batches/latest": "List the batches, newest first, with their timelines. This is not a poll.",
    "GET /batches/{id}": "Read a batch with a page of its items: input, outcome, output. This is not a poll.",
    "GET /batches/{id}/items/{position}": "Read one item of a batch with its whole answer; the first is 0.",
    "POST /batches/{id}/cancel": "Cancel a batch, as its client would.",
    "GET /files/{id}/content": "Download a file of any account.",
    "POST /next": "Install a [stub](stubs.md): the response to the next matching requests.",
    "GET /stubs": "List the installed stubs and faults, and how often each matched.",
    "DELETE /stubs": "Remove all stubs and faults.",
    "DELETE /stubs/{id}": "Remove one stub or fault.",
    "GET /faults": "List the standing [faults](faults.md).",
    "PUT /faults": "Replace the standing faults by a new list.",
    "DELETE /faults": "Remove all standing faults.",
    "GET /callbacks": "List the callbacks: those that are due first, in that order, then those pending.",
    "DELETE /callbacks": "Remove all callbacks. Those not sent yet are never sent.",
    "POST /callbacks/{id}/redeliver": "Send a finished callback again.",
    "GET /webhooks": "List the webhooks of the documents that are served.",
    "POST /webhooks/{name}": "Send a webhook to `url`, with `payload` or what the document says.",
    "GET /usage": "AgileCloud's tokens and costs, live and in batches, with one meter event for each request "
    "(`identifier` is a line's `custom_id`). `dropped` counts the events no longer kept.",
}
"""By method and path below the prefix, what the call does. Markdown."""

FINDINGS: Mapping[str, str] = {
    "polled-too-fast": "A status was read twice or more less than 1 s after the previous read (for a batch that takes "
    "less than 10 s: less than a tenth of its duration).",
    "hopeless-retry": "The same request got the same 400, 401, 403, 404, 405, 410, 413, 414, 415 or 422 again. 402 "
    "may be "
    "retried once, 409 twice, as the OpenAI SDKs do.",
    "retry-after-ignored": "The same request was sent again before `Retry-After` was over, by the sandbox clock and by "
    "wall-clock time.",
    "batch-paid-twice": "The same batch was queued again, although no response had reported a loss of the first.",
    "error-file-unread": "A batch had an `error_file_id`, which was never downloaded.",
    "failed-unseen": "Items failed, and neither a status read nor a callback reported the end of the batch.",
    "failed-ignored": "A status reported failed items of an API without error files, and nothing was queued after "
    "that.",
    "refused-lines": "Lines of a batch failed validation, even if the error file was read. Markers, conditions and "
    "unknown prompts do not count.",
    "downloaded-twice": "A complete result was downloaded again.",
}
"""By code, when a finding is reported."""


class StubField(NamedTuple):
    """A field of a stub, or several that belong together."""

    names: str
    effect: str


STUB_FIELDS = (
    StubField("operation", "An operationId. See [operations](operations.md)."),
    StubField("method, path", "The method; the path, in which a segment may be `*` or `{x}`."),
    StubField("header, query", 'Values by name: `{"model": "gemini"}`. The value `*` matches any.'),
    StubField("body", "JSON that the JSON or form body must contain."),
    StubField("body_at", 'Values by JSON Pointer: `{"/messages/0/role": "user"}`.'),
    StubField("status", "The documented response of that status. Short for a `reply` with only a `status`."),
    StubField(
        "reply",
        "`status`, and `example` (a documented example), `message` (in the API's error format), `body` (JSON) or "
        "`text`, "
        "`media_type`, `headers`.",
    ),
    StubField("fault", "A [fault](faults.md). May be combined with a `reply`, unless the fault has a status."),
    StubField("times", "How many requests it answers: 1 unless set; `null` is unlimited."),
    StubField("after", "Skip so many matching requests first."),
    StubField("probability", "The share of matching requests it answers, 0 to 1. Seeded: the same on every run."),
    StubField("for, until", "It ends after so many seconds of sandbox time, or at an instant."),
    StubField("undocumented", "`true` allows responses that the OpenAPI document does not define."),
)
