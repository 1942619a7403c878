"""What becomes of requests that name a prompt: messages, or a refusal that says where and why."""

from typing import Any

import pytest

from mockserver.errors import Reason, Refusal
from mockserver.providers.agilecloud.prompts.prompt import AbTest, Prompt
from mockserver.providers.agilecloud.prompts.repository import read_content
from mockserver.providers.agilecloud.prompts.select import resolve, select_version


def make_prompt(*contents: dict[str, Any], slug: str = "sum", published: int = 1, **more: Any) -> Prompt:
    """A prompt whose versions have these contents; versions up to `published` were published one after the other."""
    prompt = Prompt(slug=slug, name=slug, **more)
    for now, content in enumerate(contents or ({"template": "Sum up: {{ text }}"},)):
        prompt = prompt.drafted(read_content(content), now=float(now))
    for number in range(1, published + 1):
        prompt = prompt.published(number, now=10.0 + number)
    return prompt


def make_tested(split: float = 0.5) -> Prompt:
    prompt = make_prompt({"template": "a {{ text }}"}, {"template": "b {{ text }}"})
    return prompt.with_test(AbTest(1, 2, split, started_at=50.0))


THREE = make_prompt({"template": "one {{ text }}"}, {"template": "two {{ text }}"}, {"template": "three"}, published=2)
CHAT = make_prompt(
    {
        "messages": [
            {"role": "system", "content": "In {{ language|default('Spanish') }}."},
            {"role": "user", "content": "{{ text }}"},
        ],
        "model_config": {"temperature": 0.2, "max_tokens": 9, "messages": [], "stream": True, "variables": {}},
    },
    slug="chat",
    model="m1",
)
BOOK = {
    "sum": THREE,
    "chat": CHAT,
    "gone": make_prompt(slug="gone").archived(now=1),
    "draft": make_prompt(slug="draft", published=0),
    "tested": make_tested()._replace(slug="tested"),
    "bomb": make_prompt({"template": "{{ 'a' * 10**9 }}"}, slug="bomb"),
}


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize(
    ("body", "resolved"),
    [
        ({"messages": user("x"), "n": 2}, {"messages": user("x"), "n": 2}),
        ({"prompt_slug": None, "messages": user("x")}, {"prompt_slug": None, "messages": user("x")}),
        ({"prompt_slug": "sum", "variables": {"text": "T"}}, {"messages": user("two T")}),
        ({"prompt_slug": "sum", "prompt_version": None, "variables": {"text": 7}}, {"messages": user("two 7")}),
        ({"prompt_slug": "sum", "prompt_version": 3, "variables": None}, {"messages": user("three")}),
        ({"prompt_slug": "sum", "prompt_version": 3.0}, {"messages": user("three")}),
        ({"prompt_slug": "sum", "variables": {"text": "T"}, "messages": user("x")}, {"messages": user("two T")}),
        ({"prompt_slug": "sum", "variables": {"text": "{{ text }}"}}, {"messages": user("two {{ text }}")}),
        (
            {"model": "m2", "prompt_slug": "chat", "variables": {"text": "T"}, "temperature": 0, "max_tokens": None},
            {
                "model": "m2",
                "temperature": 0,
                "max_tokens": 9,
                "messages": [{"role": "system", "content": "In Spanish."}, *user("T")],
            },
        ),
        (
            {"prompt_slug": "chat", "variables": {"text": "T", "language": "Basque"}, "user": None},
            {
                "model": "m1",
                "temperature": 0.2,
                "max_tokens": 9,
                "user": None,
                "messages": [{"role": "system", "content": "In Basque."}, *user("T")],
            },
        ),
    ],
)
def test_a_named_prompt_becomes_messages(body: dict[str, Any], resolved: dict[str, Any]) -> None:
    before = repr(body)

    assert resolve(body, BOOK.get) == resolved
    assert repr(body) == before


@pytest.mark.parametrize(
    ("body", "reason", "location", "code", "message"),
    [
        ({"prompt_slug": "x"}, Reason.NOT_FOUND, "prompt_slug", "prompt_not_found", "Prompt 'x' not found."),
        ({"prompt_slug": "gone"}, Reason.CONFLICT, "prompt_slug", "prompt_archived", "Prompt 'gone' is archived."),
        (
            {"prompt_slug": "sum", "prompt_version": 7},
            Reason.NOT_FOUND,
            "prompt_version",
            "prompt_version_not_found",
            "Version 7 of prompt 'sum' not found.",
        ),
        (
            {"prompt_slug": "sum", "prompt_version": -1},
            Reason.NOT_FOUND,
            "prompt_version",
            "prompt_version_not_found",
            "Version -1 of prompt 'sum' not found.",
        ),
        (
            {"prompt_slug": "sum", "prompt_version": 1},
            Reason.CONFLICT,
            "prompt_version",
            "version_archived",
            "Version 1 of prompt 'sum' is archived.",
        ),
        (
            {"prompt_slug": "draft"},
            Reason.NOT_FOUND,
            "prompt_version",
            "prompt_version_not_found",
            "Prompt 'draft' has no published version.",
        ),
        (
            {"prompt_slug": 7},
            Reason.INVALID,
            "prompt_slug",
            "invalid_type",
            "Invalid type for 'prompt_slug': expected a string, but got an integer instead.",
        ),
        (
            {"prompt_slug": "sum", "prompt_version": True},
            Reason.INVALID,
            "prompt_version",
            "invalid_type",
            "Invalid type for 'prompt_version': expected an integer, but got a boolean instead.",
        ),
        (
            {"prompt_slug": "sum", "prompt_version": 1.5},
            Reason.INVALID,
            "prompt_version",
            "invalid_type",
            "Invalid type for 'prompt_version': expected an integer, but got a number instead.",
        ),
        (
            {"prompt_slug": "sum", "variables": []},
            Reason.INVALID,
            "variables",
            "invalid_type",
            "Invalid type for 'variables': expected an object, but got an array instead.",
        ),
        ({"prompt_slug": "sum"}, Reason.INVALID, "variables.text", "missing_variable", "Missing variable: 'text'."),
        (
            {"prompt_slug": "bomb"},
            Reason.INVALID,
            "variables",
            "invalid_template",
            "Invalid 'template': The template does too much: its loops or texts are too large.",
        ),
    ],
)
def test_an_unresolvable_prompt_reports_where_and_why(
    body: dict[str, Any], reason: Reason, location: str, code: str, message: str
) -> None:
    with pytest.raises(Refusal) as refused:
        resolve(body, BOOK.get)

    [violation] = refused.value.violations
    assert (refused.value.reason, refused.value.detail) == (reason, message)
    assert violation[:3] == (("body", *location.split(".")), code, message)


def test_a_request_without_a_number_falls_to_a_version_under_test() -> None:
    body = {"prompt_slug": "tested", "variables": {"text": "T"}}
    drawn = {resolve(body, BOOK.get, b"%d" % n)["messages"][0]["content"] for n in range(50)}
    chosen, named = select_version(body, BOOK.get, b"1"), select_version({**body, "prompt_version": 1}, BOOK.get, b"1")

    assert drawn == {"a T", "b T"}
    assert chosen is not None
    assert chosen.is_tested
    assert named is not None
    assert (named.version.number, named.is_tested) == (1, False)
