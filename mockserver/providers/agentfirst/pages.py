"""Renders an answer as Agent First's completion object: HTML, targeting and other fields."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from hashlib import blake2b
from html import escape
from typing import TYPE_CHECKING, Any

import orjson

from mockserver.lazy import lazy_module
from mockserver.providers.agentfirst.text import Answer, Source, fixture_answer, generated_answer

if TYPE_CHECKING:
    import mistune
else:
    mistune = lazy_module("mistune")

__all__ = ["Answer", "Source", "completion", "fixture_answer", "generated_answer"]

TARGETING = ("device", "country", "subdivision", "city", "language", "display")
UPPER_CASED = ("country", "subdivision")
# Our names of a completion's fields, and their documented names in each version, in order.
FIELDS: Mapping[str, Mapping[str, str]] = {
    "2026-04": {
        "model": "model",
        "query": "prompt",
        "html": "html",
        "prompt": "promptHtml",
        "completion": "completionHtml",
        "sources": "sourcesHtml",
        "fanouts": "subqueries",
    },
    "2026-07": {
        name: name for name in ("model", "query", "html", "prompt", "completion", "sources", "ads", "fanouts", "sse")
    },
}
CHATGPT_FANOUTS = frozenset({"2026-07"})
"""Versions in which only ChatGPT has the field `fanouts`."""
PLANNED = {"language": "language (planned)", "display": "display (planned)"}
SPEAKERS = {"chatgpt": "ChatGPT said: ", "gemini": "Gemini said ", "copilot": "Copilot said "}
SIZES = {
    "chatgpt": (250_000, 600_000),
    "gemini": (500_000, 1_400_000),
    "perplexity": (300_000, 900_000),
    "copilot": (210_000, 500_000),
}


def completion(
    answer: Answer,
    *,
    prompt: str,
    model: str,
    targeting: Mapping[str, str],
    version: str,
    weight: str,
    key: bytes,
) -> dict[str, Any]:
    """The completion as documented in that version: `2026-04` or `2026-07`.

    The weight is `light` or `realistic`; the key determines the size of a realistic page.
    """
    fields = FIELDS[version]
    given = {part: answer.fields[field] for part, field in fields.items() if field in answer.fields}
    parts: dict[str, Any] = {
        "model": model,
        "query": prompt,
        "html": "",
        "prompt": _prompt_html(prompt),
        "completion": _completion_html(answer.html or _html(answer.text), model),
        "sources": _sources_html(answer.sources),
        "ads": _ads_html(answer.ads),
    }
    if model == "chatgpt" or version not in CHATGPT_FANOUTS:
        parts["fanouts"] = list(answer.subqueries)
    parts |= given
    if "html" not in given:
        padding = _padding(model, key) if weight == "realistic" else ("", "", "")
        parts["html"] = _page(parts, *padding)
    if model == "chatgpt" and "sse" in fields:
        parts.setdefault("sse", _sse(answer.text))
    shown = {field: parts[part] for part, field in fields.items() if part in parts}
    return shown | _targeting(targeting, version)


def _targeting(targeting: Mapping[str, str], version: str) -> dict[str, str | None]:
    """April's documents have null for unset values, later ones omit them."""
    clean = {name: targeting.get(name) or None for name in TARGETING}
    cased = {name: value.upper() if value and name in UPPER_CASED else value for name, value in clean.items()}
    if version == "2026-04":
        return {PLANNED.get(name, name): value for name, value in cased.items()}
    return {name: value for name, value in cased.items() if value}


def _prompt_html(prompt: str) -> str:
    text = f'<div class="whitespace-pre-wrap">{escape(prompt)}</div>'
    return f'<h4 class="sr-only select-none">You said: </h4><div data-message-author-role="user">{text}</div>'


def _completion_html(html: str, model: str) -> str:
    speaker = SPEAKERS.get(model, "")
    heading = f'<h4 class="sr-only select-none">{speaker}</h4>' if speaker else ""
    return f'{heading}<div data-message-author-role="assistant"><div class="markdown prose">{html}</div></div>'


def _sources_html(sources: Sequence[Source]) -> str:
    items = "".join(f"<li>{_link(source)}</li>" for source in sources)
    return f'<section aria-label="Sources" class="sources"><ol>{items}</ol></section>' if items else ""


def _link(source: Source) -> str:
    title = escape(source.title)
    if not source.url.lower().startswith(("https://", "http://")):
        return title
    return f'<a href="{escape(source.url)}" rel="nofollow noopener">{title}</a>'


def _ads_html(ads: str) -> str:
    return f'<section aria-label="Sponsored" class="ads">{_html(ads)}</section>' if ads else ""


@lru_cache(maxsize=128)
def _html(markdown: str) -> str:
    return _renderer()(markdown)


@cache
def _renderer() -> Callable[[str], str]:
    markdown = mistune.create_markdown(escape=True, plugins=["table"])
    return lambda text: str(markdown(text))


def _page(parts: Mapping[str, str], styles: str, navigation: str, remains: str) -> str:
    title = escape(parts["query"][:80])
    return (
        '<!DOCTYPE html><html lang="en-US" data-theme="light"><head><meta charset="utf-8">'
        f"<title>{title}</title>{styles}</head><body>{navigation}<main>"
        f"<article>{parts['prompt']}</article><article>{parts['completion']}{parts['sources']}{parts['ads']}</article>"
        f"</main>{remains}</body></html>"
    )


def _padding(model: str, key: bytes) -> tuple[str, str, str]:
    """Styles, navigation and scripts without effect, which are most of the weight of a real page."""
    digest = blake2b(model.encode() + b"\0" + key, digest_size=16).hexdigest()
    least, most = SIZES.get(model, SIZES["chatgpt"])
    size = least + int(digest[:8], 16) % (most - least)
    rule = "".join(
        f".c{digest[n:]}{{display:flex;gap:{n}px;padding:{n}px {2 * n}px;color:#{digest[:6]}}}" for n in range(16)
    )
    item = "".join(f'<li class="c{digest[n:]}"><a href="#{digest[n:]}">{digest[::-1]}</a></li>' for n in range(8))
    datum = f'<div hidden class="c{digest}" data-state="{digest * 30}"></div>'
    return (
        f"<style>{_repeated(rule, size * 3 // 10)}</style>",
        f"<nav hidden><ul>{_repeated(item, size // 10)}</ul></nav>",
        f"<template>{_repeated(datum, size * 6 // 10)}</template>",
    )


def _repeated(block: str, size: int) -> str:
    return block * (size // len(block) + 1)


def _sse(text: str) -> str:
    """The answer as a chat page's stream of events: pieces of text, then the end."""
    pieces = [text[start : start + 160] for start in range(0, len(text), 160)]
    events = [{"type": "delta", "index": index, "v": piece} for index, piece in enumerate(pieces)]
    lines = [f"event: delta\ndata: {orjson.dumps(event).decode()}\n\n" for event in events]
    return "".join([*lines, 'event: done\ndata: {"type":"done"}\n\n', "data: [DONE]\n\n"])
