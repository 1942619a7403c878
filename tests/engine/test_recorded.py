"""Recorded exchanges replayed from fixtures, without a server: answers in their order, jobs, and what is not there."""

from pathlib import Path
from typing import Any

import pytest
from builders import ask, bytes_of, make_document, make_engine, make_operation, value_of, write_json

from mockserver.engine.engine import Engine
from mockserver.errors import FixtureError

GET, MAKE = {"operation": "getThing"}, {"operation": "makeThing"}
STATES = [{"body": {"n": 0}}, {"body": {"n": 1}, "after": 10}, {"body": {"n": 2}, "after": 40}]


def make_replay(folder: Path, *recorded: dict[str, Any], secure: bool = False, **changes: Any) -> Engine:
    """An engine for `GET /things/{id}` and `POST /things` that replays these entries."""
    security: dict[str, Any] = {"security": [{"bearer": []}]} if secure else {}
    id_ = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    document = make_document(
        {
            "/things/{id}": {"get": {**make_operation("getThing", example={"n": "documented"}), "parameters": [id_]}},
            "/things": {"post": make_operation("makeThing", status="201", example={"n": "documented"})},
        },
        components={"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
        **security,
    )
    spec = write_json(folder / "spec.json", document)
    write_json(folder / "fixtures" / "things.json", {"recorded": list(recorded)})
    return make_engine(spec=(str(spec),), fixtures=(str(folder / "fixtures"),), **changes)


def read(engine: Engine, id_: str = "1", **more: Any) -> Any:
    return value_of(ask(engine, "GET", f"/things/{id_}", **more)).get("n")


def test_the_nth_request_gets_the_nth_answer_and_the_last_is_repeated(tmp_path: Path) -> None:
    answers = [{"body": {"n": 0}, "times": 2}, {"body": {"n": 1}}]
    engine = make_replay(tmp_path, {"request": GET, "answers": answers})

    assert [read(engine) for _ in range(5)] == [0, 0, 1, 1, 1]
    assert read(engine, token="another") == 0


@pytest.mark.parametrize(
    ("answer", "expected", "headers"),
    [
        ({}, (200, "", b""), {}),
        ({"status": 204}, (204, "", b""), {}),
        ({"body": None}, (200, "application/json", b"null"), {}),
        (
            {"body": "[base_url]/x", "headers": {"X-Url": "[base_url]", "X-N": "5"}},
            (200, "application/json", b'"http://127.0.0.1:4024/x"'),
            {"X-Url": "http://127.0.0.1:4024", "X-N": "5"},
        ),
        ({"text": "a [base_url]"}, (200, "text/plain", b"a http://127.0.0.1:4024"), {}),
        ({"text": "a,b", "media_type": "text/csv"}, (200, "text/csv", b"a,b"), {}),
        ({"file": "bodies/1.bin", "status": 202}, (202, "", b"\xff http://127.0.0.1:4024"), {}),
        ({"file": "bodies/1.bin", "media_type": "image/x"}, (200, "image/x", b"\xff http://127.0.0.1:4024"), {}),
    ],
)
def test_an_answer_is_given_as_it_was_recorded(
    tmp_path: Path, answer: Any, expected: tuple[int, str, bytes], headers: dict[str, str]
) -> None:
    (tmp_path / "fixtures" / "bodies").mkdir(parents=True)
    (tmp_path / "fixtures" / "bodies" / "1.bin").write_bytes(b"\xff [base_url]")
    engine = make_replay(tmp_path, {"request": GET, "answers": [answer]})

    found = ask(engine, "GET", "/things/1")

    assert (found.status, found.media_type, bytes_of(found)) == expected
    assert found.source == "fixture:things.json#1"
    assert {name: value for name, value in found.headers if name in {"X-Url", "X-N"}} == headers


def test_a_body_whose_file_is_gone_is_told(tmp_path: Path) -> None:
    engine = make_replay(tmp_path, {"request": GET, "answers": [{"file": "bodies/gone.bin"}]})

    with pytest.raises(FixtureError, match=r"bodies/gone.bin: the body cannot be read: No such file or directory"):
        ask(engine, "GET", "/things/1")


def test_a_request_that_was_not_recorded_is_explained(tmp_path: Path) -> None:
    engine = make_replay(tmp_path, {"request": {**GET, "path": {"id": "1"}}, "answers": [{}]})

    other = ask(engine, "GET", "/things/2")
    unknown = ask(engine, "POST", "/things")

    assert (other.status, other.media_type) == (404, "application/problem+json")
    assert other.source == "unrecorded"
    shown = value_of(other)
    assert shown["title"] == "Not Recorded"
    assert shown["detail"] == (
        "getThing: this request was not recorded. The nearest is fixture:things.json#1; `difference` shows what is "
        "recorded (-) and what came (+)."
    )
    assert (shown["nearest"], shown["difference"]) == ("fixture:things.json#1", ['- path.id: "1"', '+ path.id: "2"'])
    shown = value_of(unknown)
    assert shown["detail"] == (
        "makeThing: this request was not recorded. The recording has no request of this operation."
    )
    assert (shown["nearest"], shown["difference"]) == ("", [])


def test_the_explanation_shows_no_secret(tmp_path: Path) -> None:
    engine = make_replay(tmp_path, {"request": {**GET, "query": {}}, "answers": [{}]})

    shown = value_of(ask(engine, "GET", "/things/1", query={"note": "hush-hush-hush"}, token="hush-hush-hush"))

    assert "hush" not in str(shown)
    assert len(shown["difference"]) == 1


def test_what_was_not_recorded_may_be_answered_by_the_sandbox(tmp_path: Path) -> None:
    recorded = {"request": {**GET, "path": {"id": "1"}}, "answers": [{"body": {"n": 5}}]}
    engine = make_replay(tmp_path, recorded, unrecorded="answer")

    assert (read(engine, "1"), read(engine, "2")) == (5, "documented")


@pytest.mark.parametrize(("secure", "token", "found"), [(True, "t", 1), (False, "t", 1), (False, None, 1)])
def test_a_credential_counts_where_the_operation_asks_for_one(
    tmp_path: Path, secure: bool, token: str | None, found: int
) -> None:
    entries = [
        {"request": {**GET, "credential": False}, "answers": [{"body": {"n": 0}}]},
        {"request": {**GET, "credential": True}, "answers": [{"body": {"n": 1}}]},
    ]

    assert read(make_replay(tmp_path, *entries, secure=secure), token=token) == found


# Jobs


def make_job(folder: Path, progression: str, **changes: Any) -> Engine:
    begins = {"request": MAKE, "answers": [{"status": 201, "body": {}, "begins": ["job"]}]}
    timeline = {"request": GET, "timeline": STATES, "job": "job", "since": "makeThing"}
    return make_replay(folder, begins, timeline, progression=progression, **changes)


@pytest.mark.parametrize(
    ("progression", "seen"),
    [
        ("immediate", [2, 2]),
        ("polls:1", [2, 2]),
        ("polls:2", [0, 2, 2]),
        ("polls:3", [0, 1, 2, 2]),
        ("polls:6", [0, 0, 1, 1, 1, 2]),
    ],
)
def test_a_job_progresses_with_the_reads_of_it(tmp_path: Path, progression: str, seen: list[int]) -> None:
    engine = make_job(tmp_path, progression)
    ask(engine, "POST", "/things")

    assert [read(engine) for _ in seen] == seen


def test_a_job_progresses_with_the_clock(tmp_path: Path) -> None:
    engine = make_job(tmp_path, "time:4")
    ask(engine, "POST", "/things")
    seen = [read(engine)]

    for _ in range(4):
        engine.sandboxes.open("test").clock.advance(1)
        seen.append(read(engine))

    assert seen == [0, 1, 1, 1, 2]


def test_each_beginning_starts_the_job_anew(tmp_path: Path) -> None:
    engine = make_job(tmp_path, "polls:2")

    ask(engine, "POST", "/things")
    first = [read(engine), read(engine)]
    ask(engine, "POST", "/things")

    assert (first, [read(engine), read(engine)]) == ([0, 2], [0, 2])


def test_a_job_without_a_beginning_begins_with_its_first_read(tmp_path: Path) -> None:
    engine = make_replay(tmp_path, {"request": GET, "timeline": STATES}, progression="polls:2")

    assert [read(engine), read(engine)] == [0, 2]


def test_a_job_has_the_timeline_of_what_began_it(tmp_path: Path) -> None:
    entries: list[dict[str, Any]] = [
        {"request": GET, "timeline": [{"body": {"n": name}}], "job": "job", "since": since}
        for name, since in (("first", "another"), ("second", "makeThing"), ("third", "other"))
    ]
    begins = {"request": MAKE, "answers": [{"status": 201, "body": {}, "begins": ["job"]}]}

    engine = make_replay(tmp_path, *entries, begins)
    assert read(engine) == "first"
    ask(engine, "POST", "/things")
    assert read(engine) == "second"

    unknown = make_replay(tmp_path, entries[0], entries[2], begins)
    ask(unknown, "POST", "/things")
    assert read(unknown) == "third"
