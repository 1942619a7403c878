"""Each scenario that Agent First has a part in, met by httpx and curl over a socket; and that every scenario is met."""

import subprocess
from itertools import count
from pathlib import Path

import httpx
import pytest
from builders import make_settings
from scenario_run import TOKEN, ScenarioRun, named_after, scenario_run

from mockserver.engine.build import build_engine


def curl(made: ScenarioRun, path: str, *options: str) -> tuple[int, str]:
    """curl's exit code and what it printed."""
    command = ["curl", "-sS", "-H", f"Authorization: Bearer {TOKEN}", *options, made.server.url + path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout


def patient(made: ScenarioRun, path: str) -> tuple[httpx.Response, list[int]]:
    """The first answer that is no error, as a client gets it that waits where it is told to; and its waits."""
    waits: list[int] = []
    for _ in count():
        answer = made.api.get(path)
        if answer.status_code not in {429, 500, 503}:
            break
        waits.append(int(answer.headers.get("retry-after", 0)))
    return answer, waits


def test_every_scenario_is_tested_with_a_client_of_each_api_it_affects() -> None:
    book = build_engine(make_settings()).scenarios.by_name
    by_sdk, by_hand = (
        named_after(Path(__file__).with_name(f"test_scenarios_{each}.py")) for each in ("agilecloud", "agentfirst")
    )

    assert by_sdk | by_hand == book.keys()
    assert by_sdk == book.keys() - {"credits-run-out"}, "AgileCloud documents no 402"
    # Agent First looks at a whole request at once, and has neither a way to cancel nor a window.
    only_agilecloud = {"expired", "input-rejected", "duplicate-custom-ids", "cancelled", "cancelling"}
    assert by_hand == book.keys() - only_agilecloud


def test_happy_path__leads_to_the_archive() -> None:
    with scenario_run("happy-path") as made:
        id_ = made.queue()
        looks = [made.status(id_).json() for _ in range(3)]

        assert [each["status"] for each in looks] == ["retrieving", "archiving", "successful"]
        assert made.api.get(looks[-1]["url"], params={"format": "ndjson"}).text.count("\n") == 6


def test_partial_failures__are_counted_and_stand_in_the_archive() -> None:
    with scenario_run("partial-failures") as made:
        done = made.finish(made.queue())

        assert (done["status"], done["successful"], done["failed"]) == ("successful", 4, 2)
        lines = made.api.get(done["url"], params={"format": "ndjson"}).text.splitlines()
        assert [n for n, line in enumerate(lines) if line == '{"status":"failed"}'] == [2, 5]


def test_all_failed__is_a_failed_batch_that_costs_nothing() -> None:
    with scenario_run("all-failed") as made:
        before = made.api.get("/user").json()
        done = made.finish(made.queue())

        assert (done["status"], done["failed"], done["url"]) == ("failed", 6, None)
        assert made.api.get("/user").json() == before


def test_stuck__is_still_being_retrieved_a_month_later() -> None:
    with scenario_run("stuck") as made:
        id_ = made.queue()
        made.finish(id_, looks=10)
        made.advance(days=30)
        late = made.status(id_).json()

        assert (late["status"], late["successful"], late["failed"], late["url"]) == ("retrieving", 3, 0, None)


def test_no_capacity__holds_batches_while_a_live_prompt_is_answered() -> None:
    with scenario_run("no-capacity") as made:
        id_ = made.queue()

        assert made.api.get("/ai", params={"prompt": "Name a river."}).status_code == 200
        late = made.finish(id_, looks=10)
        assert (late["status"], late["successful"]) == ("retrieving", 0)


def test_ids_vanish__after_an_hour() -> None:
    with scenario_run("ids-vanish") as made:
        id_ = made.queue()
        job = made.api.get("/ai", params={"prompt": "Name a river.", "mode": "async"}).json()["id"]
        url = made.finish(id_)["url"]
        assert made.api.get(url).status_code == 200
        made.advance(minutes=60)

        assert made.status(id_).status_code == 422
        assert made.api.get("/ai/completions", params={"id": job}).status_code == 422
        assert made.api.get(url).status_code == 404
        assert made.api.get("/user").status_code == 200


def test_credits_run_out__between_two_batches() -> None:
    with scenario_run("credits-run-out") as made:
        body = ("-H", "Content-Type: application/json", "-d", '{"prompts": ["One river", "Another river"]}')
        first, answer = curl(made, "/ai/batches", *body)
        id_ = httpx.Response(200, text=answer).json()["id"]
        done = made.status(id_).json()
        second, refusal = curl(made, "/ai/batches", "--fail-with-body", *body)

        assert (first, done["status"]) == (0, "successful")
        assert (second, refusal) == (22, "Credit balance is 0; top up at https://agentfirst.dev/#pricing")
        assert made.api.get("/user").json()[0]["credits"] == 0
        # The operator pays, and work goes on.
        made.admin("PUT", f"/accounts/{TOKEN}", json={"credits": 100})
        assert made.queue()


def test_credits_run_out__and_both_answers_are_read_after_the_refusal() -> None:
    with scenario_run("credits-run-out") as made:
        ids = [made.queue(1), made.queue(1)]
        done = [made.status(id_).json() for id_ in ids]

        refused = made.api.post("/ai/batches", json={"prompts": ["A third"]})
        live = made.api.get("/ai", params={"prompt": "A third"})
        again = [made.status(id_).json() for id_ in ids]
        answers = [made.api.get(each["url"], params={"format": "ndjson"}).json()["prompt"] for each in again]

        assert refused.status_code == live.status_code == 402
        assert [each["status"] for each in again] == ["successful", "successful"]
        assert again == done
        assert answers == ["Question 0 about rivers"] * 2


def test_credits_run_out__can_refuse_reads_as_well() -> None:
    with scenario_run("credits-run-out") as made:
        id_ = made.queue(2)
        assert made.status(id_).json()["status"] == "successful"

        made.admin("PUT", "/conditions", json={"credit_check": "documented"})
        assert made.status(id_).status_code == 402
        made.admin("DELETE", "/conditions")
        assert made.status(id_).status_code == 200


def test_token_revoked__in_the_middle_of_a_run() -> None:
    with scenario_run("token-revoked") as made:
        id_ = made.queue()
        assert made.status(id_).json()["status"] == "retrieving"
        made.advance(seconds=1)

        refused = made.status(id_)
        assert (refused.status_code, refused.text) == (403, "Valid API token must be provided")
        assert made.api.get("/user").status_code == 403


def test_rate_limited__is_waited_out() -> None:
    with scenario_run("rate-limited") as made:
        answer, waits = patient(made, "/user")

        assert (answer.status_code, waits) == (200, [1, 1])
        assert curl(made, "/user", "--fail")[0] == 0


def test_rate_limited__fails_a_curl_that_does_not_wait() -> None:
    with scenario_run("rate-limited") as made:
        assert curl(made, "/user", "--fail", "-w", "%{http_code}") == (22, "429")


def test_flaky__is_overcome_by_asking_again() -> None:
    with scenario_run("flaky") as made:
        waits = [wait for _ in range(20) for wait in patient(made, "/ai/devices")[1]]

        assert set(waits) == {0, 1}  # 500 says nothing of when, 503 does


def test_slow_then_fast__times_out_twice_and_is_answered() -> None:
    with scenario_run("slow-then-fast") as made:
        for _ in range(2):
            with pytest.raises(httpx.ReadTimeout):
                made.api.get("/user", timeout=0.2)

        assert made.api.get("/user", timeout=5).status_code == 200


def test_huge_pages__are_as_heavy_as_real_ones() -> None:
    with scenario_run("huge-pages") as made:
        job = made.api.get("/ai", params={"prompt": "Name a river.", "mode": "async"}).json()["id"]
        completion = made.api.get("/ai/completions", params={"id": job})

        assert len(completion.json()["html"]) > 200_000
        made.admin("DELETE", "/conditions")
        assert len(made.api.get("/ai/completions", params={"id": job}).json()["html"]) < 50_000


def test_credits_run_out__can_be_met_on_a_read_by_a_stub_or_a_preference() -> None:
    with scenario_run("credits-run-out") as made:
        id_ = made.queue(1)
        made.admin("POST", "/next", json={"operation": "getBatchStatus", "status": 402})

        assert made.status(id_).status_code == 402
        assert made.status(id_).status_code == 200
        for path in ("/ai/devices", f"/ai/batches?id={id_}", f"/ai/completions?id={id_}"):
            assert made.api.get(path, headers={"Prefer": "code=402"}).status_code == 402
