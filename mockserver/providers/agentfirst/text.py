"""The text of a completion: from a fixture, or generated from the words of the prompt."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mockserver.openapi.generate.values import WordGenerator

# The probability that a generated answer has sources, and their greatest number.
SOURCES = {"chatgpt": (0.3, 4), "gemini": (0.6, 4), "perplexity": (0.97, 9), "copilot": (0.7, 5)}
# The least and greatest number of fan-out queries; only ChatGPT reports them.
SUBQUERIES = {"chatgpt": (2, 7), "perplexity": (0, 3)}
MARKER = re.compile(r"\[mock:[^\]]*\]")
WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
STRONG = re.compile(r"\*\*([^*]+)\*\*")
# Words that do not characterise a prompt.
_COMMON = (
    "a about all am an and any are as at be best buy can could did do does explain find for from get give good have "
    "help how i if in is it list local me my near nearby of on or our please recommend sell should show some tell "
    "than that the their them there these they this to top us want was we what what's when where which who why will "
    "with would write you your"
)
COMMON = frozenset(_COMMON.split())
LEADS = (
    "Here is what to know about **{topic}**.",
    "For **{topic}**, start with the {noun} and work towards the {other}.",
    "There is more than one good answer when it comes to **{topic}**.",
    "**{topic}** comes down to two things: the {noun} and the {other}.",
    "A short overview of **{topic}**, with the {noun} first.",
)
CLOSINGS = (
    "Would you like more detail on the {noun} or the {other}?",
    "In short: mind the {noun}, and the {other} will follow.",
    "If you share your {noun}, I can narrow this down.",
)
QUERIES = (
    "{topic}",
    "best {topic}",
    "{topic} reviews",
    "{topic} comparison",
    "top rated {topic}",
    "how to choose {topic}",
    "{topic} guide 2026",
    "most popular {topic}",
    "{topic} {noun}",
)


class Source(NamedTuple):
    """A page that an answer cites."""

    title: str
    url: str


class Answer(NamedTuple):
    """A model's answer before it is rendered."""

    text: str
    """Markdown."""
    sources: tuple[Source, ...] = ()
    subqueries: tuple[str, ...] = ()
    ads: str = ""
    """In Markdown, too."""
    fields: Mapping[str, str | list[str]] = {}
    """Completion fields given literally. Those that the configured version lacks are omitted."""
    html: str = ""
    """The text as HTML, if known: rendering takes five times as long as generating."""


def fixture_answer(fixture: Mapping[str, Any]) -> Answer:
    """The answer of an entry of `completions` in a fixture file."""
    return Answer(
        text=fixture.get("text", ""),
        sources=tuple(Source(source["title"], source["url"]) for source in fixture.get("sources", ())),
        subqueries=tuple(fixture.get("subqueries", ())),
        ads=fixture.get("ads", ""),
        fields=fixture.get("fields", {}),
    )


def generated_answer(key: bytes, prompt: str, model: str) -> Answer:
    """A generated answer that uses words of the prompt; the same for the same arguments."""
    words = WordGenerator(b"\0".join((key, model.encode(), prompt.encode("utf-8", "surrogatepass"))))
    topic = _topic(prompt) or f"the {words.word('a')} {words.word()}"
    blocks = list(_blocks(words, topic))
    return Answer(
        text="\n\n".join(block.markdown for block in blocks),
        html="".join(block.html for block in blocks),
        sources=tuple(_sources(words, topic, model)),
        subqueries=tuple(_subqueries(words, topic, model)),
    )


def _topic(prompt: str) -> str:
    """The first characteristic words of the prompt, or its first words if there are none."""
    said = WORD.findall(MARKER.sub(" ", prompt))
    telling = [word for word in said if word.lower() not in COMMON]
    return " ".join((telling or said)[:6])[:80].rstrip(" '’-")


class _Block(NamedTuple):
    """A part of an answer in both forms. A test checks that the HTML is what the Markdown renders to."""

    markdown: str
    html: str


def _blocks(words: WordGenerator, topic: str) -> Iterator[_Block]:
    if words.chance(0.5):
        yield _heading(topic[:1].upper() + topic[1:])
    yield _paragraph(f"{_fill_template(words, LEADS, topic)} {words.paragraph(2)}")
    yield _bullets([f"**{words.title()}**: {words.sentence()}" for _ in range(words.integer(3, 5))])
    yield _paragraph(words.paragraph(words.integer(2, 4)))
    if words.chance(0.3):
        yield _table(words)
    if words.chance(0.3):
        yield _steps([words.sentence() for _ in range(words.integer(3, 5))])
    yield _paragraph(f"{words.paragraph(2)} {_fill_template(words, CLOSINGS, topic)}")


def _fill_template(words: WordGenerator, frames: Sequence[str], topic: str) -> str:
    return words.pick(frames).format(topic=topic, noun=words.word(), other=words.word())


def _heading(text: str) -> _Block:
    return _Block(f"## {text}", f"<h2>{text}</h2>\n")


def _paragraph(text: str) -> _Block:
    return _Block(text, f"<p>{_strong(text)}</p>\n")


def _bullets(items: Sequence[str]) -> _Block:
    html = "".join(f"<li>{_strong(item)}</li>\n" for item in items)
    return _Block("\n".join(f"- {item}" for item in items), f"<ul>\n{html}</ul>\n")


def _steps(items: Sequence[str]) -> _Block:
    html = "".join(f"<li>{item}</li>\n" for item in items)
    return _Block("\n".join(f"{n}. {item}" for n, item in enumerate(items, 1)), f"<ol>\n{html}</ol>\n")


def _table(words: WordGenerator) -> _Block:
    head = ("Option", words.word().capitalize(), words.word().capitalize())
    rows = [(words.title(), words.word("a"), words.word("a")) for _ in range(words.integer(2, 4))]
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ("---", "---", "---"), *rows)]
    body = "".join(_row(cells, "td") for cells in rows)
    html = f"<table>\n<thead>\n{_row(head, 'th')}</thead>\n<tbody>\n{body}</tbody>\n</table>\n"
    return _Block("\n".join(lines), html)


def _row(cells: Sequence[str], tag: str) -> str:
    return "<tr>\n" + "".join(f"  <{tag}>{cell}</{tag}>\n" for cell in cells) + "</tr>\n"


def _strong(text: str) -> str:
    """Our own words need no escaping: they are letters, digits, hyphens and apostrophes."""
    return STRONG.sub(r"<strong>\1</strong>", text)


def _sources(words: WordGenerator, topic: str, model: str) -> Iterator[Source]:
    likelihood, most = SOURCES.get(model, SOURCES["chatgpt"])
    if words.chance(likelihood):
        for _ in range(words.integer(1 + most // 3, most)):
            yield Source(f"{words.title()}: {topic} | {words.company()}", words.url())


def _subqueries(words: WordGenerator, topic: str, model: str) -> Iterator[str]:
    least, most = SUBQUERIES.get(model, (0, 0))
    left = list(QUERIES)
    for _ in range(words.integer(least, most)):
        query = left.pop(words.integer(0, len(left) - 1))
        yield query.format(topic=topic.lower(), noun=words.word())
