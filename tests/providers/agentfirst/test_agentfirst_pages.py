"""Agent First's completions: the documented shapes, nothing unescaped, and the weight of a real page on request."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from typing import Any

import mistune
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mockserver.providers.agentfirst.pages import Answer, Source, completion, fixture_answer, generated_answer

MODELS = ["chatgpt", "gemini", "perplexity", "copilot"]
KEYS = [bytes([n]) for n in range(60)]
PLAIN = Answer(text="An answer.")


def make(answer: Answer = PLAIN, **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "prompt": "best shoes",
        "model": "chatgpt",
        "targeting": {},
        "version": "2026-04",
        "weight": "light",
        "key": b"key",
    }
    return completion(answer, **given | changes)


class Tags(HTMLParser):
    """The tags, addresses and text of a page as a browser sees them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_in_april_a_completion_has_every_field_and_null_where_unset() -> None:
    assert list(make()) == [
        "model",
        "prompt",
        "html",
        "promptHtml",
        "completionHtml",
        "sourcesHtml",
        "subqueries",
        "device",
        "country",
        "subdivision",
        "city",
        "language (planned)",
        "display (planned)",
    ]
    assert make()["prompt"] == "best shoes"
    assert [make()[name] for name in list(make())[-6:]] == [None] * 6


def test_in_july_a_completion_leaves_out_unset_fields() -> None:
    fields = ["model", "query", "html", "prompt", "completion", "sources", "ads", "fanouts"]

    assert list(make(version="2026-07")) == [*fields, "sse"]
    assert list(make(version="2026-07", model="gemini")) == fields[:-1]
    assert make(version="2026-07")["query"] == "best shoes"


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (
            "2026-04",
            {
                "device": None,
                "country": "US",
                "subdivision": "TN",
                "city": "new york",
                "language (planned)": "English",
                "display (planned)": None,
            },
        ),
        ("2026-07", {"country": "US", "subdivision": "TN", "city": "new york", "language": "English"}),
    ],
)
def test_targeting_is_shown_with_upper_case_codes(version: str, expected: dict[str, str | None]) -> None:
    targeting = {"country": "us", "subdivision": "tn", "city": "new york", "language": "English", "device": ""}

    shown = make(targeting=targeting, version=version)

    assert {name: value for name, value in shown.items() if name not in make(version=version) or name in expected} == (
        expected
    )


@pytest.mark.parametrize(
    ("model", "start"),
    [
        ("chatgpt", '<h4 class="sr-only select-none">ChatGPT said: '),
        ("gemini", '<h4 class="sr-only select-none">Gemini said '),
        ("copilot", '<h4 class="sr-only select-none">Copilot said '),
        ("perplexity", "<div "),
    ],
)
def test_the_parts_start_as_documented_and_the_page_contains_them(model: str, start: str) -> None:
    made = make(Answer("An answer.", sources=(Source("A page", "https://example.com/"),)), model=model)

    assert made["html"].startswith('<!DOCTYPE html><html lang="en-US" ')
    assert made["promptHtml"].startswith('<h4 class="sr-only select-none">You said: ')
    assert made["completionHtml"].startswith(start)
    assert made["sourcesHtml"].startswith('<section aria-label="Sources" ')
    assert all(made[part] in made["html"] for part in ("promptHtml", "completionHtml", "sourcesHtml"))


def test_without_sources_and_ads_their_parts_are_empty() -> None:
    made = make(version="2026-07")

    assert (made["sources"], made["ads"], made["fanouts"]) == ("", "", [])


def test_markdown_is_rendered_with_tables() -> None:
    made = make(Answer("**Bold**\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n", ads="[Sale](https://example.com/)"))

    assert "<strong>Bold</strong>" in made["completionHtml"]
    assert "<td>2</td>" in made["completionHtml"]
    assert '<a href="https://example.com/">Sale</a>' in made["html"]


@pytest.mark.parametrize("weight", ["light", "realistic"])
@pytest.mark.parametrize("version", ["2026-04", "2026-07"])
def test_text_of_prompts_is_escaped_in_html(version: str, weight: str) -> None:
    evil = "</title><script>alert(1)</script><img src=x onerror=alert(1)>\"'&"
    answer = Answer(
        f"{evil}\n\n[link](javascript:alert(1)) ![](javascript:alert(1))",
        sources=(Source(evil, "javascript:alert(1)"), Source(evil, 'https://example.com/"><script>')),
        ads=evil,
    )

    made = make(answer, prompt=evil, version=version, weight=weight)

    page = Tags(made["html"])
    assert "script" not in page.tags
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not [value for _, value in page.attributes if value and value.startswith("javascript:")]
    assert "".join(page.texts).count("<script>alert(1)</script>") >= 5
    assert evil in Tags(made["promptHtml" if version == "2026-04" else "prompt"]).texts


def test_literal_fields_take_the_place_of_rendered_ones_also_in_the_page() -> None:
    answer = Answer("Text.", fields={"completionHtml": "<p>literal</p>", "subqueries": ["one"], "sse": "of July"})

    made = make(answer)

    assert made["completionHtml"] == "<p>literal</p>"
    assert "<p>literal</p>" in made["html"]
    assert made["subqueries"] == ["one"]
    assert "sse" not in made
    assert make(answer, version="2026-07")["sse"] == "of July"
    assert make(Answer("Text.", fields={"html": "whole"}), weight="realistic")["html"] == "whole"


def test_the_events_carry_the_answer_piece_by_piece() -> None:
    text = "A line\nand “another” one. " * 40

    events = make(Answer(text), version="2026-07")["sse"].split("\n\n")

    data = [json.loads(event.partition("\ndata: ")[2]) for event in events[:-2]]
    assert "".join(datum.get("v", "") for datum in data) == text
    assert data[-1] == {"type": "done"}
    assert events[-2:] == ["data: [DONE]", ""]


@pytest.mark.parametrize("model", MODELS)
def test_a_realistic_page_is_as_large_as_real_ones(model: str) -> None:
    pages = [make(model=model, weight="realistic", key=key)["html"] for key in KEYS]

    assert all(200_000 <= len(page) <= 1_500_000 for page in pages)
    assert len({len(page) for page in pages}) > 30
    assert pages[0] == make(model=model, weight="realistic", key=KEYS[0])["html"]
    assert make(model=model)["completionHtml"] in pages[0]


def test_a_fixture_entry_becomes_an_answer() -> None:
    entry = {
        "match": {"prompt": "x"},
        "text": "Text.",
        "sources": [{"title": "A page", "url": "https://example.com/"}],
        "subqueries": ["one", "two"],
        "ads": "Buy.",
        "fields": {"html": "whole"},
    }

    assert fixture_answer(entry) == Answer(
        "Text.", (Source("A page", "https://example.com/"),), ("one", "two"), "Buy.", {"html": "whole"}
    )
    assert fixture_answer({"fields": {"html": "whole"}}) == Answer("", fields={"html": "whole"})


@pytest.mark.parametrize("model", MODELS)
def test_a_generated_completion_is_stable_and_differs_by_key_prompt_and_model(model: str) -> None:
    answer = generated_answer(b"key", "Where can I buy a vintage guitar?", model)

    assert answer == generated_answer(b"key", "Where can I buy a vintage guitar?", model)
    assert answer.text != generated_answer(b"other", "Where can I buy a vintage guitar?", model).text
    assert answer.text != generated_answer(b"key", "Where can I buy a vintage guitar!", model).text
    assert len({generated_answer(b"key", "the same", other).text for other in MODELS}) == 4


def test_a_generated_completion_uses_words_of_the_prompt() -> None:
    for key in KEYS:
        answer = generated_answer(key, "[mock:slow=30s] Where can I find a vintage guitar?", "chatgpt")

        assert "vintage guitar" in answer.text
        assert "mock" not in answer.text
        assert all("vintage guitar" in query for query in answer.subqueries)
        assert len(set(answer.subqueries)) == len(answer.subqueries) >= 2


@pytest.mark.parametrize(
    "prompt", ["", "?!", "🎸🎸", "what is it", "吉他在哪里买", "x" * 2047, "𝒳" * 2047, "* `a` | <b> _c_"]
)
def test_any_prompt_gets_a_completion(prompt: str) -> None:
    made = make(generated_answer(b"key", prompt, "chatgpt"), prompt=prompt)

    assert len(made["completionHtml"]) > 500
    assert made["prompt"] == prompt


@settings(max_examples=200, derandomize=True)
@given(key=st.binary(max_size=4), prompt=st.text(max_size=80), model=st.sampled_from(MODELS))
def test_the_html_of_a_generated_completion_is_its_rendered_markdown(key: bytes, prompt: str, model: str) -> None:
    answer = generated_answer(key, prompt, model)

    assert answer.html == mistune.create_markdown(escape=True, plugins=["table"])(answer.text)


def test_sources_are_rare_for_chatgpt_and_many_for_perplexity_and_only_some_models_show_subqueries() -> None:
    answers = {model: [generated_answer(key, "vintage guitar", model) for key in KEYS] for model in MODELS}

    cited = {model: sum(len(answer.sources) for answer in several) for model, several in answers.items()}
    assert cited["perplexity"] > 2 * cited["copilot"]
    assert cited["chatgpt"] < cited["gemini"]
    assert sum(not answer.sources for answer in answers["chatgpt"]) > len(KEYS) / 2
    assert all(answer.subqueries for answer in answers["chatgpt"])
    assert not any(answer.subqueries for model in ("gemini", "copilot") for answer in answers[model])
    urls = [source.url for several in answers.values() for answer in several for source in answer.sources]
    assert all(re.match(r"https://([a-z]+\.)?example\.(com|org|net)/", url) for url in urls)


def test_another_process_generates_the_same_completion() -> None:
    program = (
        "from mockserver.providers.agentfirst.pages import *;"
        "a = generated_answer(b'key', 'vintage guitar', 'perplexity');"
        "import json; print(json.dumps(completion(a, prompt='p', model='perplexity', targeting={}, version='2026-07',"
        " weight='realistic', key=b'key')))"
    )

    output = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    answer = generated_answer(b"key", "vintage guitar", "perplexity")
    expected = make(answer, prompt="p", model="perplexity", version="2026-07", weight="realistic")
    assert json.loads(output.stdout) == expected


def test_importing_the_module_imports_nothing_slow() -> None:
    program = (
        "import sys; import mockserver.providers.agentfirst.pages;"
        "print([name for name in ('faker', 'jsonschema', 'mistune', 'rstr') if name in sys.modules])"
    )

    output = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)

    assert output.stdout.strip() == "[]"


@pytest.mark.parametrize("model", ["chatgpt", "gemini", "perplexity", "copilot"])
def test_only_chatgpt_has_fanouts_in_july_and_every_model_has_subqueries_in_april(model: str) -> None:
    answer = Answer("Text.", subqueries=("one", "two"))

    assert make(answer, model=model)["subqueries"] == ["one", "two"]
    assert make(answer, model=model, version="2026-07").get("fanouts") == (
        ["one", "two"] if model == "chatgpt" else None
    )
    literal = Answer("Text.", fields={"fanouts": ["mine"]})
    assert make(literal, model=model, version="2026-07")["fanouts"] == ["mine"]
