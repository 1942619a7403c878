"""Generated answers are the same in every version: a digest of many of each kind, and some in full.

A change here changes what the tests of others see: it belongs into the changelog.
"""

import hashlib
from collections.abc import Iterable

import orjson
import pytest

from mockserver.openapi.generate.steps import Budget
from mockserver.providers.agilecloud.chat import logprobs
from mockserver.providers.agilecloud.chat.embeddings import vector
from mockserver.providers.agilecloud.chat.logprobs import text_logprobs, token_logprobs
from mockserver.providers.agilecloud.chat.text import generated_object, generated_text, sentence_bank, topic_of
from mockserver.providers.agilecloud.chat.tools import ATTEMPTS, JsonSchemaFormat, generated_call, tool_call
from mockserver.providers.agilecloud.chat.wire import stream_events

KEYS = [b"key %d" % n for n in range(500)]


def digest_of(values: Iterable[object]) -> str:
    """Of their JSON."""
    return hashlib.sha256(orjson.dumps(list(values))).hexdigest()[:16]


def test_the_bank_of_sentences_is_the_same_in_every_version_and_made_once() -> None:
    assert len(sentence_bank()) == 1024
    assert digest_of(sentence_bank()) == "d990b555efa360e8"
    assert sentence_bank() is sentence_bank()


def test_a_generated_text_is_the_same_in_every_version() -> None:
    assert generated_text(b"key", "rivers") == (
        "Let us look at rivers step by step. When the web is quick, short data matters more than un"
        "it. Some prefer the female god, others move the election. When the aside is proud, lonely "
        "plastic matters more than advantage. That should cover the essentials."
    )
    assert digest_of(generated_text(key, "rivers in Spain") for key in KEYS) == "21373af94ea178eb"


def test_a_generated_object_has_topic_answer_and_confidence_and_is_the_same_in_every_version() -> None:
    made = [generated_object(key, "rivers") for key in KEYS]

    assert {each["confidence"] for each in made} == set(range(50, 100))
    assert all(each["answer"] == generated_text(key, "rivers") for key, each in zip(KEYS, made, strict=True))
    assert digest_of(made) == "617ef407db89a1f3"


@pytest.mark.parametrize(
    ("prompt", "topic"),
    [
        ("rivers lakes mountains oceans deserts", "rivers lakes mountains"),
        ("the of a rivers", "rivers"),
        ("a the of a the of a rivers", "rivers"),
        ("x" * 63 + " rivers", "x" * 60),
        ("is it " + "a " * 28 + "rivers", "ri"),
        ("a the of " * 8, "a the of"),
        ("[mock:slow=1] [mock:fail] rivers", "rivers"),
        ("[mock:slow=" + "1" * 52 + "] rivers lakes", "rivers lakes"),
        ("[mock:" + "x" * 250 + "] rivers", "this"),
        ("[mock:" + "x" * 248 + "] rivers", "this"),
        ("[mock:" + "x" * 240 + "] rivers", "rivers"),
    ],
)
def test_the_topic_is_taken_from_the_first_64_characters_behind_the_markers(prompt: str, topic: str) -> None:
    assert topic_of(prompt) == topic


def test_a_log_probability_is_the_same_in_every_version() -> None:
    [entry] = token_logprobs("a", 3, b"key")

    assert entry == {
        "token": "a",
        "logprob": -0.38016293,
        "bytes": [97],
        "top_logprobs": [
            {"token": "a", "logprob": -0.38016293, "bytes": [97]},
            {"token": " think", "logprob": -1.84436942, "bytes": [32, 116, 104, 105, 110, 107]},
            {"token": " three", "logprob": -2.5375166, "bytes": [32, 116, 104, 114, 101, 101]},
        ],
    }
    assert digest_of(text_logprobs("one two three", {"top_logprobs": 20}, key) for key in KEYS) == "deaeb0db54e833f6"
    assert logprobs._variants() is logprobs._variants()


def test_the_most_likely_token_leaves_the_rest_of_the_probability_to_its_alternatives() -> None:
    first, last = logprobs._variants()[0], logprobs._variants()[-1]

    assert (first.logprob, last.logprob) == (-0.69314718, -0.01781398)
    assert [each["logprob"] for each in first.alternatives[:3]] == [-1.38629436, -2.07944154, -2.77258872]
    assert (len(first.alternatives), len({each["token"] for each in last.alternatives})) == (19, 19)


FORM = JsonSchemaFormat(
    {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 3},
            "count": {"type": "integer", "minimum": 1, "maximum": 9},
            "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1},
            "kind": {"enum": ["a", "b"]},
            "score": {"type": "number"},
        },
        "required": ["name", "count", "tags", "kind", "score"],
        "additionalProperties": False,
    },
    "response_format 'x'",
    ("body", "response_format"),
)


def test_json_that_fits_a_schema_is_the_same_in_every_version() -> None:
    assert digest_of(FORM.generate_json(key, Budget()).decode() for key in KEYS[:50]) == "a32f2d350ee15136"


def test_the_attempts_for_a_schema_that_nothing_fits_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[object] = []

    def rejects(value: object) -> bool:
        tried.append(value)
        return False

    monkeypatch.setattr("mockserver.providers.agilecloud.chat.tools._validator", lambda *_: rejects)

    with pytest.raises(Exception, match="no fitting value was found; a canned completion can give one"):
        FORM.generate_json(b"key", Budget())

    assert (len(tried), ATTEMPTS) == (8, 8)


def test_a_generated_call_is_the_same_in_every_version() -> None:
    function = {"type": "function", "function": {"name": "look", "parameters": FORM.definition}}
    custom = {"type": "custom", "custom": {"name": "note"}}

    assert digest_of(generated_call(function, key, Budget()) for key in KEYS[:20]) == "724c9a32b045e001"
    assert generated_call(custom, b"key", Budget()) == {
        "id": "call_a868f80647deef908dd3924a",
        "type": "custom",
        "custom": {
            "name": "note",
            "input": (
                "Let us look at note step by step. When the web is quick, short data matters more than un"
                "it. Some prefer the female god, others move the election. When the aside is proud, lonel"
                "y plastic matters more than advantage. That should cover the essentials."
            ),
        },
    }
    assert tool_call({"name": "look"}, b"key") == {
        "id": "call_a868f80647deef908dd3924a",
        "type": "function",
        "function": {"name": "look", "arguments": "{}"},
    }


def test_an_embedding_is_the_same_in_every_version() -> None:
    assert vector("rivers", "bge-large-en-v1.5", "0", 3).hex() == "86e5bb3de7386f3ffa25b03e"
    assert vector([1, 2], "bge-large-en-v1.5", "0", 3).hex() == "5ec70d3fa908603e14aa4dbf"
    assert hashlib.sha256(vector("rivers", "m", "s", 1536)).hexdigest()[:16] == "65a34f7c4e0d3327"


def test_a_streamed_text_comes_three_words_at_a_time() -> None:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "one two three four  five " + "x" * 40},
        "logprobs": None,
        "finish_reason": "stop",
    }
    completion = {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [choice],
        "system_fingerprint": "f",
    }

    events = [
        orjson.loads(each.removeprefix(b"data: ")) for each in list(stream_events(completion, include_usage=False))[:-1]
    ]

    said = [each["choices"][0]["delta"].get("content") for each in events]
    assert said == ["", "one two three", " four  five " + "x" * 32, "x" * 8, None]
