"""Each scenario met by the openai SDK, which does what its documentation says: waits, retries, pages, raises."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import openai
import pytest
from openai import OpenAI
from scenario_run import TOKEN, ScenarioRun, counts_of, lines_of, scenario_run, seen, start

HOUR = 3600


@contextmanager
def client_in(name: str, **options: int) -> Iterator[tuple[ScenarioRun, OpenAI]]:
    """The SDK as a client of the sandbox; it retries only if `max_retries` says so."""
    with scenario_run(name) as made, made.sdk(**{"max_retries": 0, **options}) as client:
        yield made, client


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the SDK would have slept between its attempts."""
    taken: list[float] = []
    monkeypatch.setattr(time, "sleep", taken.append)
    return taken


def test_happy_path__ends_with_every_answer() -> None:
    with client_in("happy-path") as (_, client):
        batch = start(client)
        looks = [client.batches.retrieve(batch.id) for _ in range(3)]

        assert [each.status for each in (batch, *looks)] == ["validating", "validating", "in_progress", "completed"]
        assert counts_of(looks[-1]) == (6, 6, 0)
        assert len(lines_of(client, looks[-1].output_file_id)) == 6
        assert looks[-1].error_file_id is None


def test_partial_failures__leave_an_error_file_beside_the_output() -> None:
    with client_in("partial-failures") as (_, client):
        done = seen(client, start(client))

        assert (done.status, counts_of(done)) == ("completed", (6, 4, 2))
        assert sorted(lines_of(client, done.output_file_id)) == ["r0", "r1", "r3", "r4"]
        errors = lines_of(client, done.error_file_id)
        assert {name: line["response"]["status_code"] for name, line in errors.items()} == {"r2": 500, "r5": 500}


def test_all_failed__is_completed_without_an_output_file() -> None:
    with client_in("all-failed") as (_, client):
        done = seen(client, start(client))

        assert (done.status, done.output_file_id, counts_of(done)) == ("completed", None, (6, 0, 6))
        assert len(lines_of(client, done.error_file_id)) == 6


def test_expired__keeps_what_was_done_and_names_the_rest() -> None:
    with client_in("expired") as (made, client):
        batch = start(client)
        made.advance(hours=1)
        before = client.batches.retrieve(batch.id)
        made.advance(hours=23)
        after = client.batches.retrieve(batch.id)

        assert (before.status, counts_of(before)) == ("in_progress", (6, 4, 0))
        assert (after.status, counts_of(after)) == ("expired", (6, 4, 2))
        assert after.expired_at == after.expires_at
        assert len(lines_of(client, after.output_file_id)) == 4
        errors = lines_of(client, after.error_file_id)
        assert {name: line["error"]["code"] for name, line in errors.items()} == dict.fromkeys(
            ("r2", "r5"), "batch_expired"
        )


@pytest.mark.parametrize("polls", [1, 2, 3, 5])
def test_expired__is_reached_by_polls_under_a_frozen_clock(polls: int) -> None:
    with client_in("expired") as (made, client):
        made.admin("PUT", "/progression", json=f"polls:{polls}")
        batch = start(client)
        statuses = [client.batches.retrieve(batch.id).status for _ in range(polls)]
        after = client.batches.retrieve(batch.id)

        assert ("expired" in statuses[:-1], statuses[-1]) == (False, "expired")
        assert (after.status, counts_of(after), after.expires_at) == ("expired", (6, 4, 2), batch.expires_at)
        assert sorted(lines_of(client, after.output_file_id)) == ["r0", "r1", "r3", "r4"]
        assert sorted(lines_of(client, after.error_file_id)) == ["r2", "r5"]


def test_expired__is_reached_at_once_by_batches_without_a_progression() -> None:
    with client_in("expired") as (made, client):
        made.admin("PUT", "/progression", json="immediate")

        assert client.batches.retrieve(start(client).id).status == "expired"


def test_stuck__outlasts_its_polls() -> None:
    with client_in("stuck") as (_, client):
        assert seen(client, start(client), looks=9).status == "in_progress"


def rejection_in(name: str) -> tuple[str, int | None, str | None]:
    """The one error for which a batch fails that was created all right."""
    with client_in(name) as (_, client):
        batch = start(client)
        failed = seen(client, batch)

        assert (batch.status, batch.errors) == ("validating", None)
        assert (failed.status, failed.output_file_id, failed.error_file_id) == ("failed", None, None)
        assert failed.errors is not None
        [error] = failed.errors.data or []
        assert error.code
        assert error.message
        return error.code, error.line, error.param


def test_input_rejected__after_a_good_create() -> None:
    assert rejection_in("input-rejected") == ("invalid_json_line", 1, None)


def test_duplicate_custom_ids__are_found_after_a_good_create() -> None:
    assert rejection_in("duplicate-custom-ids") == ("duplicate_custom_id", 2, "custom_id")


def test_cancelled__keeps_its_finished_work() -> None:
    with client_in("cancelled") as (_, client):
        batch = start(client)
        seen(client, batch, looks=2)
        cancelled = client.batches.cancel(batch.id)

        assert cancelled.status == "cancelled"
        assert 0 < counts_of(cancelled)[1] < 6
        assert len(lines_of(client, cancelled.output_file_id)) == counts_of(cancelled)[1]
        assert client.batches.retrieve(batch.id) == cancelled


def test_cancelling__is_seen_for_a_while() -> None:
    with client_in("cancelling") as (made, client):
        batch = start(client)
        made.advance(minutes=5)
        client.batches.cancel(batch.id)
        looks = []
        for _ in range(4):
            looks.append(client.batches.retrieve(batch.id).status)
            made.advance(seconds=20)
        cancelled = client.batches.retrieve(batch.id)

        assert looks == ["cancelling", "cancelling", "cancelling", "cancelled"]
        assert len(lines_of(client, cancelled.output_file_id)) == counts_of(cancelled)[1] > 0


def test_stuck__stays_in_progress_until_its_window_closes() -> None:
    with client_in("stuck") as (made, client):
        batch = start(client)
        looks = [client.batches.retrieve(batch.id) for _ in range(20)]
        made.advance(hours=23)
        late = client.batches.retrieve(batch.id)

        assert {each.status for each in looks[1:]} == {"in_progress"}
        assert (late.status, counts_of(late)) == ("in_progress", (6, 3, 0))
        made.advance(hours=1)
        assert client.batches.retrieve(batch.id).status == "failed"  # AgileCloud has no word `expired`


def test_no_capacity__holds_batches_while_chats_are_answered() -> None:
    with client_in("no-capacity") as (_, client):
        batch = start(client)
        chat = client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "A river?"}])

        assert (seen(client, batch).status, counts_of(seen(client, batch))) == ("in_progress", (6, 0, 0))
        assert chat.choices[0].message.content


def test_ids_vanish__after_an_hour() -> None:
    with client_in("ids-vanish") as (made, client):
        batch = seen(client, start(client))
        assert batch.output_file_id is not None
        client.files.content(batch.output_file_id)
        made.advance(seconds=HOUR)

        with pytest.raises(openai.NotFoundError, match="No batch found"):
            client.batches.retrieve(batch.id)
        with pytest.raises(openai.NotFoundError, match="No such File object"):
            client.files.content(batch.output_file_id)
        assert (list(client.batches.list()), list(client.files.list())) == ([], [])


def test_token_revoked__in_the_middle_of_a_run() -> None:
    with client_in("token-revoked", max_retries=2) as (made, client):
        batch = start(client)
        assert client.batches.retrieve(batch.id).status == "validating"
        made.advance(seconds=1)

        with pytest.raises(openai.AuthenticationError):  # which is not retried
            client.batches.retrieve(batch.id)
        with pytest.raises(openai.AuthenticationError):
            client.models.list()
        refused = made.admin("POST", "/requests/count", json={"status": 401})
        assert refused["count"] == 2


def test_rate_limited__is_waited_out(naps: list[float]) -> None:
    with client_in("rate-limited", max_retries=2) as (made, client):
        models = client.models.list()

        assert [each.id for each in models]
        assert naps == [1.0, 1.0]  # what Retry-After says
        statuses = [each["response"]["status"] for each in made.admin("GET", "/requests")["requests"]]
        assert statuses == [429, 429, 200]


def test_rate_limited__is_an_error_to_a_client_that_does_not_wait() -> None:
    with client_in("rate-limited") as (_, client):
        with pytest.raises(openai.RateLimitError) as raised:
            client.models.list()

        assert raised.value.response.headers["retry-after"] == "1"


def test_flaky__is_overcome_by_retries(naps: list[float]) -> None:
    with client_in("flaky", max_retries=8) as (made, client):
        for _ in range(20):
            client.models.list()
        statuses = [each["response"]["status"] for each in made.admin("GET", "/requests")["requests"]]

        assert statuses.count(200) == 20
        assert {500, 503} < set(statuses)
        assert len(naps) == len(statuses) - 20


def test_flaky__is_the_same_on_every_run() -> None:
    def run() -> list[int]:
        with scenario_run("flaky") as made:
            return [made.api.get("/v1/models").status_code for _ in range(40)]

    first = run()

    assert run() == first
    assert len(set(first)) == 3


def test_slow_then_fast__times_out_twice_and_is_answered(naps: list[float]) -> None:
    with scenario_run("slow-then-fast") as made, made.sdk(max_retries=2, timeout=0.3) as client:
        assert client.models.list().data

        assert len(naps) == 2
        assert made.admin("POST", "/requests/count", json={"operation": "listModels"})["count"] == 3


def test_huge_pages__are_paged_through_to_the_end() -> None:
    with client_in("huge-pages") as (made, client):
        ids = [start(client, 1).id for _ in range(5)]
        asked = made.admin("POST", "/requests/count", json={"operation": "listBatches"})["count"]
        page = client.batches.list(limit=100)

        assert [each.id for each in page.data] == ids[:-3:-1]
        assert page.has_more
        assert [each.id for each in page] == ids[::-1]
        assert len(list(client.files.list())) == 10  # inputs and outputs
        assert made.admin("POST", "/requests/count", json={"operation": "listBatches"})["count"] - asked == 3


def test_the_token_is_the_sandbox() -> None:
    with client_in("all-failed") as (made, _), made.sdk(max_retries=0).with_options(api_key=f"{TOKEN}-other") as other:
        done = other.batches.retrieve(start(other).id)

        assert counts_of(done) == (6, 6, 0)
