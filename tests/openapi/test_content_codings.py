"""Bodies that are compressed for transport are refused by name, by both APIs and in their own error form."""

import gzip
import zlib

import pytest
from builders import ask, bytes_of, make_engine, value_of

from mockserver.engine.engine import Engine

AS_JSON = {"content-type": "application/json"}
QUESTION = b'{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}'
CALLS = ("/v1/chat/completions", "/v1/embeddings", "/v1/batches", "/v1/files", "/api/v1/prompts")
CODINGS = (
    "gzip",
    "x-gzip",
    "deflate",
    "zstd",
    "br",
    "compress",
    "GZIP",
    "gzip, identity",
    "identity, br",
    "aws-chunked",
)


@pytest.fixture(scope="module", params=[False, True], ids=["lenient", "strict"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return make_engine(strict=request.param)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("path", CALLS)
def test_agilecloud_refuses_a_coded_body_in_openais_envelope(engine: Engine, path: str, coding: str) -> None:
    response = ask(engine, "POST", path, body=gzip.compress(QUESTION), headers=AS_JSON | {"content-encoding": coding})

    assert response.status == 400
    message = f"Content-Encoding '{coding}' is not supported; send the body as it is (identity)."
    assert value_of(response)["error"] == {
        "message": message,
        "type": "invalid_request_error",
        "param": "Content-Encoding",
        "code": "unsupported_content_encoding",
    }


@pytest.mark.parametrize("coding", CODINGS)
def test_agent_first_refuses_a_coded_body_in_plain_text(engine: Engine, coding: str) -> None:
    body = zlib.compress(b'{"prompts": ["Hi"]}')

    response = ask(engine, "POST", "/ai/batches", body=body, headers=AS_JSON | {"content-encoding": coding})

    assert (response.status, response.media_type) == (415, "text/plain")
    text = f"Content-Encoding '{coding}' is not supported; send the body as it is (identity)."
    assert bytes_of(response).decode() == text
    assert ("Accept-Encoding", "identity") in response.headers


@pytest.mark.parametrize("coding", ["identity", "Identity", "", "identity, identity"])
def test_identity_is_accepted_as_content_encoding(engine: Engine, coding: str) -> None:
    headers = AS_JSON | {"content-encoding": coding}

    assert ask(engine, "POST", "/v1/chat/completions", body=QUESTION, headers=headers).status == 200


def test_authentication_precedes_the_check_of_the_content_encoding(engine: Engine) -> None:
    headers = AS_JSON | {"content-encoding": "gzip"}

    assert ask(engine, "POST", "/v1/chat/completions", body=b"x", headers=headers, token=None).status == 401


def test_a_long_content_encoding_is_shortened_in_the_error(engine: Engine) -> None:
    response = ask(engine, "POST", "/v1/embeddings", body=b"x", headers=AS_JSON | {"content-encoding": "x" * 5000})

    assert len(bytes_of(response)) < 500


def test_a_content_encoding_without_a_body_is_ignored(engine: Engine) -> None:
    assert ask(engine, "GET", "/v1/models", headers={"content-encoding": "gzip"}).status == 200
