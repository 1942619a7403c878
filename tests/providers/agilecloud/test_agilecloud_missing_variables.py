"""A template's variable without a value: its request fails, or, where that is set, nothing is written in its place."""

from typing import Any

import pytest
from batch_client import CHAT, BatchClient, jsonl
from builders import make_client, value_of

TEMPLATE = "Dear {{ name }}, {{ greeting | default('hello') }}{% if extra is defined %}!{% endif %}"
FILLED = "Dear , hello"


def line(custom_id: str, **variables: Any) -> dict[str, Any]:
    body = {"model": "gpt-4o-mini", "prompt_slug": "letter", "variables": variables}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body}


def desk_with(template: str = TEMPLATE, **settings: Any) -> BatchClient:
    desk = BatchClient(**settings)
    made = desk.ask("POST", "/api/v1/prompts", json={"slug": "letter", "name": "Letter", "template": template})
    assert made.status == 201, made
    return desk


def rendered(desk: BatchClient, **variables: Any) -> tuple[int, Any]:
    response = desk.ask("POST", "/api/v1/prompts/letter/render", json={"variables": variables})
    return response.status, value_of(response).get("rendered")


def live_status(desk: BatchClient, **variables: Any) -> int:
    return desk.ask("POST", CHAT, json=line("x", **variables)["body"]).status


def test_by_default_the_request_fails_live_and_in_batches() -> None:
    desk = desk_with()
    batch = desk.run(jsonl(line("bad"), line("good", name="Ann")))

    (failed,) = desk.lines(batch["error_file_id"]).values()
    assert (failed["custom_id"], failed["response"]["body"]["error"]["code"]) == ("bad", "missing_variable")
    assert desk.lines(batch["output_file_id"]).keys() == {"good"}
    assert live_status(desk) == 400
    assert rendered(desk) == (400, None)


def test_the_setting_leaves_it_blank_live_and_in_batches() -> None:
    desk = desk_with(missing_variables="blank")
    batch = desk.run(jsonl(line("bare"), line("good", name="Ann")))

    assert batch["error_file_id"] is None
    assert desk.lines(batch["output_file_id"]).keys() == {"bare", "good"}
    assert live_status(desk) == 200
    assert rendered(desk) == (200, FILLED)
    assert rendered(desk, name="Ann", extra="") == (200, "Dear Ann, hello!")


@pytest.mark.parametrize(
    ("template", "variables", "text"),
    [
        ("[{{ a.b }}]", {"a": {}}, "[]"),
        ("[{% for each in a %}{{ each }}{% endfor %}]", {}, "[]"),
        ("[{{ a | upper }}]", {}, "[]"),
        ("[{% if a %}yes{% else %}no{% endif %}]", {}, "[no]"),
        ("[{{ a | default('b') }}]", {}, "[b]"),
        ("[{{ a }}{{ b }}]", {"b": 0}, "[0]"),
    ],
)
def test_blank_is_what_jinja_does_by_default(template: str, variables: dict[str, Any], text: str) -> None:
    assert rendered(desk_with(template, missing_variables="blank"), **variables) == (200, text)


def test_a_field_of_a_missing_variable_is_rejected_either_way() -> None:
    for how in ("error", "blank"):
        assert rendered(desk_with("{{ a.b }}", missing_variables=how))[0] == 400


def test_a_sandbox_can_differ_from_the_setting() -> None:
    with make_client() as client:
        made = {"slug": "letter", "name": "Letter", "template": TEMPLATE}
        assert client.post("/api/v1/prompts", json=made).status_code == 201
        path = "/api/v1/prompts/letter/render"

        assert client.post(path, json={}).status_code == 400
        assert client.put("/__admin/conditions", json={"missing_variables": "blank"}).status_code == 200
        assert client.post(path, json={}).json()["rendered"] == FILLED
        assert client.put("/__admin/conditions", json={"missing_variables": "error"}).status_code == 200
        assert client.post(path, json={}).status_code == 400
        assert client.put("/__admin/conditions", json={"missing_variables": "maybe"}).status_code == 422
