"""Which requests are handled in a thread, since they may take long, and how AgileCloud is declared."""

import pytest
from builders import make_request

from mockserver.errors import Reason
from mockserver.providers.agilecloud.hooks import CHAT, PROMPTS, RETRY_AFTER, api, is_costly


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        (CHAT, b'{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":5}', False),
        (CHAT, b'{"n":2}', True),
        (CHAT, b'{"name":"m"}', False),
        (CHAT, b"logprobs", True),
        (CHAT, b'"json_schema"', True),
        (CHAT, b'"tool_choice"', True),
        (CHAT, b'"prompt_slug"', True),
        (CHAT, b'"tool"', False),
        (CHAT, b'{"\\u006e":2}', True),
        (CHAT, b'{"a":"\\n \\u4e00"}', False),
        (CHAT, b'{"a":"u00"}', False),
        (CHAT, b"", False),
        (PROMPTS, b"", True),
        (f"{PROMPTS}/x/render", b"", True),
        ("/v1/models", b'"n"', False),
    ],
)
def test_a_request_with_a_schema_or_template_or_several_choices_is_costly(
    path: str, body: bytes, expected: bool
) -> None:
    assert is_costly(make_request("POST", path, body=body)) is expected


def test_names_at_the_very_beginning_count() -> None:
    names = (b'"n"', b"json_schema", b"tool_choice", b"prompt_slug", b"_json_schema", b"\\u00")

    assert [is_costly(make_request("POST", CHAT, body=name)) for name in names] == [True] * len(names)


def test_the_defaults_of_its_operations() -> None:
    assert api.defaults == {
        "listFiles": {"limit": 10_000, "order": "desc"},
        "createBatch": {"completion_window": "24h"},
        "listBatches": {"limit": 20},
        "createChatCompletion": {
            "n": 1,
            "stream": False,
            "temperature": 1,
            "top_p": 1,
            "presence_penalty": 0,
            "frequency_penalty": 0,
        },
        "createEmbedding": {"encoding_format": "float"},
        "startAbTest": {"split": 0.5},
    }


def test_the_statuses_of_its_rejections() -> None:
    assert api.statuses == {
        Reason.FORBIDDEN: (401,),
        Reason.INVALID: (400,),
        Reason.UNSUPPORTED_MEDIA_TYPE: (400,),
        Reason.UNSUPPORTED_CODING: (400,),
    }
    assert RETRY_AFTER == 1


def test_long_work_is_below_three_prefixes() -> None:
    assert api.threaded_prefixes == ("/v1/batches", "/v1/files", "/v1/embeddings")
    assert [api.owns(path) for path in ("/v1", "/v1/x", "/api/v1/prompts", "/api", "/v2")] == [
        True,
        True,
        True,
        False,
        False,
    ]
