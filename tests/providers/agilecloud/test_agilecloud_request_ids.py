"""AgileCloud's request ids: the same on every run, and different for each request."""

import pytest
from builders import ask, make_engine, make_request
from pytest import MonkeyPatch

from mockserver.engine.engine import Engine
from mockserver.http import Request, Upload
from mockserver.providers.agilecloud import request_ids as agilecloud_request_ids
from mockserver.sandbox.blobs import Blob

CHAT = b'{"model":"gpt-4o-mini","messages":[]}'
SPACED = b'{ "messages": [], "model": "gpt-4o-mini" }'
JSON = {"content-type": "application/json"}


def id_of(engine: Engine, request: Request) -> str:
    return dict(engine.handle(request).headers)["X-Request-ID"]


def chat(body: bytes, token: str | None = "test", **headers: str) -> Request:
    return make_request("POST", "/v1/chat/completions", body=body, token=token, headers=JSON | headers)


def form(boundary: str, content: bytes) -> Request:
    fields: dict[str, str | Upload] = {"purpose": "batch", "file": Upload("in.jsonl", "", Blob.in_memory(content))}
    media_type = f"multipart/form-data; boundary={boundary}"
    return make_request("POST", "/v1/files", headers={"content-type": media_type})._replace(form=fields)


def first_id(request: Request) -> str:
    return id_of(make_engine(), request)


def test_the_same_request_gets_a_new_id_each_time_and_the_first_one_on_a_fresh_server() -> None:
    engine = make_engine()
    ids = [id_of(engine, chat(CHAT)) for _ in range(5)]

    assert len(set(ids)) == 5
    assert ids[0] == first_id(chat(CHAT))


def test_the_order_of_keys_and_of_arguments_does_not_matter() -> None:
    assert first_id(chat(CHAT)) == first_id(chat(SPACED))
    assert first_id(make_request("GET", "/v1/batches", query="limit=1&after=x")) == first_id(
        make_request("GET", "/v1/batches", query="after=x&limit=1")
    )


def test_a_form_counts_by_its_fields_and_not_by_its_boundary() -> None:
    assert first_id(form("one", b"{}")) == first_id(form("two", b"{}"))
    assert first_id(form("one", b"{}")) != first_id(form("one", b"{ }"))


def test_seed_sandbox_path_method_and_body_matter() -> None:
    base = chat(CHAT)
    others = [
        chat(CHAT, token="other"),
        base._replace(method="PUT"),
        base._replace(path="/v1/embeddings"),
        base._replace(query="a=1"),
        chat(b'{"model":"gpt-4o","messages":[]}'),
        chat(b"{"),
        chat(b"[" * 2000),
        chat(b" " * 100_000),
    ]

    ids = [first_id(base), id_of(make_engine(seed="other"), base), *map(first_id, others)]
    assert len(set(ids)) == len(ids)


def test_another_client_of_the_same_sandbox_does_not_shift_ids() -> None:
    engine = make_engine()
    id_of(engine, chat(CHAT, token="bob", **{"x-mock-sandbox": "test"}))

    assert id_of(engine, chat(CHAT)) == first_id(chat(CHAT))


def test_a_reset_gives_the_first_ids_again() -> None:
    engine = make_engine()
    first = id_of(engine, chat(CHAT))
    engine.sandboxes.open("test").reset()

    assert id_of(engine, chat(CHAT)) == first


def test_counting_is_bounded_and_ids_stay_different(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(agilecloud_request_ids, "MAX_ASKED", 10)
    engine = make_engine()
    sandbox = engine.sandboxes.open("test")
    ids = []
    for _ in range(3):
        for n in range(30):
            ids.append(dict(ask(engine, "GET", f"/v1/models/{n}").headers)["X-Request-ID"])
            assert len(sandbox.collection(agilecloud_request_ids.ASKED, int)) <= 11

    assert len(set(ids)) == len(ids)


def test_the_first_ids_are_the_same_in_every_version() -> None:
    engine = make_engine()

    assert [id_of(engine, chat(CHAT)) for _ in range(2)] == [
        "ffc03a75e5cebb8b866e2c8f4a83057d",
        "8a46d43aec5f440fae4a9a0286979105",
    ]
    assert first_id(make_request("GET", "/v1/models")) == "a3a56bc46de173cbacc0af3fe3753fd7"
    assert first_id(form("one", b"{}")) == "d39a99eeff72cefdbb539282ad0da16c"


@pytest.mark.parametrize(
    ("given", "kept"),
    [("my-id", "my-id"), ("a" * 128, "a" * 128), ("a" * 129, "a" * 128), ("a b\tc", "abc")],
)
def test_an_id_of_the_client_is_kept_up_to_128_characters(given: str, kept: str) -> None:
    assert first_id(chat(CHAT, **{"x-request-id": given})) == kept


def test_a_body_that_is_read_as_json_counts_by_its_value_up_to_64_kib() -> None:
    def id_with(body: bytes) -> str:
        return first_id(make_request("POST", "/v1/unknown", body=body))

    def padded(size: int) -> bytes:
        return b'{"a":1}' + b" " * (size - 7)

    assert id_with(b'{"a": 1, "b": 2}') == id_with(b'{"b":2,"a":1}')
    assert id_with(b'{"a": 1}') != id_with(b"")
    assert id_with(b"{bad") != id_with(b"{bad }")
    assert id_with(padded(65_536)) == id_with(b'{"a":1}')
    assert id_with(padded(65_537)) != id_with(b'{"a":1}')


def test_half_of_the_counts_are_dropped_when_there_are_too_many(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(agilecloud_request_ids, "MAX_ASKED", 4)
    engine = make_engine()
    asked = engine.sandboxes.open("test").collection(agilecloud_request_ids.ASKED, int)

    sizes = []
    for n in range(8):
        ask(engine, "GET", f"/v1/models/{n}")
        sizes.append(len(asked))

    # Of more than 4, 2 are dropped before one is added; the number of drops takes one place.
    assert sizes == [1, 2, 3, 4, 5, 5, 4, 5]
    assert asked.get(agilecloud_request_ids._DROPPED) == 2
