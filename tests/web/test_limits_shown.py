"""How much is shown of what clients send: texts in journals, violations, forms, and lists of findings, as numbers."""

from collections.abc import Iterator
from typing import Any

import pytest
from builders import make_client, make_engine, make_request
from starlette.testclient import TestClient

from mockserver.errors import Violation
from mockserver.http import Request, Response
from mockserver.openapi.responses import violation_json, violations_text
from mockserver.sandbox.journal import Journal
from mockserver.testing.unittest import journal_text


@pytest.fixture
def client() -> Iterator[TestClient]:
    with make_client() as running:
        yield running


def test_at_most_65536_characters_of_a_body_are_shown_with_its_size(client: TestClient) -> None:
    bodies = [{"prompts": ["x"], "extra": "é" * size} for size in (65_000, 70_000)]
    for body in bodies:
        assert client.post("/ai/batches", json=body).status_code == 202

    shown = [each["request"] for each in client.get("/__admin/requests").json()["requests"]]

    assert [len(each["body"]) for each in shown] == [65_000 + 28, 65_536]
    assert [each["bytes"] for each in shown] == [2 * 65_000 + 28, 2 * 70_000 + 28]


def test_a_hundred_unexpected_requests_are_shown_when_a_sandbox_is_deleted(client: TestClient) -> None:
    for _ in range(102):
        client.get("/v1/nowhere", headers={"X-Mock-Sandbox": "mine"})

    assert len(client.delete("/__admin/sandboxes/mine").json()["unexpected"]) == 100


def test_at_most_a_thousand_characters_of_a_detail_are_shown(client: TestClient) -> None:
    client.get("/v1/" + "n" * 3000)

    [shown] = client.get("/__admin/requests").json()["requests"]

    assert 0 < len(shown["detail"]) <= 1000


def test_a_violation_has_at_most_400_characters_and_names_100() -> None:
    shown = violation_json(Violation(("body", "n" * 101, 7), "type", "m" * 401))

    assert shown["location"] == ["body", "n" * 100, 7]
    assert (len(shown["message"]), shown["severity"]) == (400, "error")


@pytest.mark.parametrize(("length", "told"), [(4095, 1), (4097, 0)])
def test_the_violations_header_has_at_most_4096_characters(length: int, told: int) -> None:
    empty = violations_text([Violation((), "", "")])
    location = ("n" * 100,) * ((length - len(empty)) // 103)
    rest = length - len(violations_text([Violation(location, "", "")]))

    text = violations_text([Violation(location, "c" * rest, "")])

    assert (len(text), text.count('"code"')) == ((length, 1) if told else (2, 0))


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ([("a", "", None)] * 99, 200),
        ([("a", "", None)] * 100, 400),
        ([("a", "x" * 256 * 1024, None)], 200),
        ([("a", "x" * (256 * 1024 + 1), None)], 400),
        ([("f", "x", "f.txt")] * 9, 200),
        ([("f", "x", "f.txt")] * 10, 400),
    ],
    ids=["100 fields", "101 fields", "a long field", "a longer field", "10 files", "11 files"],
)
def test_a_form_has_at_most_100_fields_of_256_kib_and_10_files(
    client: TestClient, parts: list[tuple[str, str, str | None]], status: int
) -> None:
    whole: list[tuple[str, str, str | None]] = [("purpose", "user_data", None), ("file", "x", "x.txt"), *parts]
    lines = []
    for name, value, filename in whole:
        more = f'; filename="{filename}"' if filename else ""
        lines.append(f'--edge\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n')
    body = "".join(lines) + "--edge--\r\n"

    answer = client.post("/v1/files", content=body, headers={"Content-Type": "multipart/form-data; boundary=edge"})

    assert answer.status_code == status, answer.text


def test_a_journal_holds_at_most_16_mebibytes() -> None:
    def note(journal: Journal, size: int) -> None:
        journal.record(0.0, "", Request("GET", "", body=b"q" * size), Response(200), "", ())

    fitting, beyond = Journal(10), Journal(10)
    for journal, size in ((fitting, 8 * 1024 * 1024), (beyond, 8 * 1024 * 1024 + 1)):
        note(journal, 8 * 1024 * 1024)
        note(journal, size)

    assert (fitting.dropped, beyond.dropped) == (0, 1)


def exchange(violations: int) -> dict[str, Any]:
    told = [{"location": ["body", n], "message": f"wrong {n}"} for n in range(violations)]
    return {
        "number": 1,
        "method": "GET",
        "path": "/p",
        "status": 422,
        "reason": "invalid",
        "source": "",
        "violations": told,
    }


@pytest.mark.parametrize(("violations", "lines", "more"), [(0, 1, ""), (3, 4, ""), (4, 5, "and 1 more violations")])
def test_three_violations_of_a_request_are_printed(violations: int, lines: int, more: str) -> None:
    text = journal_text([exchange(violations)])

    assert len(text.splitlines()) == lines
    assert more in text.splitlines()[-1]


def test_at_most_a_hundred_violations_are_found() -> None:
    engine = make_engine()

    for count in (99, 100, 101):
        engine.handle(make_request("POST", "/ai/batches", json={"prompts": [1] * count}))

    found = engine.sandboxes.open("test").journal.find(lambda _: True)
    assert [len(each.violations) for each in found] == [99, 100, 100]
