"""Prompts at their edges: what an import refuses, how a test draws, and how a long diff looks."""

from typing import Any

import pytest

from mockserver.providers.agilecloud.prompts import operations, prompt
from mockserver.providers.agilecloud.prompts.operations import unified
from mockserver.providers.agilecloud.prompts.prompt import (
    AbTest,
    IllegalTransition,
    Prompt,
    PromptVersion,
    VersionStats,
    VersionStatus,
    ab_version,
)
from mockserver.providers.agilecloud.prompts.repository import read_content, read_prompt

DRAFT, PUBLISHED, ARCHIVED = VersionStatus.DRAFT, VersionStatus.PUBLISHED, VersionStatus.ARCHIVED
TWO = (PromptVersion(1, "a", status=PUBLISHED), PromptVersion(2, "b"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"versions": (PromptVersion(2, "a"),)}, "its versions are not numbered from 1"),
        ({"versions": (PromptVersion(1, "a"), PromptVersion(1, "b"))}, "its versions are not numbered from 1"),
        (
            {"versions": (TWO[0], PromptVersion(2, "b", status=PUBLISHED))},
            "more than one of its versions is published",
        ),
        ({"versions": TWO, "ab_test": AbTest(1, 3, 0.5, 0.0)}, "its test is of versions that are not there"),
        ({"versions": TWO, "ab_test": AbTest(0, 2, 0.5, 0.0)}, "its test is of versions that are not there"),
    ],
)
def test_a_prompt_that_contradicts_itself_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        Prompt("slug", **fields)

    assert str(refused.value) == message


def test_a_prompt_with_a_draft_and_a_published_version_under_test_is_fine() -> None:
    made = Prompt("slug", versions=TWO, ab_test=AbTest(1, 2, 0, 0.0))

    assert made.current is not None
    assert (made.current.number, made.latest.number) == (1, 2)
    assert [made.version(number) for number in (0, 1, 2, 2.0, 3)] == [None, TWO[0], TWO[1], TWO[1], None]


@pytest.mark.parametrize(
    ("before", "after", "published_at", "archived_at"),
    [(DRAFT, PUBLISHED, 9.0, None), (DRAFT, ARCHIVED, None, 9.0), (PUBLISHED, ARCHIVED, None, 9.0)],
)
def test_a_change_of_status_has_its_time(
    before: VersionStatus, after: VersionStatus, published_at: float | None, archived_at: float | None
) -> None:
    changed = PromptVersion(1, "a", status=before).with_status(after, 9.0)

    assert (changed.status, changed.published_at, changed.archived_at) == (after, published_at, archived_at)


def test_an_archived_version_says_that_it_is() -> None:
    with pytest.raises(IllegalTransition, match=r"^version 7 is archived$"):
        PromptVersion(7, "a", status=ARCHIVED).with_status(PUBLISHED, 9.0)


@pytest.mark.parametrize(("split", "version"), [(0.5, 1), (0.5000001, 2), (0, 1), (1, 2)])
def test_a_draw_below_the_split_gets_version_b(monkeypatch: pytest.MonkeyPatch, split: float, version: int) -> None:
    monkeypatch.setattr(prompt, "digest", lambda *_: bytes([0x80]) + bytes(15))

    assert ab_version(Prompt("slug", versions=TWO, ab_test=AbTest(1, 2, split, 0.0)), b"key") == version


def test_the_versions_of_a_test_are_drawn_the_same_in_every_version() -> None:
    tested = Prompt("slug", versions=TWO, ab_test=AbTest(1, 2, 0.5, 0.0))

    assert [ab_version(tested, b"%d" % n) for n in range(20)] == [
        1,
        1,
        2,
        2,
        2,
        1,
        1,
        2,
        2,
        2,
        1,
        1,
        1,
        2,
        2,
        2,
        2,
        2,
        2,
        1,
    ]


def test_a_version_that_was_not_used_counts_from_zero() -> None:
    tested = Prompt("slug", versions=TWO, ab_test=AbTest(1, 2, 0.5, 0.0))

    used = tested.with_use(2, failed=True, prompt_tokens=3, completion_tokens=4).with_use(2)

    assert used.ab_test is not None
    assert used.ab_test.uses == {2: VersionStats(2, 1, 3, 4)}


@pytest.mark.parametrize(("most", "is_compared"), [(5, True), (4, False)])
def test_versions_of_too_many_lines_are_shown_as_a_whole(
    monkeypatch: pytest.MonkeyPatch, most: int, is_compared: bool
) -> None:
    monkeypatch.setattr(operations, "MAX_COMPARED", most)
    versions = PromptVersion(1, "a\nb"), PromptVersion(2, "a\nb\nc")
    made = Prompt("slug", versions=versions)

    shown = unified(made, *versions)

    whole = "--- slug v1\n+++ slug v2\n@@ -1,2 +1,3 @@\n-a\n-b\n+a\n+b\n+c\n"
    compared = "--- slug v1\n+++ slug v2\n@@ -1,2 +1,3 @@\n a\n b\n+c\n"
    assert shown == (compared if is_compared else whole)
    assert unified(made, versions[0], versions[0]) == ""


def test_messages_are_compared_with_their_roles() -> None:
    messages = ({"role": "system", "content": "x\ny"}, {"role": "user", "content": "z"})
    versions = PromptVersion(1, messages=messages), PromptVersion(2, messages=messages[:1])

    assert unified(Prompt("slug", versions=versions), *versions) == (
        "--- slug v1\n+++ slug v2\n@@ -1,5 +1,3 @@\n [system]\n x\n y\n-[user]\n-z\n"
    )


def test_what_a_fixture_shares_counts_for_each_version_that_says_nothing_else() -> None:
    entry = {
        "slug": "a",
        "variables": ["x"],
        "model_config": {"temperature": 1},
        "description": "d",
        "versions": [{"template": "1"}, {"template": "2", "variables": [], "model_config": {"top_p": 1}}],
    }

    made = read_prompt(entry, born=5.0)

    assert [(each.number, each.variables, each.model_config) for each in made.versions] == [
        (1, ("x",), {"temperature": 1}),
        (2, (), {"top_p": 1}),
    ]
    assert [(each.published_at, each.archived_at, each.created_at) for each in made.versions] == [
        (5.0, 5.0, 5.0),
        (5.0, None, 5.0),
    ]
    assert (made.name, made.description, made.model, made.created_at, made.updated_at) == ("a", "d", None, 5.0, 5.0)


def test_content_is_read_as_it_was_sent() -> None:
    messages = [{"role": "user", "content": "x"}]
    body = {"messages": messages, "model_config": None, "variables": [], "change_note": "why"}

    found = read_content(body)

    assert (found.template, found.messages, found.model_config) == (None, tuple(messages), {})
    assert (found.variables, found.change_note, found.status) == ((), "why", DRAFT)
    assert read_content({"template": "x"}).variables is None
