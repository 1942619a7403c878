"""Prompts as values, and which of them an account finds."""

from typing import Any

import pytest
from builders import make_rows

from mockserver.engine.build import fixture_folders, fixture_schema, load_fixtures
from mockserver.errors import FixtureError
from mockserver.fixtures.files import read_fixtures
from mockserver.providers.agilecloud.prompts.prompt import (
    LIFECYCLE,
    AbTest,
    IllegalTransition,
    Prompt,
    PromptVersion,
    VersionStats,
    VersionStatus,
    ab_version,
)
from mockserver.providers.agilecloud.prompts.repository import PromptRepository, read_content, read_prompt
from mockserver.providers.agilecloud.prompts.select import resolve
from mockserver.settings.table import Settings

DRAFT, PUBLISHED, ARCHIVED = VersionStatus.DRAFT, VersionStatus.PUBLISHED, VersionStatus.ARCHIVED


def make_prompt(*contents: dict[str, Any], slug: str = "sum", published: int = 1, **more: Any) -> Prompt:
    """A prompt whose versions have these contents; versions up to `published` were published one after the other."""
    prompt = Prompt(slug=slug, name=slug, **more)
    for now, content in enumerate(contents or ({"template": "Sum up: {{ text }}"},)):
        prompt = prompt.drafted(read_content(content), now=float(now))
    for number in range(1, published + 1):
        prompt = prompt.published(number, now=10.0 + number)
    return prompt


def statuses(prompt: Prompt) -> list[VersionStatus]:
    return [each.status for each in prompt.versions]


def test_versions_are_drafted_under_the_next_number() -> None:
    prompt = make_prompt({"template": "a"}, {"template": "b", "change_note": "why"}, published=0)

    assert [(each.number, each.template, each.created_at) for each in prompt.versions] == [(1, "a", 0.0), (2, "b", 1.0)]
    assert (prompt.current, prompt.latest.change_note, prompt.updated_at) == (None, "why", 1.0)
    assert (prompt.version(0), prompt.version(3), prompt.version(2.0)) == (None, None, prompt.latest)


def test_publishing_archives_the_version_before() -> None:
    prompt = make_prompt({"template": "a"}, {"template": "b"}, {"template": "c"}, published=2)

    assert statuses(prompt) == [ARCHIVED, PUBLISHED, DRAFT]
    assert (prompt.versions[0].published_at, prompt.versions[0].archived_at) == (11.0, 12.0)
    assert (prompt.versions[1].published_at, prompt.versions[1].archived_at) == (12.0, None)
    assert prompt.current == prompt.versions[1]


def test_an_archived_version_stays_archived_and_a_published_one_may_be_published_again() -> None:
    prompt = make_prompt({"template": "a"}, {"template": "b"}, published=2)

    with pytest.raises(IllegalTransition, match="version 1 is archived"):
        prompt.published(1, now=99)
    assert prompt.published(2, now=99) is prompt


@pytest.mark.parametrize(
    ("before", "after", "allowed"),
    [
        (DRAFT, PUBLISHED, True),
        (DRAFT, ARCHIVED, True),
        (PUBLISHED, ARCHIVED, True),
        (PUBLISHED, DRAFT, False),
        (ARCHIVED, PUBLISHED, False),
        (ARCHIVED, DRAFT, False),
    ],
)
def test_versions_change_status_as_the_table_says(before: VersionStatus, after: VersionStatus, allowed: bool) -> None:
    assert LIFECYCLE.allows(before, after) is allowed


def test_archiving_a_prompt_keeps_it_and_happens_once() -> None:
    prompt = make_prompt().archived(now=20)

    assert (prompt.is_archived, prompt.archived_at, len(prompt.versions)) == (True, 20, 1)
    assert prompt.archived(now=30) is prompt


def test_a_prompt_is_not_changed_by_its_changes() -> None:
    prompt = make_prompt()
    other = prompt.described(7.0, name="Other", description="d")

    assert (prompt.name, other.name, other.description, other.updated_at) == ("sum", "Other", "d", 7.0)


def make_tested(split: float = 0.5) -> Prompt:
    prompt = make_prompt({"template": "a {{ text }}"}, {"template": "b {{ text }}"})
    return prompt.with_test(AbTest(1, 2, split, started_at=50.0))


def test_a_test_shares_requests_by_their_keys() -> None:
    prompt = make_tested(split=0.25)
    drawn = [ab_version(prompt, b"%d" % n) for n in range(4000)]

    assert drawn == [ab_version(prompt, b"%d" % n) for n in range(4000)]
    assert 850 < drawn.count(2) < 1150
    assert drawn.count(1) + drawn.count(2) == 4000


def test_a_split_of_nothing_or_all_leaves_one_version() -> None:
    keys = [b"%d" % n for n in range(100)]

    assert {ab_version(make_tested(0.0), key) for key in keys} == {1}
    assert {ab_version(make_tested(1.0), key) for key in keys} == {2}


def test_a_test_ends_when_one_of_its_versions_is_archived() -> None:
    assert ab_version(make_prompt(), b"") is None
    assert ab_version(make_tested().published(2, now=60), b"") is None


def test_only_versions_under_test_are_counted() -> None:
    prompt = (
        make_tested().with_use(1, prompt_tokens=3).with_use(1, failed=True).with_use(2, completion_tokens=4).with_use(3)
    )

    assert prompt.ab_test is not None
    assert prompt.ab_test.uses == {1: VersionStats(2, 1, 3, 0), 2: VersionStats(1, 0, 0, 4)}
    assert make_prompt().with_use(1) == make_prompt()


def test_a_fixture_with_one_version_is_published() -> None:
    prompt = read_prompt({"slug": "a", "template": "x", "model": "m", "model_config": {"temperature": 1}}, born=5.0)

    assert (prompt.name, prompt.model, statuses(prompt)) == ("a", "m", [PUBLISHED])
    assert (prompt.created_at, prompt.versions[0].published_at) == (5.0, 5.0)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([None, None], [ARCHIVED, PUBLISHED]),
        ([None, "draft"], [PUBLISHED, DRAFT]),
        (["published", None], [PUBLISHED, ARCHIVED]),
        (["published", "published"], [ARCHIVED, PUBLISHED]),
        (["draft", "archived"], [DRAFT, ARCHIVED]),
    ],
)
def test_at_most_one_version_of_a_fixture_is_published(said: list[str | None], expected: list[VersionStatus]) -> None:
    written = [{"template": "x", **({"status": each} if each else {})} for each in said]

    assert statuses(read_prompt({"slug": "a", "versions": written}, born=0.0)) == expected


FIXTURES = ({"slug": "b", "template": "fixture"}, {"slug": "b", "template": "hidden"}, {"slug": "a", "template": "x"})


def test_an_account_finds_the_fixtures_until_it_has_its_own() -> None:
    rows = make_rows()
    mine, yours = (PromptRepository(rows, token, FIXTURES) for token in ("t1", "t2"))
    mine.put(make_prompt({"template": "mine"}, slug="b"))
    mine.put(make_prompt(slug="c"))

    assert [each.slug for each in mine.all()] == ["a", "b", "c"]
    assert [each.slug for each in yours.all()] == ["a", "b"]
    assert [book.find("b").latest.template for book in (mine, yours)] == ["mine", "fixture"]  # type: ignore[union-attr]  # it is there
    assert (yours.find("c"), yours.own("b"), mine.find("z")) == (None, None, None)


def test_an_archived_prompt_is_found_but_not_listed() -> None:
    book = PromptRepository(make_rows(), "t", FIXTURES)
    book.put(read_prompt(FIXTURES[2], 0.0).archived(now=1))

    assert [each.slug for each in book.all()] == ["b"]
    assert book.find("a").is_archived  # type: ignore[union-attr]  # it is there


def test_uses_are_counted_for_an_accounts_own_prompts_only() -> None:
    book = PromptRepository(make_rows(), "t", FIXTURES)
    book.put(make_tested())
    for slug in ("sum", "a", "z"):
        book.count(slug, 2, failed=False, prompt_tokens=5, completion_tokens=6)

    assert book.own("sum").ab_test.uses == {2: VersionStats(1, 0, 5, 6)}  # type: ignore[union-attr]  # it is there
    assert (book.own("a"), book.own("z")) == (None, None)


def test_all_bundled_prompts_render() -> None:
    prompts = load_fixtures(Settings(), "agilecloud").section("prompts")
    values = {"text": "T", "company": "C", "question": "Q"}  # What has no default.
    book = PromptRepository(make_rows(), "t", prompts)

    for prompt in book.all():
        for version in prompt.versions:
            body = {"prompt_slug": prompt.slug, "prompt_version": version.number, "variables": values}
            assert all(each["content"] for each in resolve(body, book.find)["messages"])


@pytest.mark.parametrize(
    "entry",
    [
        "{slug: a}",
        "{template: x}",
        "{slug: -a, template: x}",
        "{slug: a, template: ''}",
        "{slug: a, template: x, messages: [{role: user, content: x}]}",
        "{slug: a, messages: []}",
        "{slug: a, messages: [{role: tool, content: x}]}",
        "{slug: a, versions: []}",
        "{slug: a, versions: [{status: draft}]}",
        "{slug: a, versions: [{template: x, status: gone}]}",
        "{slug: a, template: x, variables: text}",
    ],
)
def test_a_wrong_prompt_in_a_fixture_is_refused(entry: str, tmp_path: Any) -> None:
    (tmp_path / "p.yaml").write_text(f"prompts: [{entry}]")

    with pytest.raises(FixtureError, match=r"p\.yaml:1: prompts"):
        read_fixtures([tmp_path], "agilecloud", fixture_schema())


def test_prompts_of_earlier_folders_come_first(tmp_path: Any) -> None:
    (tmp_path / "p.yaml").write_text("prompts: [{slug: summarize, template: mine}]")
    fixtures = read_fixtures([tmp_path, *fixture_folders(Settings())], "agilecloud", fixture_schema())

    found = PromptRepository(make_rows(), "t", fixtures.section("prompts")).find("summarize")
    assert found is not None and found.latest.template == "mine"


def test_a_template_is_one_message_of_the_user() -> None:
    assert PromptVersion(1, template="x").contents == [{"role": "user", "content": "x"}]
