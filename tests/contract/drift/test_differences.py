"""What counts as a difference between a live answer and the sandbox's, pair by pair."""

from typing import Any

import orjson
import pytest

from mockserver.contract.drift.differences import Difference, Pair, find_differences, json_type
from mockserver.errors import Violation
from mockserver.http import Response
from mockserver.openapi.document import OpenApiDocument

JSON = "application/json"
STATE = {"type": "string", "enum": ["new", "done"]}
OPERATION = OpenApiDocument(
    {
        "openapi": "3.1.0",
        "paths": {
            "/jobs": {
                "get": {
                    "operationId": "readJobs",
                    "responses": {
                        "200": {
                            "description": "Jobs.",
                            "content": {
                                JSON: {
                                    "schema": {
                                        "type": "object",
                                        "properties": {
                                            "state": STATE,
                                            "data": {
                                                "type": "array",
                                                "items": {"type": "object", "properties": {"kind": {"const": "job"}}},
                                            },
                                        },
                                    }
                                }
                            },
                        }
                    },
                }
            }
        },
    },
    "doc.yaml",
).operations[0]


def answer(value: Any = None, status: int = 200, media_type: str = JSON, **headers: str) -> Response:
    body = value if isinstance(value, bytes) else orjson.dumps(value)
    return Response(status, media_type, body, tuple((name.replace("_", "-"), each) for name, each in headers.items()))


def found(live: Response, sandbox: Response, **more: Any) -> list[Difference]:
    return find_differences([Pair(OPERATION, "GET /jobs (limit at 5)", live, sandbox, **more)])


def places(differences: list[Difference]) -> set[tuple[str, str, str, str]]:
    return {(each.kind, each.place, each.live, each.sandbox) for each in differences}


def test_equal_answers_have_no_differences() -> None:
    assert found(answer({"a": 1}, x_id="5"), answer({"a": 2}, x_id="6")) == []


@pytest.mark.parametrize(("faults", "kind"), [(0, "status"), (1, "status"), (2, "check-order")])
def test_another_status_shows_the_order_of_checks_only_where_two_things_are_wrong(faults: int, kind: str) -> None:
    (difference,) = found(answer({"a": 1}, 422), answer({"b": 1}, 400), faults=faults)

    assert (difference.kind, difference.place, difference.live, difference.sandbox) == (
        kind,
        "limit at 5",
        "422",
        "400",
    )
    assert (difference.seen, difference.of, difference.confidence) == (1, 1, 1.0)


def test_another_media_type_is_a_difference_unless_one_side_has_no_body() -> None:
    page, text = answer(b"<p>", media_type="text/html"), answer(b"p", media_type="text/plain")

    assert places(found(page, text)) == {("media-type", "200", "text/html", "text/plain")}
    assert found(answer(b"", media_type="text/html"), text) == []
    assert found(page, answer(b"", media_type="text/plain")) == []
    assert found(answer({}, media_type="Application/JSON; charset=utf-8"), answer({})) == []


def test_the_wording_of_an_error_is_compared_without_what_varies() -> None:
    same = found(
        answer({"error": {"message": "No job 'a' of 5", "id": "x"}}, 404),
        answer({"error": {"message": "No job 'b' of 61", "id": "y"}}, 404),
    )
    other = found(
        answer({"error": {"message": "None", "note": "a"}}, 404), answer({"error": {"message": "No", "note": "b"}}, 404)
    )
    plain = found(answer(b"Gone\n", 410, "text/plain"), answer(b"Left", 410, "text/plain"))

    assert same == []
    assert places(other) == {("error-wording", "404 error.message", "None", "No")}
    assert places(plain) == {("error-wording", "410", "Gone", "Left")}


@pytest.mark.parametrize("status", [200, 399])
def test_the_wording_of_a_success_is_no_difference(status: int) -> None:
    assert found(answer({"message": "a"}, status), answer({"message": "b"}, status)) == []


def test_the_wording_of_the_lowest_error_status_is_compared() -> None:
    assert [each.kind for each in found(answer({"detail": "a"}, 400), answer({"detail": "b"}, 400))] == [
        "error-wording"
    ]


def test_headers_of_the_api_are_compared_and_those_of_connections_are_not() -> None:
    differences = found(answer({}, x_new="1", Date="now", x_mock_y="1"), answer({}, x_old="1", Server="me"))

    assert places(differences) == {
        ("header-added", "200 x-new", "x-new", ""),
        ("header-removed", "200 x-old", "", "x-old"),
    }


INCIDENTAL = """accept-ranges Access-Control-Allow-Origin age alt-svc cache-control connection content-encoding
content-length content-type date ETag keep-alive last-modified server set-cookie via strict-transport-security
transfer-encoding vary x-content-type-options content-security-policy nel report-to server-timing X-Powered-By
X-Mock-Source"""


@pytest.mark.parametrize("name", INCIDENTAL.split())
def test_a_header_of_servers_and_connections_is_no_difference(name: str) -> None:
    assert found(answer({}, 200, JSON, **{name: "1"}), answer({})) == []
    assert found(answer({}), answer({}, 200, JSON, **{name: "1"})) == []


def test_members_and_types_are_compared_at_each_place() -> None:
    live = {"data": [{"id": "5", "more": {"x": 1}}], "n": 1.5, "same": None}
    sandbox = {"data": [{"id": 5, "less": [1]}], "n": 1, "same": "text"}

    differences = found(answer(live), answer(sandbox))

    assert places(differences) == {
        ("type-changed", "200 data[].id", "string", "integer"),
        ("type-changed", "200 n", "number", "integer"),
        ("field-added", "200 data[].more", "object", ""),
        ("field-removed", "200 data[].less", "", "array"),
    }
    schemas = {each.place: each.schema for each in differences}
    assert schemas["200 data[].id"] == {"type": "string"}
    assert schemas["200 data[].more"] == {"type": "object", "properties": {"x": {"type": "integer"}}}


def test_a_whole_number_is_no_difference_where_the_sandbox_has_numbers() -> None:
    assert found(answer({"n": 1}), answer({"n": 1.5})) == []


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        (None, {}),
        (True, {"type": "boolean"}),
        (1, {"type": "integer"}),
        (1.5, {"type": "number"}),
        ([], {"type": "array"}),
        ([["a"]], {"type": "array", "items": {"type": "array", "items": {"type": "string"}}}),
        ({"a": None}, {"type": "object", "properties": {"a": {}}}),
    ],
)
def test_a_new_member_is_proposed_with_its_type_and_without_its_value(value: Any, schema: Any) -> None:
    (difference,) = [each for each in found(answer({"new": value}), answer({"a": 1})) if each.place == "200 new"]

    assert difference.schema == schema
    assert difference.live == json_type(value)


def test_an_empty_list_and_a_missing_parent_claim_nothing() -> None:
    assert found(answer({"data": []}), answer({"data": [{"id": 1}]})) == []
    assert found(answer({"data": [{"id": 1}]}), answer({"data": []})) == []
    assert found(answer({"one": None}), answer({"one": {"id": 1}})) == []


def test_values_outside_a_documented_enumeration_are_listed() -> None:
    differences = found(answer({"state": "gone", "data": [{"kind": "task"}]}), answer({"state": "new", "data": []}))

    assert places(differences) == {
        ("enum-grown", "200 state", "gone", "new, done"),
        ("enum-grown", "200 data[].kind", "task", "job"),
    }


def test_twenty_new_values_are_listed_and_long_ones_are_not() -> None:
    many = [Pair(OPERATION, "", answer({"state": f"s{n:02}"}), answer({"state": "new"})) for n in range(21)]
    lengths = [Pair(OPERATION, "", answer({"state": "x" * n}), answer({"state": "new"})) for n in (300, 301)]

    (grown,) = [each for each in find_differences(many) if each.kind == "enum-grown"]
    (long,) = [each for each in find_differences(lengths) if each.kind == "enum-grown"]

    assert grown.live.split(", ") == [f"s{n:02}" for n in range(20)]
    assert long.live == "x" * 300


def test_what_the_document_does_not_allow_in_a_live_answer_is_a_difference() -> None:
    violation = Violation(("body", "data", 0, "id"), "type", "5 is not text")

    assert places(found(answer({}), answer({}), violations=(violation,))) == {
        ("undocumented", "200 data.0.id", "5 is not text", "")
    }


def test_a_difference_says_in_how_many_answers_it_was_seen() -> None:
    pairs = [
        Pair(OPERATION, "GET /jobs (1)", answer({}, x_new="1"), answer({})),
        Pair(OPERATION, "GET /jobs (2)", answer({}, x_new="1"), answer({})),
        Pair(OPERATION, "GET /jobs (3)", answer({}), answer({})),
        Pair(OPERATION, "GET /jobs (4)", answer({}, 404), answer({})),
    ]

    header, status = find_differences(pairs)

    assert (header.place, header.seen, header.of, header.example) == ("200 x-new", 2, 3, "GET /jobs (1)")
    assert (status.place, status.seen, status.of, status.confidence) == ("4", 1, 4, 0.25)


def test_a_body_that_is_no_json_is_compared_only_by_its_media_type() -> None:
    assert found(answer(b"{", 200), answer(b"[", 200)) == []
    assert found(answer(b"a", 200, "text/plain"), answer(b"b", 200, "text/plain")) == []


def test_members_are_counted_by_the_objects_that_could_have_had_them() -> None:
    ours = answer({"data": [{"id": 1, "old": 1}]})
    pairs = [
        Pair(OPERATION, "GET /jobs (1)", answer({}, 500), ours),
        Pair(OPERATION, "GET /jobs (2)", answer({"data": [{"id": "a", "new": 1}, {"id": 2}, {"id": 3}]}), ours),
        Pair(OPERATION, "GET /jobs (3)", answer({"data": [{"id": 4, "new": "x"}]}), ours),
    ]

    found = {(each.kind, each.place): each for each in find_differences(pairs)}

    added, changed = found["field-added", "200 data[].new"], found["type-changed", "200 data[].id"]
    removed = found["field-removed", "200 data[].old"]
    assert (added.seen, added.of, added.live, added.confidence) == (2, 4, "integer or string", 0.5)
    assert (changed.seen, changed.of, changed.live, changed.sandbox) == (1, 4, "string", "integer")
    assert (removed.seen, removed.of, removed.confidence) == (4, 4, 1.0)
    assert {each.example for each in (added, changed, removed)} == {"GET /jobs (2)"}
    assert added.schema == {"type": "integer"}


def test_values_of_an_enumeration_are_counted() -> None:
    states = ("new", "gone", "lost", "gone")
    pairs = [Pair(OPERATION, "GET /jobs", answer({"state": each}), answer({"state": "new"})) for each in states]

    (grown,) = find_differences(pairs)

    assert (grown.live, grown.seen, grown.of, grown.schema) == ("gone, lost", 2, 3, ["gone", "lost"])


def test_a_difference_that_could_not_be_seen_has_no_confidence() -> None:
    assert Difference("status", "a", "", "", "").confidence == 0.0


def test_only_texts_that_both_sides_have_are_compared() -> None:
    live = answer({"error": {"message": "a", "code": "x"}}, 400)

    assert places(found(live, answer({"error": {"message": "b", "type": "y"}}, 400))) == {
        ("error-wording", "400 error.message", "a", "b"),
        ("field-added", "400 error.code", "string", ""),
        ("field-removed", "400 error.type", "", "string"),
    }


def test_json_of_another_media_type_is_compared_as_a_text() -> None:
    differences = found(answer(b'{"detail":true}', 400, "text/plain"), answer(b'{"detail":false}', 400, "text/plain"))

    assert places(differences) == {("error-wording", "400", '{"detail":true}', '{"detail":false}')}


def test_300_characters_of_a_wording_are_compared() -> None:
    long = "word " * 60

    assert found(answer(long.encode() + b"a", 400, "text/plain"), answer(long.encode() + b"b", 400, "text/plain")) == []
    assert found(answer({"detail": long + "a"}, 400), answer({"detail": long + "b"}, 400)) == []
    assert [
        each.kind for each in found(answer({"detail": long[1:] + "a"}, 400), answer({"detail": long[1:] + "b"}, 400))
    ] == ["error-wording"]


def test_a_wording_that_the_sandbox_has_made_up_is_not_compared() -> None:
    made_up = answer({"detail": "b"}, 400)._replace(source="generated")

    assert found(answer({"detail": "a"}, 400), made_up) == []
    assert found(answer({"detail": "a"}, 400), answer({"detail": "b"}, 400, x_mock_source="generated")) == []
