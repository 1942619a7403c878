"""Pact file and verdict of a whole server: bounded, and they say what they left out."""

from typing import Any

import pytest
from builders import make_client

from mockserver.verify.verdict import Finding
from mockserver.web.admin import verify


def left_out(answer: Any) -> list[str]:
    """The notes of sandboxes that were left out."""
    return [each for each in answer["notes"] if "request them one by one" in each]


def read_from_three_sandboxes(path: str, **scope: str) -> Any:
    with make_client(clock="frozen") as client:
        for name in ("a", "b", "c"):
            for _ in range(2):
                client.get("/user", headers={"X-Mock-Sandbox": name})
        return client.get(f"/__admin/{path}", params=scope, headers={"X-Mock-Sandbox": "a"}).json()


@pytest.mark.parametrize(
    ("most", "left"),
    [(1, 2), (2, 1), (4, 0), (5, 0)],
)
def test_sandboxes_beyond_the_bound_are_counted(monkeypatch: pytest.MonkeyPatch, most: int, left: int) -> None:
    monkeypatch.setattr(verify, "MAX_EXCHANGES", most)

    found = read_from_three_sandboxes("pact", scope="server")
    judged = read_from_three_sandboxes("verdict", scope="server")

    were = "1 sandbox was" if left == 1 else f"{left} sandboxes were"
    assert left_out(found) == ([f"{were} not read; request them one by one."] if left else [])
    assert left_out(judged) == ([f"{were} not checked; request them one by one."] if left else [])
    assert len(found["pacts"]) == 1


def test_the_pact_and_verdict_of_one_sandbox_read_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "MAX_EXCHANGES", 0)

    assert left_out(read_from_three_sandboxes("pact")) == []
    assert left_out(read_from_three_sandboxes("verdict")) == []


def test_the_bounds_of_a_verdict_a_coverage_and_a_pact_file() -> None:
    assert (verify.MAX_FINDINGS, verify.MAX_EXCHANGES, verify.MAX_NAME) == (1000, 20_000, 100)


@pytest.mark.parametrize(("count", "shown", "more"), [(2, 2, 0), (3, 3, 0), (5, 3, 2)])
def test_findings_beyond_the_bound_are_counted(
    monkeypatch: pytest.MonkeyPatch, count: int, shown: int, more: int
) -> None:
    finding = Finding("a-rule", "warning", "Something.", (1,), "Do better.")
    monkeypatch.setattr(verify, "MAX_FINDINGS", 3)
    monkeypatch.setattr(verify, "run_checks", lambda *_, **__: [finding] * count)

    found = read_from_three_sandboxes("verdict")

    assert len(found["findings"]) == shown
    assert [each for each in found["notes"] if "more findings" in each] == (
        [f"{more} more findings are not shown."] if more else []
    )
    assert found["summary"]["warning"] == shown
    assert found["judged"] == 2


def test_findings_of_later_sandboxes_take_the_room_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = Finding("a-rule", "warning", "Something.", (1,), "Do better.")
    monkeypatch.setattr(verify, "MAX_FINDINGS", 5)
    monkeypatch.setattr(verify, "run_checks", lambda *_, **__: [finding] * 2)

    found = read_from_three_sandboxes("verdict", scope="server")

    assert [each["sandbox"] for each in found["findings"]] == ["a", "a", "b", "b", "c"]
    assert "1 more findings are not shown." in found["notes"]


@pytest.mark.parametrize(("most", "counted"), [(1, 2), (2, 4), (5, 6), (6, 6)])
def test_the_coverage_of_all_sandboxes_ends_after_the_bound_and_says_how_much_is_missing(
    monkeypatch: pytest.MonkeyPatch, most: int, counted: int
) -> None:
    monkeypatch.setattr(verify, "MAX_EXCHANGES", most)

    found = read_from_three_sandboxes("coverage", scope="sandboxes")

    (row,) = [each for each in found["coverage"] if each["key"] == "getUser"]
    assert sum(row["responses"].values()) == counted
    assert (found["scope"], found["dropped"]) == ("sandboxes", 6 - counted)


def test_what_the_journal_dropped_is_missing_in_verdict_coverage_and_pact() -> None:
    with make_client(clock="frozen", journal_size=2) as client:
        client.headers["X-Mock-Sandbox"] = "mine"
        for _ in range(5):
            client.get("/user")
        verdict, pact = client.get("/__admin/verdict").json(), client.get("/__admin/pact").json()
        coverage = client.get("/__admin/coverage", params={"scope": "sandbox"}).json()

    assert (verdict["judged"], verdict["dropped"], coverage["dropped"]) == (2, 3, 3)
    assert verdict["notes"] == [
        "Sandbox mine: the journal dropped the first 3 of 5 exchanges, which were not checked (setting "
        "--journal-size).",
        "Sandbox mine: its clock is frozen, so the polling interval cannot be checked.",
    ]
    assert pact["notes"] == ["Sandbox mine: the journal dropped the first 3 exchanges."]


@pytest.mark.parametrize(("progression", "is_noted"), [("time:2", False), ("polls:2", True), ("immediate", True)])
def test_a_verdict_says_where_batches_do_not_progress_with_the_clock(progression: str, is_noted: bool) -> None:
    with make_client(clock="2026-04-12T00:00:00", progression=progression) as client:
        client.headers["X-Mock-Sandbox"] = "mine"
        empty = client.get("/__admin/verdict").json()["notes"]
        client.get("/user")
        notes = client.get("/__admin/verdict").json()["notes"]

    assert empty == []
    assert notes == (
        ["Sandbox mine: its batches do not progress with the clock, so the polling interval is not checked."]
        if is_noted
        else []
    )


@pytest.mark.parametrize(("length", "status"), [(0, 400), (1, 200), (100, 200), (101, 400)])
def test_a_consumer_has_a_name_of_1_to_100_characters(length: int, status: int) -> None:
    with make_client() as client:
        answer = client.get("/__admin/pact", params={"consumer": "c" * length})

    assert answer.status_code == status
    if status == 400:
        assert answer.json()["detail"] == f"consumer is {'c' * min(length, 100)!r}; wanted 1 to 100 characters."


def test_a_pact_file_of_one_provider_has_no_other() -> None:
    with make_client() as client:
        client.get("/user")
        client.get("/v1/models")
        both = client.get("/__admin/pact").json()["pacts"]
        names = [each["provider"]["name"] for each in both]
        one = client.get("/__admin/pact", params={"provider": names[0]}).json()["pacts"]
        refused = [client.get("/__admin/pact", params={"provider": each}).status_code for each in ("", "nobody")]

    assert len(names) == 2
    assert one == both[:1]
    assert refused == [400, 400]
