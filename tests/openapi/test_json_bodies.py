"""The number of values in a body is bounded before they are made; long texts and ordinary large bodies pass."""

import json
import random
from typing import Any

import orjson
import pytest
from builders import ask, bytes_of, make_engine, make_request, value_of, violations_of

from mockserver.json_bodies import MAX_VALUES, MAX_VALUES_LARGE, JsonError, count_values, max_values, parse_json
from mockserver.sandbox.stubs.schema import read_rule

MANY = MAX_VALUES_LARGE + 1

DENSE = {
    "empty lists": b"[" + b"[]," * MANY + b"[]]",
    "objects": b"[" + b'{"a":1},' * MANY + b"1]",
    "numbers": b"[" + b"1," * MANY + b"1]",
    "empty strings": b"[" + b'"",' * MANY + b'""]',
    "a duplicate key": b"{" + b'"a":1,' * MANY + b'"a":1}',
    "nesting": b"[" * MANY,
    "spaces between": b"[" + b" 1 , " * MANY + b"1]",
    "values after a text with quotes": b'["\\"\\\\",' + b"[]," * MANY + b"[]]",
}


@pytest.mark.parametrize("text", DENSE.values(), ids=DENSE.keys())
def test_too_many_values_are_rejected_before_parsing(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mockserver.json_bodies.orjson", None)

    with pytest.raises(JsonError, match=f"at most {max_values(len(text))} values") as raised:
        parse_json(text)

    assert raised.value.code == "max_values"


TEXTS = {
    "commas and brackets": ",[{" * MANY,
    "escaped quotes": '",' * MANY,
    "backslashes": "\\" * MANY + ",",
    "an odd number of backslashes and a quote": "\\" * (2 * 1024 * 1024 + 1) + '",[' * MANY,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_commas_and_brackets_in_strings_are_not_counted(text: str) -> None:
    assert parse_json(json.dumps([text, 1]).encode()) == [text, 1]


def test_values_are_counted_as_a_parser_finds_them() -> None:
    chance = random.Random(7)

    def value(depth: int) -> Any:
        kind = chance.randrange(6 if depth else 4)
        if kind == 4:
            return [value(depth - 1) for _ in range(chance.randrange(1, 5))]
        if kind == 5:
            return {text(): value(depth - 1) for _ in range(chance.randrange(1, 5))}
        return (1, None, -2.5e3, text())[kind]

    def text() -> str:
        return "".join(chance.choices('ab\\",[]{}:\n\u00e9\U0001f600', k=chance.randrange(8)))

    for _ in range(300):
        given = value(6)
        for written in (orjson.dumps(given), json.dumps(given, indent=2).encode()):
            assert count_values(written) == count_in(given)


def count_in(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(count_in, inner))


@pytest.mark.parametrize("at", range(-3, 4))
def test_a_backslash_at_the_end_of_a_piece_escapes_the_next_one(at: int) -> None:
    written = json.dumps(["a" * (1024 * 1024 - 2 + at) + '\\",[' * 3, [1, 2]]).encode()

    assert count_values(written) == 5


def test_large_ordinary_bodies_are_read() -> None:
    message = {"role": "user", "content": "Hello, how are you today? I am fine, and so is everybody else here."}
    for given in (["\U0001f600" * 2047] * 1000, [message] * 190_000, [1] * (MAX_VALUES_LARGE - 1)):
        written = json.dumps(given, ensure_ascii=False).encode() + b" " * (BYTES - 1 if given[0] == 1 else 0)
        assert parse_json(written) == given


BYTES = 16 * MAX_VALUES_LARGE


def test_a_syntax_error_keeps_no_copy_of_the_text() -> None:
    with pytest.raises(JsonError, match="not JSON") as raised:
        parse_json(b'["' + b"a" * 1000)

    assert raised.value.code == "syntax"
    assert raised.value.__context__ is None


@pytest.mark.parametrize(
    ("path", "status"), [("/ai/batches", 422), ("/v1/chat/completions", 400), ("/v1/batches", 400)]
)
def test_a_body_of_too_many_values_is_refused_with_the_limit_that_it_exceeds(path: str, status: int) -> None:
    body = b'{"prompts":[' + b"[]," * MAX_VALUES + b"[]]}"

    response = make_engine().handle(make_request("POST", path, body=body, headers={"content-type": "application/json"}))

    assert response.status == status
    assert str(MAX_VALUES) in bytes_of(response).decode()
    assert [each["code"] for each in violations_of(response)] == ["max_values"]


def test_a_stub_does_not_read_a_body_of_too_many_values() -> None:
    engine = make_engine()
    sandbox = engine.sandboxes.open("test")
    definition = {"body": {"a": 1}, "reply": {"status": 401}}
    sandbox.rules.install([read_rule(definition, origin="next", now=0.0)])
    body = b'{"a":1,"b":[' + b"[]," * MAX_VALUES + b"[]]}"

    response = ask(engine, "POST", "/ai/batches", body=body, headers={"content-type": "application/json"})

    assert response.status == 422
    assert value_of(ask(engine, "GET", "/ai/devices"))
