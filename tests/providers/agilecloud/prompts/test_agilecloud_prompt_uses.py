"""The operations that compare, render and test versions of prompts, called as the engine calls them."""

from typing import Any

import pytest
from effort import effort_within
from handler_client import FIXTURES, HandlerClient

from mockserver.errors import Reason
from mockserver.providers.agilecloud.prompts import operations as calls
from mockserver.providers.agilecloud.prompts.repository import PromptRepository, prompts_of
from mockserver.providers.agilecloud.prompts.select import resolve, select_version
from mockserver.redaction import account_key

SUM = {"slug": "sum", "template": "Sum up: {{ text }}"}
BOTH = {"version_a": 1, "version_b": 2}


@pytest.fixture
def desk() -> HandlerClient:
    """A desk with a prompt of two versions, of which the second is a draft."""
    desk = HandlerClient()
    desk.call(calls.create_prompt, SUM)
    desk.call(
        calls.create_prompt_version, {"template": "Say it: {{ text }}\nTwice.", "model_config": {"n": 2}}, slug="sum"
    )
    return desk


def test_versions_are_compared_line_by_line_and_field_by_field(desk: HandlerClient) -> None:
    compared = desk.value(calls.diff_prompt_versions, slug="sum", v1=1, v2=2)

    assert compared == {
        "slug": "sum",
        "v1": 1,
        "v2": 2,
        "diff": "--- sum v1\n+++ sum v2\n@@ -1 +1,2 @@\n-Sum up: {{ text }}\n+Say it: {{ text }}\n+Twice.\n",
        "changes": [
            {"field": "template", "before": "Sum up: {{ text }}", "after": "Say it: {{ text }}\nTwice."},
            {"field": "model_config", "before": {}, "after": {"n": 2}},
        ],
    }


def test_a_version_does_not_differ_from_itself(desk: HandlerClient) -> None:
    compared = desk.value(calls.diff_prompt_versions, slug="sum", v1=2, v2=2)

    assert (compared["diff"], compared["changes"]) == ("", [])


def test_messages_are_compared_with_their_roles(desk: HandlerClient) -> None:
    messages = [{"role": "system", "content": "a\nb"}, {"role": "user", "content": "c"}]
    for content in (messages, [messages[0], {"role": "user", "content": "d"}]):
        desk.call(calls.create_prompt_version, {"messages": content}, slug="sum")
    compared = desk.value(calls.diff_prompt_versions, slug="sum", v1=3, v2=4)

    assert compared["diff"].splitlines()[2:] == ["@@ -2,4 +2,4 @@", " a", " b", " [user]", "-c", "+d"]
    assert [each["field"] for each in compared["changes"]] == ["messages"]


def test_long_versions_are_compared_as_a_whole_and_at_once(desk: HandlerClient) -> None:
    for offset in (0, 1):
        lines = "\n".join(str((n * 7919 + offset) % 997) for n in range(100_000))
        desk.call(calls.create_prompt_version, {"template": lines}, slug="sum")
    with effort_within(20_000_000):
        compared = desk.value(calls.diff_prompt_versions, slug="sum", v1=3, v2=4)

    assert compared["diff"].splitlines()[2:4] == ["@@ -1,100000 +1,100000 @@", "-0"]
    assert compared["diff"].count("\n") == 200_003


def test_a_prompt_is_rendered_by_its_published_version_unless_another_is_named(desk: HandlerClient) -> None:
    values = {"text": "T"}
    published = desk.value(calls.render_prompt, {"variables": values}, slug="sum")
    named = desk.value(calls.render_prompt, {"variables": values, "version": 2}, slug="sum")

    assert published == {"rendered": "Sum up: T", "messages": [{"role": "user", "content": "Sum up: T"}], "version": 1}
    assert (named["rendered"], named["version"]) == ("Say it: T\nTwice.", 2)


def test_rendered_messages_stand_apart(desk: HandlerClient) -> None:
    messages = [{"role": "system", "content": "{{ a }}"}, {"role": "user", "content": "b"}]
    desk.call(calls.create_prompt, {"slug": "two", "messages": messages})
    rendered = desk.value(calls.render_prompt, {"variables": {"a": "A"}}, slug="two")

    assert rendered["rendered"] == "A\n\nb"
    assert [each["role"] for each in rendered["messages"]] == ["system", "user"]


def test_a_missing_variable_or_an_archived_version_is_not_rendered(desk: HandlerClient) -> None:
    missing = (Reason.INVALID, ("body", "variables", "text"), "missing_variable", "Missing variable: 'text'.")
    archived = (Reason.CONFLICT, ("body", "version"), "version_archived", "Version 1 of prompt 'sum' is archived.")

    assert desk.refusal(calls.render_prompt, {"variables": None}, slug="sum") == missing
    desk.call(calls.publish_prompt_version, slug="sum", version=2)
    assert desk.refusal(calls.render_prompt, {"version": 1}, slug="sum") == archived


def test_a_version_test_counts_the_requests_of_each_version(desk: HandlerClient) -> None:
    started = desk.value(calls.start_ab_test, {**BOTH, "split": None}, slug="sum")
    book = PromptRepository(prompts_of(desk.sandbox), account_key("ann"), FIXTURES.section("prompts"))
    for n in range(40):
        chosen = select_version({"prompt_slug": "sum", "variables": {"text": "T"}}, book.find, b"%d" % n)
        assert chosen is not None
        assert chosen.is_tested
        book.count("sum", chosen.version.number, failed=n == 0, prompt_tokens=3, completion_tokens=2)
    results = desk.value(calls.get_ab_results, slug="sum")
    first, second = results.pop("variants")

    assert started == {"slug": "sum", **BOTH, "split": 0.5, "status": "running", "started_at": 1003}
    assert results == started
    assert (first["version"], second["version"]) == (1, 2)
    assert first["requests"] > 9 < second["requests"]
    assert first["requests"] + second["requests"] == 40
    assert first["failed"] + second["failed"] == 1
    assert first["prompt_tokens"] == 3 * first["requests"]
    assert second["completion_tokens"] == 2 * second["requests"]


def test_a_new_test_counts_from_nothing(desk: HandlerClient) -> None:
    for split in (1, 0):
        desk.call(calls.start_ab_test, {**BOTH, "split": split}, slug="sum")
        book = PromptRepository(prompts_of(desk.sandbox), account_key("ann"))
        body: dict[str, Any] = {"prompt_slug": "sum", "variables": {"text": "T"}}
        assert resolve(body, book.find)["messages"][0]["content"].startswith("Say it" if split else "Sum up")
        book.count("sum", 1, failed=False, prompt_tokens=1, completion_tokens=1)

    assert [each["requests"] for each in desk.value(calls.get_ab_results, slug="sum")["variants"]] == [1, 0]


def test_a_version_test_needs_two_versions_that_are_not_archived(desk: HandlerClient) -> None:
    same = desk.refusal(calls.start_ab_test, {"version_a": 1, "version_b": 1}, slug="sum")
    desk.call(calls.publish_prompt_version, slug="sum", version=2)

    assert same[:3] == (Reason.INVALID, ("body", "version_b"), "invalid_value")
    assert desk.refusal(calls.start_ab_test, BOTH, slug="sum")[:3] == (
        Reason.CONFLICT,
        ("body", "version_a"),
        "version_archived",
    )


def test_a_prompt_without_a_test_has_no_results(desk: HandlerClient) -> None:
    expected = (Reason.NOT_FOUND, ("path", "slug"), "ab_test_not_found", "Prompt 'sum' has no A/B test.")

    assert desk.refusal(calls.get_ab_results, slug="sum") == expected
