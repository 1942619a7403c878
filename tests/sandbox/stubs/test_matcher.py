"""Which requests a matcher means: paths with open segments, headers, arguments, and what is in a body."""

from typing import Any

import pytest
from builders import make_request
from hypothesis import given
from hypothesis import strategies as st

from mockserver.http import Request, Upload
from mockserver.json_bodies import count_values
from mockserver.sandbox.blobs import Blob
from mockserver.sandbox.stubs.matcher import RequestView, json_contains, path_fits, read_matcher, value_at

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab~/", max_size=2), inner, max_size=3),
    max_leaves=10,
)
CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "n": 1, "stream": True}


def fits(request: Request, **definition: Any) -> bool:
    return read_matcher(definition).fits(RequestView("op", request))


@pytest.mark.parametrize(
    ("definition", "is_meant"),
    [
        ({}, True),
        ({"operation": "op"}, True),
        ({"operation": "other"}, False),
        ({"method": "post"}, True),
        ({"method": "GET"}, False),
        ({"path": "/v1/chat"}, True),
        ({"path": "/v1/*"}, True),
        ({"path": "/{version}/chat"}, True),
        ({"path": "/v1"}, False),
        ({"path": "/v1/chat/*"}, False),
        ({"header": {"X-Team": "red"}}, True),
        ({"header": {"x-team": "*"}}, True),
        ({"header": {"X-Team": "blue"}}, False),
        ({"header": {"X-Other": "*"}}, False),
        ({"query": {"tag": "a b"}}, True),
        ({"query": {"tag": "c"}}, True),
        ({"query": {"tag": "*", "empty": ""}}, True),
        ({"query": {"tag": "d"}}, False),
        ({"query": {"none": "*"}}, False),
        ({"body": {}}, True),
        ({"body": {"messages": [{"content": "hi"}]}}, True),
        ({"body": {"messages": []}}, False),
        ({"body": {"n": True}}, False),
        ({"body": {"stream": 1}}, False),
        ({"body": {"n": 1.0}}, True),
        ({"body": "m"}, False),
        ({"body_at": {"/messages/0/role": "user"}}, True),
        ({"body_at": {"/messages/0": {"role": "user"}}}, True),
        ({"body_at": {"": {"model": "m"}}}, True),
        ({"body_at": {"/messages/1/role": "user"}}, False),
        ({"body_at": {"/messages/00/role": "user"}}, False),
        ({"body_at": {"/model/0": "m"}}, False),
        ({"body_at": {"/none": None}}, False),
        ({"method": "POST", "path": "/v1/chat", "body": {"model": "m"}, "body_at": {"/n": 2}}, False),
    ],
)
def test_all_conditions_of_a_matcher_must_hold(definition: dict[str, Any], is_meant: bool) -> None:
    request = make_request("POST", "/v1/chat", query="tag=a+b&tag=c&empty=", json=CHAT, headers={"x-team": "red"})

    assert fits(request, **definition) is is_meant


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 5000])
def test_a_body_that_is_not_json_matches_no_body_condition(body: bytes) -> None:
    request = make_request("POST", "/x", body=body)

    assert fits(request)
    assert not fits(request, body={})
    assert not fits(request, body_at={"": None})


def test_a_form_is_matched_by_its_fields() -> None:
    blob = Blob.__new__(Blob)  # never read
    form: dict[str, str | Upload] = {"purpose": "batch", "file": Upload("in.jsonl", "application/jsonl", blob)}
    request = make_request("POST", "/v1/files")._replace(form=form)

    assert fits(request, body={"purpose": "batch"})
    assert fits(request, body_at={"/file/filename": "in.jsonl"})
    assert not fits(request, body={"purpose": "vision"})


def test_a_body_is_parsed_once_and_only_when_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[bytes] = []

    def loads(text: bytes) -> Any:
        parsed.append(text)
        return {"a": 1}

    monkeypatch.setattr("mockserver.sandbox.stubs.matcher.parse_json", loads)
    asked = RequestView("op", Request("POST", "/x", body=b"{}"))

    assert read_matcher({"operation": "op", "path": "/x"}).fits(asked)
    assert parsed == []
    assert read_matcher({"body": {"a": 1}, "body_at": {"/a": 1}}).fits(asked)
    assert not read_matcher({"body": {"a": 2}}).fits(asked)
    assert parsed == [b"{}"]


@given(JSON)
def test_a_value_contains_itself(value: Any) -> None:
    assert json_contains(value, value)


@given(st.dictionaries(st.text("ab", max_size=2), JSON, max_size=4), st.data())
def test_an_object_contains_every_part_of_itself(value: dict[str, Any], data: st.DataObject) -> None:
    kept = data.draw(st.sets(st.sampled_from(sorted(value)))) if value else set()

    assert json_contains(value, {name: value[name] for name in kept})
    assert not json_contains(value, {**value, "more": None})


@given(JSON)
def test_every_part_of_a_value_has_its_pointer(value: Any) -> None:
    for pointer, part in parts_of(value):
        assert value_at(value, pointer) is part


def parts_of(value: Any, pointer: str = "") -> list[tuple[str, Any]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [(pointer, value)]
    for step, part in steps:
        found += parts_of(part, f"{pointer}/{str(step).replace('~', '~0').replace('/', '~1')}")
    return found


@given(st.lists(st.text("abc*{}", min_size=1, max_size=3), min_size=1, max_size=4), st.data())
def test_a_path_matches_itself_and_segments_may_be_wildcards(segments: list[str], data: st.DataObject) -> None:
    opened = [data.draw(st.sampled_from((each, "*", "{x}"))) for each in segments]

    assert path_fits("/" + "/".join(opened), "/" + "/".join(segments))
    assert not path_fits("/" + "/".join(opened), "/" + "/".join([*segments, "more"]))


@pytest.mark.parametrize(
    ("definition", "steps"),
    [
        ({}, 0),
        ({"body": 5}, 1),
        ({"body": {"a": 1, "b": [1, 2]}}, count_values(b'{"a":1,"b":[1,2]}')),
        ({"body_at": {"": 1}}, 1),
        ({"body_at": {"/a/b": 1, "/c": 2}}, 5),
        ({"body": 5, "body_at": {"/a": 1}}, 3),
        ({"operation": "op", "path": "/a/b", "header": {"a": "b"}, "query": {"c": "d"}}, 0),
    ],
)
def test_the_effort_of_a_matcher_is_its_values_and_the_steps_of_its_pointers(
    definition: dict[str, Any], steps: int
) -> None:
    assert read_matcher(definition).steps == steps


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/0", 0),
        ("/9", 9),
        ("/10", 10),
        ("/11", "nothing"),
        ("/-1", "nothing"),
        ("/01", "nothing"),
        ("/\u0661", "nothing"),
        ("/1000000000", "nothing"),
        ("/" + "9" * 5000, "nothing"),
        ("/", "nothing"),
    ],
)
def test_a_pointer_into_an_array_is_a_whole_number_within_it(pointer: str, value: Any) -> None:
    wanted = read_matcher({"body_at": {pointer: value}})

    assert wanted.fits(RequestView("op", make_request("POST", "/x", json=list(range(11))))) is (value != "nothing")


@pytest.mark.parametrize(("segment", "is_open"), [("{a}", True), ("{}", True), ("{a", False), ("a}", False)])
def test_only_a_segment_in_braces_is_a_wildcard(segment: str, is_open: bool) -> None:
    assert path_fits(f"/v1/{segment}", "/v1/x") is is_open
    assert read_matcher({"path": f"/v1/{segment}"}).may_mean("op", "GET", "/v1/x") is is_open


def test_a_wildcard_segment_is_not_empty() -> None:
    assert not path_fits("/v1/*", "/v1/")


@pytest.mark.parametrize(
    ("definition", "may"),
    [
        ({}, True),
        ({"operation": "getFile"}, True),
        ({"operation": "other"}, False),
        ({"method": "HEAD"}, True),
        ({"method": "DELETE"}, False),
        ({"path": "/v1/files/file-1"}, True),
        ({"path": "/v1/*/file-1"}, True),
        ({"path": "/v1/files"}, False),
        ({"path": "/v2/files/{id}"}, False),
    ],
)
def test_the_operations_that_a_matcher_can_match_are_known_beforehand(definition: dict[str, Any], may: bool) -> None:
    assert read_matcher(definition).may_mean("getFile", "GET", "/v1/files/{file_id}") is may
