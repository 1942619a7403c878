"""The operations that make, show and change prompts, called as the engine calls them."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from handler_client import CREATED, HandlerClient

from mockserver.api.call import Call
from mockserver.errors import Reason
from mockserver.fixtures.files import Fixtures
from mockserver.http import Response
from mockserver.providers.agilecloud.prompts import operations as calls


@pytest.fixture
def desk() -> HandlerClient:
    return HandlerClient()


SUM = {"slug": "sum", "template": "Sum up: {{ text }}", "description": "d", "model": "m"}


def test_a_created_prompt_is_published_and_shown(desk: HandlerClient) -> None:
    response = desk.call(calls.create_prompt, SUM)
    created = desk.value(calls.get_prompt, slug="sum")

    assert response.status == 201
    assert response.body == orjson.dumps(created)
    assert created == {
        "object": "prompt",
        "slug": "sum",
        "name": "sum",
        "description": "d",
        "model": "m",
        "template": "Sum up: {{ text }}",
        "messages": None,
        "model_config": {},
        "variables": ["text"],
        "published_version": 1,
        "latest_version": 1,
        "created_at": 1001,
        "updated_at": 1001,
        "archived_at": None,
    }


def test_declared_variables_are_kept_as_they_are(desk: HandlerClient) -> None:
    messages = [{"role": "system", "content": "{{ a }}"}, {"role": "user", "content": "{{ b }}"}]
    desk.call(calls.create_prompt, {"slug": "declared", "messages": messages, "variables": ["z"], "name": "N"})
    desk.call(calls.create_prompt, {"slug": "found", "messages": messages, "model_config": {"temperature": 1}})
    declared, found = desk.value(calls.list_prompts)["data"][1:]

    assert (declared["variables"], declared["name"], declared["messages"]) == (["z"], "N", messages)
    assert (found["variables"], found["template"], found["model_config"]) == (["a", "b"], None, {"temperature": 1})


def test_prompts_are_listed_by_slug_without_the_archived(desk: HandlerClient) -> None:
    for slug in ("z", "b"):
        desk.call(calls.create_prompt, {**SUM, "slug": slug})
    response = desk.call(calls.archive_prompt, slug="z")
    listed = desk.value(calls.list_prompts)

    assert (response.status, response.body) == (204, b"")
    assert ([each["slug"] for each in listed["data"]], listed["count"]) == (["b", "canned"], 2)
    assert desk.value(calls.get_prompt, slug="z")["archived_at"] == 1003


def test_archiving_again_changes_nothing(desk: HandlerClient) -> None:
    desk.call(calls.create_prompt, SUM)
    for _ in range(2):
        desk.call(calls.archive_prompt, slug="sum")

    assert desk.value(calls.get_prompt, slug="sum")["archived_at"] == 1002


def test_prompts_belong_to_the_account_that_made_them(desk: HandlerClient) -> None:
    desk.call(calls.create_prompt, SUM)
    desk.call(calls.archive_prompt, slug="canned", token="ann")

    assert desk.refusal(calls.get_prompt, slug="sum", token="bob")[0] is Reason.NOT_FOUND
    assert [each["slug"] for each in desk.value(calls.list_prompts, token="bob")["data"]] == ["canned"]


def test_a_canned_prompt_can_be_changed_and_replaced(desk: HandlerClient) -> None:
    changed = desk.value(calls.update_prompt, {"name": "Mine", "description": None}, slug="canned")
    replaced = desk.value(calls.create_prompt, {**SUM, "slug": "canned"}, token="bob")

    assert (changed["name"], changed["template"], changed["created_at"]) == ("Mine", "Canned {{ text }}", 1000)
    assert changed["variables"] == ["text"]
    assert replaced["template"] == SUM["template"]


def test_a_canned_prompt_with_a_broken_template_is_shown_all_the_same(desk: HandlerClient) -> None:
    desk.fixtures = Fixtures(sections={"prompts": ({"slug": "broken", "template": "{{ a"},)})

    assert desk.value(calls.get_prompt, slug="broken")["variables"] == []
    assert desk.refusal(calls.render_prompt, {}, slug="broken")[:3] == (
        Reason.INVALID,
        ("body", "variables"),
        "invalid_template",
    )


def test_a_taken_slug_is_a_conflict_even_when_archived(desk: HandlerClient) -> None:
    taken = (Reason.CONFLICT, ("body", "slug"), "prompt_exists", "Prompt 'sum' already exists.")
    desk.call(calls.create_prompt, SUM)

    assert desk.refusal(calls.create_prompt, SUM) == taken
    desk.call(calls.archive_prompt, slug="sum")
    assert desk.refusal(calls.create_prompt, SUM) == taken


def test_the_description_of_a_prompt_can_be_changed(desk: HandlerClient) -> None:
    desk.call(calls.create_prompt, SUM)
    changed = desk.value(calls.update_prompt, {"name": "New", "model": None, "slug": "no"}, slug="sum")

    assert (changed["slug"], changed["name"], changed["model"], changed["updated_at"]) == ("sum", "New", "m", 1002)


def test_versions_are_drafted_published_and_archived(desk: HandlerClient) -> None:
    desk.call(calls.create_prompt, SUM)
    response = desk.call(calls.create_prompt_version, {"template": "b", "change_note": "why"}, slug="sum")
    before = desk.value(calls.list_prompt_versions, slug="sum")
    published = desk.value(calls.publish_prompt_version, slug="sum", version=2)
    after = desk.value(calls.list_prompt_versions, slug="sum")

    assert response.status == 201
    assert [(each["version"], each["status"]) for each in before["data"]] == [(2, "draft"), (1, "published")]
    assert [(each["version"], each["status"]) for each in after["data"]] == [(2, "published"), (1, "archived")]
    assert published == after["data"][0]
    assert published == {
        "object": "prompt.version",
        "slug": "sum",
        "version": 2,
        "status": "published",
        "template": "b",
        "messages": None,
        "model_config": {},
        "variables": [],
        "change_note": "why",
        "created_at": 1002,
        "published_at": 1004,
        "archived_at": None,
    }
    assert desk.value(calls.publish_prompt_version, slug="sum", version=2) == published
    assert desk.refusal(calls.publish_prompt_version, slug="sum", version=1) == (
        Reason.CONFLICT,
        ("path", "version"),
        "version_archived",
        "Version 1 of prompt 'sum' is archived.",
    )


@pytest.mark.parametrize("create", CREATED)
@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        ({"template": "{{ a"}, "invalid_template", "Invalid 'template': Line 1: unexpected end of input"),
        (
            {"template": "{% include 'a' %}"},
            "invalid_template",
            "Invalid 'template': Line 1: Not allowed in a template: another template",
        ),
        (
            {"messages": [{"role": "user", "content": "ok"}, {"role": "user", "content": "{{ a|z }}"}]},
            "invalid_template",
            "Invalid 'messages': Line 1: filter z is unknown",
        ),
        ({}, "missing_required_parameter", "Missing required parameter: 'messages'."),
    ],
)
def test_an_invalid_template_is_rejected_at_creation(
    desk: HandlerClient, create: Callable[[Call], Response], content: dict[str, Any], code: str, message: str
) -> None:
    reason, location, found, text = desk.refusal(create, {"slug": "new", **content}, slug="canned")

    assert (reason, location, found) == (Reason.INVALID, ("body", next(iter(content), "messages")), code)
    assert text.startswith(message)


@pytest.mark.parametrize(
    ("handler", "body", "arguments"),
    [
        (calls.get_prompt, None, {}),
        (calls.update_prompt, {}, {}),
        (calls.archive_prompt, None, {}),
        (calls.create_prompt_version, {"template": "x"}, {}),
        (calls.list_prompt_versions, None, {}),
        (calls.publish_prompt_version, None, {"version": 1}),
        (calls.diff_prompt_versions, None, {"v1": 1, "v2": 1}),
        (calls.render_prompt, {}, {}),
        (calls.start_ab_test, {"version_a": 1, "version_b": 2}, {}),
        (calls.get_ab_results, None, {}),
    ],
)
def test_an_unknown_slug_is_not_found(
    desk: HandlerClient, handler: Callable[[Call], Response], body: Any, arguments: dict[str, Any]
) -> None:
    expected = (Reason.NOT_FOUND, ("path", "slug"), "prompt_not_found", "Prompt 'nope' not found.")

    assert desk.refusal(handler, body, slug="nope", **arguments) == expected


@pytest.mark.parametrize(
    ("handler", "body", "arguments"),
    [
        (calls.update_prompt, {}, {}),
        (calls.create_prompt_version, {"template": "x"}, {}),
        (calls.publish_prompt_version, None, {"version": 1}),
        (calls.render_prompt, {}, {}),
        (calls.start_ab_test, {"version_a": 1, "version_b": 2}, {}),
    ],
)
def test_an_archived_prompt_cannot_be_changed_or_used(
    desk: HandlerClient, handler: Callable[[Call], Response], body: Any, arguments: dict[str, Any]
) -> None:
    desk.call(calls.archive_prompt, slug="canned")
    expected = (Reason.CONFLICT, ("path", "slug"), "prompt_archived", "Prompt 'canned' is archived.")

    assert desk.refusal(handler, body, slug="canned", **arguments) == expected


@pytest.mark.parametrize(
    ("handler", "body", "arguments", "location"),
    [
        (calls.publish_prompt_version, None, {"version": 7}, ("path", "version")),
        (calls.diff_prompt_versions, None, {"v1": 7, "v2": 1}, ("query", "v1")),
        (calls.diff_prompt_versions, None, {"v1": 1, "v2": 7}, ("query", "v2")),
        (calls.render_prompt, {"version": 7}, {}, ("body", "version")),
        (calls.start_ab_test, {"version_a": 1, "version_b": 7}, {}, ("body", "version_b")),
    ],
)
def test_an_unknown_version_is_not_found(
    desk: HandlerClient,
    handler: Callable[[Call], Response],
    body: Any,
    arguments: dict[str, Any],
    location: tuple[str, str],
) -> None:
    expected = (Reason.NOT_FOUND, location, "prompt_version_not_found", "Version 7 of prompt 'canned' not found.")

    assert desk.refusal(handler, body, slug="canned", **arguments) == expected
