"""Generated text: plain prose that uses words of the prompt."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from struct import Struct
from typing import Any

import xxhash

from mockserver.openapi.generate.values import WordGenerator
from mockserver.sandbox.ids import digest

BANK_SIZE = 1024
READ = 64
"""The characters of a prompt that are searched for its topic; prompts may be whole documents."""
LENGTH, LONGEST = 3, 60
"""The most words of a topic, and its most characters."""
FEW = 7
SIGNS = ".,:;!?…\"'`´‘’“”«»()[]{}<>*#_~|/\\-–—"
MARKER = re.compile(r"\[mock:[^\]]*\]?")
WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
LEADS = (
    "Here is what matters most about {}.",
    "There is more than one good answer when it comes to {}.",
    "A short overview of {}:",
    "Let us look at {} step by step.",
    "{} can be put in a few words.",
    "In short, {} comes down to a few points.",
    "To begin with {}, keep the following in mind.",
    "Most questions about {} have the same answer.",
)
CLOSINGS = (
    "",
    "",
    " Let me know if you want more detail.",
    " Shall I go deeper into any of this?",
    " I hope this helps.",
    " That should cover the essentials.",
    " Tell me more about your case and I can be more precise.",
    " Would an example help?",
)
# Words that do not characterise a prompt.
_COMMON = (
    "a about all an and any are as at be best but by can classify could describe do does document each explain extract "
    "find following for from generate get give good have hello hi how i if in into is it its list make me my of on one "
    "or our please question rewrite say should show some summarise summarize tell text than that the their them there "
    "these they this to translate us was we were what what's when where which who why will with would write you your"
)
COMMON = frozenset(("", *_COMMON.split(), *(word.capitalize() for word in _COMMON.split())))
_LEADS = [lead.split("{}") for lead in LEADS]
_DRAWS = Struct("<4H")


def last_user_message(messages: Sequence[Mapping[str, Any]]) -> str:
    """The text of the last user message; empty without one."""
    for message in reversed(messages):
        if message.get("role") == "user":
            content = message.get("content")
            return content if isinstance(content, str) else _text_of(content or ())
    return ""


def topic_of(prompt: str) -> str:
    """The first characteristic words of the prompt, or else its first words. JSON encodes them unchanged."""
    beginning = prompt[:READ]
    if "[" in beginning and "[mock:" in beginning:
        beginning = MARKER.sub(" ", prompt[: 4 * READ])[:READ]
    # Most prompts have enough characteristic words near their beginning; otherwise the rest is split.
    words = _distinctive_words(beginning.split(None, FEW)[:FEW])
    if len(words) < LENGTH:
        all_words = beginning.split()
        words = _distinctive_words(all_words) or [bare for word in all_words[:LENGTH] if (bare := _strip_word(word))]
    topic = " ".join(words)
    return topic if 0 < len(topic) <= LONGEST else topic[:LONGEST].strip() or "this"


def generated_text(key: bytes, topic: str) -> str:
    """Three to six sentences about the topic, the same for the same arguments."""
    return generated_texts([key], [topic])[0]


def generated_texts(keys: Iterable[bytes], topics: Iterable[str]) -> list[str]:
    """The texts for many keys, one for each topic."""
    bank = sentence_bank()
    draws = _DRAWS.iter_unpack(b"".join(map(xxhash.xxh3_64_digest, keys)))
    return [
        f"{before}{topic if before else topic[0].upper() + topic[1:]}{after}"
        f" {bank[one % BANK_SIZE]} {bank[two % BANK_SIZE]}{CLOSINGS[closing % len(CLOSINGS)]}"
        for (lead, closing, one, two), topic in zip(draws, topics, strict=True)
        for before, after in (_LEADS[lead % len(_LEADS)],)
    ]


def generated_object(key: bytes, topic: str) -> dict[str, Any]:
    """The JSON object of a request for `json_object`."""
    return {"topic": topic, "answer": generated_text(key, topic), "confidence": 50 + digest(key, b"c")[0] % 50}


@cache
def sentence_bank() -> tuple[str, ...]:
    """One or two sentences each, generated once: drawing from them takes a tenth of the time of generating."""
    words = WordGenerator(b"agilecloud")
    return tuple(words.paragraph(1 + n % 2) for n in range(BANK_SIZE))


def _distinctive_words(words: Sequence[str]) -> list[str]:
    """The first uncommon words, up to the length of a topic."""
    found = []
    for word in words:
        if word in COMMON:
            continue
        bare = word
        if not word.isalnum():
            bare = _strip_word(word)
            if bare in COMMON:
                continue
        found.append(bare)
        if len(found) == LENGTH:
            break
    return found


def _strip_word(word: str) -> str:
    """The word without surrounding punctuation; other characters inside separate its parts."""
    bare = word.strip(SIGNS)
    return bare if bare.isalnum() else " ".join(WORD.findall(bare))


def _text_of(parts: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join([part["text"] for part in parts if isinstance(part.get("text"), str)])
