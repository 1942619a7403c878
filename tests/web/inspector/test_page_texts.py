"""How pages write times, durations and JSON."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from builders import make_client
from starlette.testclient import TestClient

from mockserver.web.inspector.render import format_json


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with make_client(clock="frozen") as made:
        made.post("/ai/batches", json={"prompts": ["hello"]})
        yield made


def page_of(client: TestClient, path: str) -> str:
    return client.get(f"/__admin/ui{path}", params={"sandbox": "test"}).text


def test_a_request_is_listed_with_its_time_of_day_to_the_millisecond(client: TestClient) -> None:
    at = client.get("/__admin/requests", headers={"X-Mock-Sandbox": "test"}).json()["requests"][0]["at"]

    assert re.search(rf">\s*{re.escape(at[11:23])}\s*<", page_of(client, "/requests"))
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}", at[11:23])


def test_a_duration_is_in_milliseconds_with_the_delay(client: TestClient) -> None:
    late = {"type": "latency", "seconds": 0.01}
    client.post("/__admin/next", json={"operation": "getUser", "fault": late}, headers={"X-Mock-Sandbox": "test"})
    client.get("/user")
    slow = client.get("/__admin/requests/summaries", headers={"X-Mock-Sandbox": "test"}).json()["requests"][0]

    assert slow["delay"] == 0.01
    assert f">{1000 * (slow['seconds'] + 0.01):.1f} ms<" in page_of(client, "/requests")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('{"a":1}', '{\n  "a": 1\n}'),
        ({"a": [1]}, '{\n  "a": [\n    1\n  ]\n}'),
        ("no JSON", "no JSON"),
        ("", ""),
        (5, "5"),
        (2**70, str(2**70)),
    ],
)
def test_json_is_indented_and_other_text_is_as_it_is(value: Any, text: str) -> None:
    assert format_json(value) == text
