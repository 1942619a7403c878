"""The verdict: each finding fires on a client that deserves it, and not on its neighbour who does not."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from batch_client import BatchClient, chats, jsonl, request_of
from builders import ask, make_engine, queue, value_of
from faulty_clients import Client, findings_of

from mockserver.http import Request, Response
from mockserver.sandbox.callbacks import Callback, Outbox, State
from mockserver.sandbox.conditions import ItemPlan, ItemSelector
from mockserver.sandbox.journal import Exchange
from mockserver.sandbox.snapshot.export import restore
from mockserver.verify.batch_history import elapsed, fingerprint
from mockserver.verify.verdict import RETRY_TOLERANCE, SEVERITY, Finding
from mockserver.web.admin.snapshots import snapshots_of

ROOT = Path(__file__).parents[2]


def codes(found: list[Finding]) -> list[str]:
    return [each.code for each in found]


# A client that does everything right.


def test_a_good_client_of_agent_first_has_no_findings() -> None:
    client = Client(progression="time:60")
    id_ = client.queue("one", "two")
    for _ in range(4):
        client.wait(20)
        status = value_of(client.ask("GET", "/ai/batches", query={"id": id_}))
    client.ask("GET", status["url"].partition("4024")[2])

    assert status["status"] == "successful"
    assert client.findings() == []


def test_a_good_client_of_agilecloud_has_no_findings() -> None:
    desk = BatchClient(progression="time:60")
    batch = desk.create(jsonl(request_of("a"), request_of("b", "[mock:fail]")))
    for _ in range(4):
        desk.sandbox.clock.advance(20)
        batch = desk.read(batch["id"])
    desk.content(batch["output_file_id"])
    desk.content(batch["error_file_id"])

    assert batch["status"] == "completed"
    assert findings_of(desk.engine, "ann") == []


# Polling.


@pytest.mark.parametrize(
    ("seconds", "pause", "blamed"),
    [
        (60, 0.5, True),
        (60, 1.0, False),
        (60, 0.95, False),  # a sleep may end a little early
        (2, 0.5, False),  # a batch made short is asked for more often
        (2, 0.1, True),
    ],
)
def test_polling_too_fast_is_a_finding(seconds: int, pause: float, blamed: bool) -> None:
    client = Client(progression=f"time:{seconds}")
    id_ = client.queue("one")

    numbers = [client.read_after(pause, id_) for _ in range(4)]

    found = client.findings()
    assert codes(found) == (["polled-too-fast"] if blamed else [])
    assert not blamed or (found[0].exchanges, found[0].severity) == (tuple(numbers[1:]), "warning")


def test_a_second_poll_is_no_loop() -> None:
    client = Client(progression="time:60")
    id_ = client.queue("one")

    for pause in (20, 0.1, 20, 20):
        client.read_after(pause, id_)

    assert client.findings() == []


def test_polling_two_batches_in_turns_is_no_loop() -> None:
    client = Client(progression="time:60")
    ids = [client.queue("one"), client.queue("two")]

    for _ in range(5):
        for id_ in ids:
            client.read_after(0.6, id_)

    assert client.findings() == []


@pytest.mark.parametrize("progression", ["polls:9", "time:60"])
def test_polling_under_a_frozen_clock_or_with_polls_is_no_finding(progression: str) -> None:
    client = Client(progression=progression)
    id_ = client.queue("one")

    for _ in range(5):
        client.read_after(0.1 if progression.startswith("polls") else 0, id_)

    assert client.findings() == []


def test_reading_a_final_status_is_no_polling() -> None:
    client = Client(progression="time:60")
    id_ = client.queue("one")
    client.wait(60)

    for _ in range(5):
        client.read_after(0.1, id_)

    assert client.findings() == []


def test_agilecloud_is_polled_too_fast_as_well() -> None:
    desk = BatchClient(progression="time:3600")
    id_ = desk.create(chats(2))["id"]

    for _ in range(4):
        desk.sandbox.clock.advance(0.2)
        desk.read(id_)

    assert codes(findings_of(desk.engine, "ann")) == ["polled-too-fast"]


def test_a_conversation_is_polled_too_fast_as_well() -> None:
    client = Client(progression="time:60")
    id_ = value_of(client.ask("GET", "/ai", query={"prompt": "one", "mode": "async"}))["id"]

    for path in ("/ai/completions", "/ai", "/ai/completions", "/ai"):
        client.wait(0.2)
        client.ask("GET", path, query={"id": id_})

    assert codes(client.findings()) == ["polled-too-fast"]


# Retries.


@pytest.mark.parametrize(
    ("status", "retries"), [*RETRY_TOLERANCE.items(), (408, None), (429, None), (500, None), (503, None)]
)
def test_permanent_errors_may_be_retried_as_often_as_the_table_says(status: int, retries: int | None) -> None:
    asked = 1 + (5 if retries is None else retries)

    assert codes(blamed_for([status] * asked)) == []
    if retries is not None:
        assert codes(blamed_for([status] * (asked + 1))) == ["hopeless-retry"]


@pytest.mark.parametrize("statuses", [[404, 200], [404, 200, 404], [403, 401, 403], [404, 500, 404]])
def test_a_retry_that_gets_another_response_is_no_finding(statuses: list[int]) -> None:
    assert blamed_for(statuses) == []


def blamed_for(statuses: list[int]) -> list[Finding]:
    """What is found when the same request was answered like this."""
    client = Client()
    for status in statuses:
        client.note(Request("GET", "/v1/files/x"), Response(status))
    return client.findings()


def test_repeating_an_invalid_body_in_any_spelling_is_a_finding() -> None:
    client = Client()
    client.ask("POST", "/ai/batches", json={"prompts": [], "model": "gemini"})
    client.ask(
        "POST", "/ai/batches", body=b'{ "model":"gemini", "prompts":[] }', headers={"content-type": "application/json"}
    )

    (found,) = client.findings()

    assert (found.code, found.severity, found.exchanges) == ("hopeless-retry", "error", (1, 2))
    assert "422" in found.sentence
    assert "POST /ai/batches" in found.sentence


@pytest.mark.parametrize(
    "other",
    [{"json": {"prompts": [], "model": "gemini"}}, {"json": {"prompts": []}, "token": "other"}],
)
def test_another_invalid_body_or_the_same_of_another_account_is_no_retry(other: Any) -> None:
    client = Client(sandbox="one")
    client.ask("POST", "/ai/batches", json={"prompts": []})
    client.ask("POST", "/ai/batches", **other)

    assert client.findings() == []


def test_a_form_is_never_taken_for_a_retry_because_the_journal_does_not_keep_it() -> None:
    client = Client()
    headers = {"content-type": "multipart/form-data; boundary=x"}

    for _ in range(2):
        assert client.ask("POST", "/v1/files", headers=headers).status == 400

    assert client.findings() == []


def test_a_captcha_may_be_asked_again_but_not_a_bad_batch() -> None:
    client = Client()
    for _ in range(3):
        assert client.ask("GET", "/ai", query={"prompt": "one"}, headers={"prefer": "code=403"}).status == 403
    assert client.findings() == []

    for _ in range(2):
        assert client.ask("POST", "/ai/batches", json={"prompts": ["x"]}, headers={"prefer": "code=403"}).status == 403
    assert codes(client.findings()) == ["hopeless-retry"]


# Retry-After.


def told_to_wait(wait: str, *, sandbox: float, wall: float, status: int = 429, path: str = "/user") -> list[Finding]:
    """What is found when a client comes again after so many seconds of either clock."""
    client = Client()
    client.note(Request("GET", "/user"), Response(status, headers=(("Retry-After", wait),)))
    client.wait(sandbox)
    client.pass_wall(wall)
    client.note(Request("GET", path), Response(200))
    return client.findings()


@pytest.mark.parametrize(
    ("wait", "sandbox", "wall", "blamed"),
    [
        ("2", 0, 0.5, True),  # the clock stands, and the wall's tells
        ("2", 0, 1.95, False),
        ("2", 0, 3, False),
        ("2", 0.5, 0.5, True),
        ("2", 2, 0.001, False),  # the test moved the clock
        ("2", 0.001, 2, False),  # a slow clock
        ("0", 0, 0, False),
        ("soon", 0, 0, False),
        ("Sun, 12 Apr 2026 00:00:10 GMT", 0, 5, True),
        ("Sun, 12 Apr 2026 00:00:10 GMT", 0, 10, False),
        ("Sat, 11 Apr 2026 00:00:00 GMT", 0, 0, False),
    ],
)
def test_ignoring_retry_after_is_a_finding(wait: str, sandbox: float, wall: float, blamed: bool) -> None:
    assert codes(told_to_wait(wait, sandbox=sandbox, wall=wall)) == (["retry-after-ignored"] if blamed else [])


def test_only_the_same_request_shows_that_a_wait_was_ignored() -> None:
    """Others may have been on their way already."""
    assert told_to_wait("2", sandbox=0, wall=0, path="/ai/devices") == []


def test_retry_after_on_a_success_is_ignored() -> None:
    assert told_to_wait("2", sandbox=0, wall=0, status=202) == []


def test_exceeding_the_rate_limit_after_429_is_a_finding() -> None:
    client = Client(rate_limit=10)
    answers = [client.ask("GET", "/v1/models").status for _ in range(15)]

    assert 429 in answers
    assert {each.code for each in client.findings()} == {"retry-after-ignored"}


def test_a_frozen_clock_without_real_times_gives_no_finding() -> None:
    def exchange(number: int, at: float) -> Exchange:
        return Exchange(number, at, "", Request("GET", "/"), Response(429), "", ())

    assert elapsed(exchange(1, 5.0), exchange(2, 5.0), {}) is None
    assert elapsed(exchange(1, 5.0), exchange(2, 6.0), {}) == 1.0
    assert elapsed(exchange(1, 5.0), exchange(2, 5.5), {1: 7.0, 2: 9.0}) == 2.0
    assert elapsed(exchange(1, 5.0), exchange(2, 5.5), {1: 7.0}) is None


# Paid twice.


def test_queuing_the_same_batch_twice_is_a_finding() -> None:
    client = Client()
    first, second = client.queue("one", "two"), client.queue("one", "two")

    (found,) = client.findings()

    assert (found.code, found.severity, found.exchanges) == ("batch-paid-twice", "error", (1, 2))
    assert first in found.sentence
    assert second in found.sentence


def test_queuing_another_batch_is_no_finding() -> None:
    client = Client()
    client.queue("one")
    client.queue("one", model="gemini")

    assert client.findings() == []


def test_queuing_a_failed_batch_again_is_no_finding() -> None:
    client = Client()
    id_ = client.queue("[mock:fail]")
    client.read_after(1, id_)
    client.queue("[mock:fail]")

    assert "batch-paid-twice" not in codes(client.findings())


def test_queuing_a_batch_again_without_having_read_its_failure_is_a_finding() -> None:
    client = Client()
    first = client.queue("[mock:fail]")
    client.queue("[mock:fail]")
    client.read_after(1, first)

    assert "batch-paid-twice" in codes(client.findings())


def test_a_batch_whose_answer_a_fault_garbled_is_not_known_to_be_paid() -> None:
    client = Client()
    client.engine.sandboxes.open("test").rules.install(client.faults({"type": "empty"}))
    client.ask("POST", "/ai/batches", json={"prompts": ["one"]})
    client.queue("one")

    assert client.findings() == []


def test_a_second_batch_of_the_same_file_is_a_finding_unless_cancelled() -> None:
    desk = BatchClient(progression="time:60")
    file = desk.put(chats(1))
    first = desk.create(file)["id"]
    desk.cancel(first)
    desk.create(file)
    assert findings_of(desk.engine, "ann") == []

    desk.create(file)
    assert codes(findings_of(desk.engine, "ann")) == ["batch-paid-twice"]


# What failed.


def test_an_unread_error_file_is_a_finding() -> None:
    desk = BatchClient()
    batch = desk.run(jsonl(request_of("a"), request_of("b", "[mock:fail]")))
    desk.content(batch["output_file_id"])

    (found,) = findings_of(desk.engine, "ann")
    assert (found.code, found.severity, found.exchanges) == ("error-file-unread", "warning", (2,))
    assert batch["error_file_id"] in found.sentence

    desk.content(batch["error_file_id"])
    assert findings_of(desk.engine, "ann") == []


def test_an_error_file_named_in_a_list_counts_as_known() -> None:
    desk = BatchClient()
    desk.create(jsonl(request_of("a", "[mock:fail]")))
    desk.ask("GET", "/v1/batches")

    assert codes(findings_of(desk.engine, "ann")) == ["error-file-unread"]


def test_invalid_lines_are_a_finding_even_if_the_error_file_was_read() -> None:
    desk = BatchClient(strict=True)
    bad = [request_of(f"b{n}", tempratur=n) for n in range(4)]
    batch = desk.run(jsonl(request_of("a"), *bad, request_of("c", temperature=9)))
    desk.content(batch["error_file_id"])

    (found,) = findings_of(desk.engine, "ann")

    assert (found.code, found.severity, found.exchanges) == ("refused-lines", "warning", (1,))
    told = "; ".join(f"line {n}: Unknown parameter: 'tempratur'" for n in (2, 3, 4))
    assert found.sentence == f"{batch['id']} has 5 lines that failed validation: {told}; and 2 more."


def test_a_long_invalid_name_is_shortened_in_a_finding() -> None:
    desk = BatchClient(strict=True)
    fields: Any = {"x" * 100_000: 1}
    desk.content(desk.run(jsonl(request_of("a", **fields)))["error_file_id"])

    (found,) = findings_of(desk.engine, "ann")

    assert found.code == "refused-lines"
    assert len(found.sentence) < 500


@pytest.mark.parametrize(
    "body",
    [
        {"text": "[mock:fail=400]"},
        {"prompt_slug": "nowhere"},
        {"prompt_slug": "translate"},
        {"model": "bge-large-en-v1.5"},
    ],
    ids=["marker", "unknown prompt", "missing variable", "another kind of model"],
)
def test_lines_that_failed_otherwise_are_no_finding(body: Any) -> None:
    desk = BatchClient(strict=True)
    batch = desk.run(jsonl(request_of("a", **body)))
    desk.content(batch["error_file_id"])

    assert batch["request_counts"]["failed"] == 1
    assert findings_of(desk.engine, "ann") == []


def test_lines_failed_by_markers_or_conditions_are_no_finding() -> None:
    desk = BatchClient()
    desk.content(desk.run(jsonl(request_of("a", "[mock:fail]", temperature=9)))["error_file_id"])
    assert findings_of(desk.engine, "ann") == []

    desk.sandbox.conditions = desk.sandbox.conditions._replace(items=ItemPlan(ItemSelector(every=1)))
    desk.content(desk.run(jsonl(request_of("a", temperature=9)))["error_file_id"])
    assert findings_of(desk.engine, "ann") == []


def test_invalid_lines_of_a_cancelled_batch_are_a_finding() -> None:
    desk = BatchClient(progression="time:60")
    id_ = desk.create(jsonl(request_of("a"), request_of("b", temperature=9)))["id"]
    desk.sandbox.clock.advance(7)
    desk.read(id_)
    desk.cancel(id_)

    assert "refused-lines" in codes(findings_of(desk.engine, "ann"))


def test_invalid_lines_of_a_batch_seen_in_a_list_only_are_a_finding() -> None:
    desk = BatchClient()
    desk.create(jsonl(request_of("a", temperature=9)))
    desk.sandbox.journal.clear()
    desk.ask("GET", "/v1/batches")

    assert [(each.code, each.exchanges) for each in findings_of(desk.engine, "ann")] == [
        ("error-file-unread", (1,)),
        ("refused-lines", (1,)),
    ]


def test_findings_about_lines_survive_an_export() -> None:
    desk = BatchClient()
    desk.content(desk.run(jsonl(request_of("a", temperature=9)))["error_file_id"])
    before = findings_of(desk.engine, "ann")

    snapshots = snapshots_of(desk.engine)
    written = orjson.loads(b"".join(snapshots.encode(snapshots.snapshot_of(desk.sandbox, journal=True))))
    restore(desk.sandbox, snapshots.read(written))

    assert codes(before) == ["refused-lines"]
    assert findings_of(desk.engine, "ann") == before


def test_unread_failures_are_a_finding() -> None:
    client = Client(progression="time:60")
    id_ = client.queue("[mock:fail]", "one")
    client.read_after(1, id_)
    client.wait(30)  # the first has failed by now
    assert client.findings() == []

    client.wait(60)
    (found,) = client.findings()
    assert (found.code, found.severity, found.exchanges) == ("failed-unseen", "warning", (1, 2))


@pytest.mark.parametrize(
    ("state", "blamed"), [(State.DELIVERED, False), (State.KEPT, False), (State.FAILED, True), (State.PENDING, True)]
)
def test_a_delivered_callback_counts_as_reading_failures(state: State, blamed: bool) -> None:
    client = Client()
    id_ = client.queue("[mock:fail]")
    told = Callback(id_, 1, "agentfirst", "http://127.0.0.1:1", "http://127.0.0.1:4024", state=state)
    client.sandbox.outbox = Outbox([told])

    assert codes(client.findings()) == (["failed-unseen"] if blamed else [])


def test_a_batch_without_failures_may_end_unseen() -> None:
    client = Client(progression="time:60")
    client.queue("one")
    client.wait(60)

    assert client.findings() == []


def test_failures_after_which_nothing_is_queued_are_pointed_out() -> None:
    client = Client()
    client.read_after(1, client.queue("one", "[mock:fail]"))

    (found,) = client.findings()
    assert (found.code, found.severity, found.exchanges) == ("failed-ignored", "info", (2,))

    client.queue("the failed one, asked again")
    assert client.findings() == []


# Downloads.


def test_downloading_a_result_twice_is_a_finding_but_not_two_formats_or_parts() -> None:
    client = Client()
    id_ = client.queue("one")
    path = value_of(client.ask("GET", "/ai/batches", query={"id": id_}))["url"].partition("4024")[2]
    client.ask("GET", path)
    client.ask("GET", path, query={"format": "ndjson"})
    client.ask("HEAD", path)
    client.ask("HEAD", path)
    assert client.findings() == []

    client.ask("GET", path)
    (found,) = client.findings()
    assert (found.code, found.severity, found.exchanges) == ("downloaded-twice", "warning", (3, 7))


def test_the_missing_part_of_a_file_may_be_downloaded_as_often_as_it_takes() -> None:
    desk = BatchClient()
    batch = desk.run(chats(1))
    path = f"/v1/files/{batch['output_file_id']}/content"

    desk.ask("GET", path, headers={"range": "bytes=0-9"})
    desk.ask("GET", path, headers={"range": "bytes=10-"})
    assert desk.ask("GET", path, headers={"range": "bytes=10-"}).status == 206
    assert findings_of(desk.engine, "ann") == []

    desk.ask("GET", path)
    desk.ask("GET", path)
    assert codes(findings_of(desk.engine, "ann")) == ["downloaded-twice"]


# What holds for all.


REFERENCE = (ROOT / "docs" / "reference" / "verdict.md").read_text(encoding="utf-8")


def test_the_reference_names_every_finding_with_its_severity() -> None:
    assert dict(re.findall(r"^\| `([a-z-]+)` \| (info|warning|error) \|", REFERENCE, re.MULTILINE)) == SEVERITY


def test_the_reference_names_every_permanent_status() -> None:
    (row,) = (line for line in REFERENCE.splitlines() if "`hopeless-retry`" in line)

    assert sorted(map(int, re.findall(r"\b4\d\d\b", row))) == sorted(RETRY_TOLERANCE)


def play(desk: Callable[[], Client]) -> list[Finding]:
    client = desk()
    client.queue("one")
    client.queue("one")
    return client.findings()


def test_the_verdict_is_the_same_however_often_it_is_asked_for() -> None:
    assert play(Client) == play(Client)


def test_a_verdict_changes_nothing() -> None:
    client = Client(progression="polls:3")
    id_ = client.queue("one", "[mock:fail]")
    for _ in range(9):
        client.findings()

    assert value_of(client.ask("GET", "/ai/batches", query={"id": id_}))["status"] == "retrieving"


def test_the_key_of_a_request_depends_on_all_of_its_content() -> None:
    base = Request("POST", "/a", "q=1", {"authorization": "Bearer a"}, b'{"a":1}')
    others = [
        base._replace(method="PUT"),
        base._replace(path="/b"),
        base._replace(query="q=2"),
        base._replace(headers={}),
        base._replace(body=b'{"a":2}'),
        base._replace(body=b"{"),
        base._replace(body=b"[" * 400 + b"]" * 400),
    ]

    assert len({fingerprint(each) for each in [base, *others]}) == len(others) + 1
    assert fingerprint(base._replace(body=b'{ "a": 1 }')) == fingerprint(base)


def test_sandboxes_are_checked_separately() -> None:
    engine = make_engine()
    queue(engine, "one", token="a")
    queue(engine, "one", token="b")
    ask(engine, "GET", "/nowhere", token="a")
    ask(engine, "GET", "/nowhere", token="b")

    assert findings_of(engine, "a") == findings_of(engine, "b") == []
