"""Where requests name a callback's URL, and what changes of a request when an address takes its place: only the URL."""

import json
from typing import Any

import pytest
from builders import make_engine
from hypothesis import given
from hypothesis import strategies as st

from mockserver.contract.callbacks.places import (
    BODY,
    HEADER,
    QUERY,
    CallbackPlace,
    RequestParts,
    find_places,
    with_argument,
    with_json_text,
    with_url,
)

URL = "https://client.example/hook?a=1&b=2"
OWN = "https://proxy.example/__callbacks/1"
JSON_HEADERS = [(b"content-type", b"application/json; charset=utf-8"), (b"content-length", b"999")]


def moved(url: str) -> str | None:
    return OWN if url == URL else None


@pytest.mark.parametrize(
    ("given_text", "pointer", "made"),
    [
        ('{"hook": "URL"}', "/hook", '{"hook": "OWN"}'),
        ('\t{ "n" : 12345678901234567890.10 ,\n"hook":"URL" }  ', "/hook",
         '\t{ "n" : 12345678901234567890.10 ,\n"hook":"OWN" }  '),
        ('{"hook":"URL","hook":"URL"}', "/hook", '{"hook":"URL","hook":"OWN"}'),
        ('{"prompt":"URL","hook":"URL","é":"\\u00e9"}', "/hook", '{"prompt":"URL","hook":"OWN","é":"\\u00e9"}'),
        ('{"a/b":{"c~d":[0,{"x":"URL"}]}}', "/a~1b/c~0d/1/x", '{"a/b":{"c~d":[0,{"x":"OWN"}]}}'),
        ('{"callback (planned)":"URL"}', "/callback (planned)", '{"callback (planned)":"OWN"}'),
        ('{"hook":"https:\\/\\/client.example\\/hook?a=1&b=2"}', "/hook", '{"hook":"OWN"}'),
        ('"URL"', "", '"OWN"'),
    ],
)  # fmt: skip
def test_only_the_url_in_a_json_body_is_replaced(given_text: str, pointer: str, made: str) -> None:
    content = given_text.replace("URL", URL).encode()

    assert with_json_text(content, pointer, moved) == made.replace("URL", URL).replace("OWN", OWN).encode()


@pytest.mark.parametrize(
    ("content", "pointer"),
    [
        (b"", "/hook"),
        (b"{}", "/hook"),
        (b"[]", "/0"),
        (b"[1]", "/hook"),
        (b'{"hook":', "/hook"),
        (b'{"hook" "x"}', "/hook"),
        (b'{"hook":null}', "/hook"),
        (b'{"hook":["%b"]}' % URL.encode(), "/hook"),
        (b'{"hook":{"a":1}}', "/hook/a/b"),
        (b'{"hook":"https://other.example"}', "/hook"),
        (b'{"hook":"\xff"}', "/hook"),
        (b"[" * 100_000, "/0/hook"),
    ],
)
def test_a_body_without_that_url_stays_as_it_is(content: bytes, pointer: str) -> None:
    assert with_json_text(content, pointer, moved) == content


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.just(URL),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=3), values, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=4), JSON, st.booleans())
def test_any_other_member_stays_the_same(value: dict[str, Any], hook: Any, escapes: bool) -> None:
    value = {"a": value, "hook": {"url": hook}, "b": value}
    content = json.dumps(value, ensure_ascii=escapes).encode("utf-8", "surrogatepass")

    made = with_json_text(content, "/hook/url", moved)

    assert json.loads(made) == value | {"hook": {"url": OWN if hook == URL else hook}}


def test_an_argument_is_replaced_in_a_query_and_in_a_form() -> None:
    query = b"x=%41&url=https%3A%2F%2Fclient.example%2Fhook%3Fa%3D1%26b%3D2&y=+"
    made = b"x=%41&url=https%3A%2F%2Fproxy.example%2F__callbacks%2F1&y=+"
    headers = [(b"Content-Type", b"application/x-www-form-urlencoded"), (b"Content-Length", b"1")]

    assert with_argument(query, "url", moved) == made
    assert with_url(RequestParts(query, [], None), CallbackPlace(QUERY, "url"), moved).query == made
    assert with_url(RequestParts(b"", headers, query), CallbackPlace(BODY, "/url"), moved) == RequestParts(
        b"", [headers[0], (b"content-length", b"%d" % len(made))], made
    )
    assert with_argument(b"url&url=", "url", moved) == b"url&url="


def test_a_header_is_replaced_in_any_case() -> None:
    headers = [(b"X-Other", URL.encode()), (b"x-callback", b" " + URL.encode())]

    made = with_url(RequestParts(b"", headers, None), CallbackPlace(HEADER, "X-Callback"), moved)

    assert made.headers == [headers[0], (b"x-callback", OWN.encode())]


def test_the_length_of_a_changed_body_is_stated_and_an_unchanged_one_keeps_its_headers() -> None:
    place, body = CallbackPlace(BODY, "/hook"), b'{"hook": "%b"}' % URL.encode()

    made = with_url(RequestParts(b"", JSON_HEADERS, body), place, moved)
    same = RequestParts(b"", JSON_HEADERS, b'{"hook": 1}')
    upload = RequestParts(b"", [(b"content-type", b"multipart/form-data; boundary=x")], body)

    assert made.headers[1] == (b"content-length", b"%d" % len(made.body))  # type: ignore[arg-type]
    assert with_url(same, place, moved) == same
    assert with_url(upload, place, moved) == upload


def test_a_provider_says_where_its_callbacks_are() -> None:
    services = {each.operation.key: each for each in make_engine().services}

    assert find_places(services["queueBatch"]) == (
        CallbackPlace(BODY, "/callback"), CallbackPlace(BODY, "/callback (planned)")
    )  # fmt: skip
    assert find_places(services["askModel"]) == (CallbackPlace(QUERY, "callback"),)
    assert find_places(services["getUser"]) == ()


def test_a_document_says_where_callbacks_are(tmp_path: Any) -> None:
    sent = {"post": {"responses": {"200": {"description": "ok"}}}}
    targets = [
        "$request.body#/whole", "{$request.body#/url}", "{$request.query.to}/done", "{$request.header.X-To}?id=5",
        "https://fixed.example/?to={$request.body#/data}", "$response.body#/url", "{$request.path.id}", "$url",
        "{$request.body}", "{$request.body#/open",
    ]  # fmt: skip
    start = {"callbacks": {"done": dict.fromkeys(targets, sent)}, "responses": {"200": {"description": "ok"}}}
    spec = tmp_path / "api.json"
    document = {"openapi": "3.1.0", "info": {"title": "a", "version": "1"}, "paths": {"/jobs": {"post": start}}}
    spec.write_text(json.dumps(document))

    [service] = [each for each in make_engine(spec=(str(spec),)).services if each.operation.path == "/jobs"]

    assert [(each.kind, each.name, each.continues) for each in find_places(service)] == [
        (BODY, "/whole", False), (BODY, "/url", False), (QUERY, "to", True), (HEADER, "X-To", True)
    ]  # fmt: skip
