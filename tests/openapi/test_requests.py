"""What a request supplies, read by the document; and our own replies, judged by it."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.errors import Reason, Refusal, Violation
from mockserver.http import Request, Response, Upload
from mockserver.openapi.document import OpenApiDocument, Operation
from mockserver.openapi.operations import bare_media_type, is_json
from mockserver.openapi.requests import (
    MAX_DEPTH,
    ParsedInput,
    check_reply,
    parse_input,
)
from mockserver.openapi.security import read_token
from mockserver.sandbox.blobs import Blob

JSON = "application/json"


def make_operation(operation: dict[str, Any]) -> Operation:
    return OpenApiDocument({"openapi": "3.1.0", "paths": {"/a/{id}": {"post": operation}}}, "doc.yaml").operations[0]


def make_parameter(name: str, type: Any, location: str = "query", **more: Any) -> dict[str, Any]:
    return {"name": name, "in": location, "schema": {"type": type, **more.pop("schema", {})}, **more}


def places(violations: list[Violation]) -> list[tuple[tuple[str | int, ...], str]]:
    return [(violation.location, violation.code) for violation in violations]


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (None, None),
        ("", ""),
        ("Bearer abc", "abc"),
        ("bearer abc", "abc"),
        ("BEARER  abc ", "abc"),
        ("  Bearer abc", "abc"),
        ("Bearer a b", "a b"),
        ("Bearer", ""),
        ("Bearer ", ""),
        ("Basic YTpi", ""),
        ("abc", ""),
        ("Bearerabc", ""),
        ("Token abc", ""),
    ],
)
def test_a_token_follows_the_word_bearer(header: str | None, token: str | None) -> None:
    headers = {} if header is None else {"authorization": header}

    assert read_token(Request("GET", "/", headers=headers)) == token


# Arguments


def supplied(
    *parameters: dict[str, Any],
    query: str = "",
    path: Mapping[str, str] | None = None,
    strict: bool = False,
    **headers: str,
) -> ParsedInput:
    request = Request("POST", "/a/1", query, {name.replace("_", "-"): value for name, value in headers.items()})
    return parse_input(make_operation({"parameters": list(parameters)}), request, path or {}, strict=strict)


@pytest.mark.parametrize(
    ("type", "text", "value"),
    [
        ("integer", "7", 7),
        ("integer", "-7", -7),
        ("integer", "%2B7", 7),
        ("integer", "7.0", 7),
        ("integer", "007", 7),
        ("integer", "9" * 19, 10**19 - 1),
        ("integer", "1" + 24 * "0", 1e24),
        ("number", "1.5", 1.5),
        ("number", ".5", 0.5),
        ("number", "1e3", 1000.0),
        ("number", "7", 7.0),
        ("boolean", "true", True),
        ("boolean", "false", False),
        ("string", "7", "7"),
        ("string", "true", "true"),
        ("string", "", ""),
        (["integer", "string"], "x", "x"),
        (["integer", "null"], "7", 7),
        ("string", "a+b%20c", "a b c"),
        ("string", "%F0%9F%98%80%C3%A9", "\U0001f600é"),
        ("string", "%zz%", "%zz%"),
        ("string", "a=b", "a=b"),
        ("string", "%00", "\0"),
    ],
)
def test_an_argument_has_the_type_the_document_asks_for(type: Any, text: str, value: object) -> None:
    read = supplied(make_parameter("it", type), query=f"it={text}")

    assert read == ParsedInput({"it": value}, None, b"", [])
    assert read.arguments["it"].__class__ is value.__class__


@pytest.mark.parametrize(
    ("type", "text"),
    [("integer", each) for each in ("", "x", "1.5", "1e3", "0x1", "७", "1 ", "9" * 309, "--1", "true")]
    + [("number", each) for each in ("", "x", "inf", "nan", "1e999", "1_0", "१")]
    + [("boolean", each) for each in ("", "True", "1", "yes")],
)
def test_an_argument_of_the_wrong_type_is_rejected_by_the_schema(type: str, text: str) -> None:
    read = supplied(make_parameter("it", type), query=f"it={text}")

    assert places(read.violations) == [(("query", "it"), "type")]


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=30), type=st.sampled_from(["integer", "number"]))
def test_any_text_is_read_as_a_number_or_refused(text: str, type: str) -> None:
    read = supplied(make_parameter("it", type, "path"), path={"it": text})

    is_number = isinstance(read.arguments["it"], int | float)
    assert is_number == (read.violations == [])
    if is_number:
        assert read.arguments["it"] == float(text)


def test_a_missing_argument_is_a_violation_only_when_it_is_required() -> None:
    read = supplied(make_parameter("must", "string", required=True), make_parameter("may", "string"))

    assert read.arguments == {}
    assert places(read.violations) == [(("query", "must"), "required")]


def test_a_repeated_argument_is_a_violation() -> None:
    read = supplied(make_parameter("it", "integer"), query="it=1&it=2")

    assert places(read.violations) == [(("query", "it"), "duplicate")]
    assert read.violations[0].message == "'it' stands 2 times in the query"


def test_all_invalid_arguments_are_reported_at_once() -> None:
    read = supplied(
        make_parameter("a", "integer"), make_parameter("b", "string", required=True), query="a=x&a=y", strict=True
    )

    assert places(read.violations) == [
        (("query", "a"), "duplicate"),
        (("query", "a"), "type"),
        (("query", "b"), "required"),
    ]


def test_an_unknown_argument_is_rejected_in_strict_mode_only() -> None:
    assert supplied(make_parameter("it", "string"), query="it=1&other=2").violations == []
    assert supplied(query="%ff").violations == [], "an operation without parameters does not look"
    assert places(supplied(query="a=1&b=2&a=3", strict=True).violations) == [
        (("query", "a"), "unknown"),
        (("query", "b"), "unknown"),
    ]
    header = make_parameter("it", "string", "header")
    assert places(supplied(header, query="it=1", strict=True).violations) == [(("query", "it"), "unknown")]


@pytest.mark.parametrize(
    ("query", "words"),
    [("it=%ff", "utf-8"), ("%C3=1", "utf-8"), ("&".join(["it=1"] * 1001), "Max number of fields")],
)
def test_a_query_that_cannot_be_read_is_one_violation(query: str, words: str) -> None:
    read = supplied(make_parameter("it", "array"), query=query, strict=True)

    assert places(read.violations) == [(("query",), "syntax")]
    assert words in read.violations[0].message
    assert read.arguments == {}


def test_a_thousand_arguments_are_read() -> None:
    read = supplied(
        make_parameter("it", "array", schema={"items": {"type": "integer"}}), query="&".join(["it=1"] * 1000)
    )

    assert (read.arguments, read.violations) == ({"it": [1] * 1000}, [])


@pytest.mark.parametrize(
    ("location", "explode", "given", "value"),
    [
        ("query", None, "it=1&it=2", [1, 2]),
        ("query", True, "it=1,2", ["1,2"]),
        ("query", False, "it=1,2&it=3", [1, 2, 3]),
        ("query", None, "it=1", [1]),
        ("path", None, "1,2", [1, 2]),
        ("header", None, "1,2", [1, 2]),
        ("header", True, "1,2", [1, 2]),
        ("cookie", None, "it=1; it=2", [1, 2]),
        ("cookie", False, "it=1,2", [1, 2]),
    ],
)
def test_an_array_is_repeated_arguments_or_separated_by_commas(
    location: str, explode: bool | None, given: str, value: list[Any]
) -> None:
    stated = {} if explode is None else {"explode": explode}
    parameter = make_parameter("it", "array", location, schema={"items": {"type": "integer"}}, **stated)
    query, it, cookie = (given if location == each else "" for each in ("query", "header", "cookie"))

    read = supplied(parameter, query=query, path={"it": given}, it=it, cookie=cookie)

    assert read.arguments == {"it": value}


def test_items_without_a_type_stay_text() -> None:
    assert supplied(make_parameter("it", "array"), query="it=1").arguments == {"it": ["1"]}


def test_headers_and_cookies_are_arguments_too() -> None:
    read = supplied(
        make_parameter("X-Trace", "integer", "header", required=True),
        make_parameter("session", "string", "cookie"),
        make_parameter("absent", "string", "header", required=True),
        make_parameter("gone", "string", "cookie", required=True),
        make_parameter("nowhere", "string", "path", required=True),
        x_trace="7",
        cookie="a=b; session=x=y ; junk;",
    )

    assert read.arguments == {"x-trace": 7, "session": "x=y"}
    assert places(read.violations) == [
        (("header", "absent"), "required"),
        (("cookie", "gone"), "required"),
        (("path", "nowhere"), "required"),
    ]


# The body

BODY = {"schema": {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}}


def body_of(
    body: bytes, media_type: str | None = JSON, *, required: bool = True, contents: Mapping[str, Any] | None = None
) -> ParsedInput:
    operation = make_operation({"requestBody": {"required": required, "content": contents or {JSON: BODY}}})
    headers = {} if media_type is None else {"content-type": media_type}
    return parse_input(operation, Request("POST", "/a/1", "", headers, body), {}, strict=False)


@pytest.mark.parametrize(
    "media_type",
    [JSON, "application/json; charset=utf-8", "Application/JSON", " application/json ", "APPLICATION/JSON;a"],
)
def test_json_is_read_under_every_json_media_type(media_type: str) -> None:
    assert body_of(b'{"a": "x"}', media_type) == ParsedInput({}, {"a": "x"}, b'{"a":"x"}', [])


@pytest.mark.parametrize(("media_type", "came"), [(None, "missing"), ("", "missing"), ("text/plain;x", "text/plain")])
def test_another_media_type_is_rejected(media_type: str | None, came: str) -> None:
    with pytest.raises(Refusal) as caught:
        body_of(b"{}", media_type)

    assert caught.value.reason is Reason.UNSUPPORTED_MEDIA_TYPE
    assert places(list(caught.value.violations)) == [(("header", "Content-Type"), "media-type")]
    assert caught.value.violations[0].message == f"Content-Type is {came}; wanted {JSON}"


def test_a_long_media_type_is_shortened_and_argument_errors_are_reported_too() -> None:
    operation = make_operation(
        {
            "requestBody": {"content": {JSON: {}, "text/csv": {}}},
            "parameters": [make_parameter("b", "string", required=True)],
        }
    )

    with pytest.raises(Refusal) as caught:
        parse_input(operation, Request("POST", "/", "", {"content-type": "x" * 9999}, b""), {}, strict=False)

    assert places(list(caught.value.violations)) == [
        (("query", "b"), "required"),
        (("header", "Content-Type"), "media-type"),
    ]
    assert len(caught.value.violations[1].message) < 200
    assert caught.value.violations[1].rule == {"wanted": f"{JSON} or text/csv"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'a': 1}",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1e400}',
        b'{"a": "\\ud800"}',
        b'{"a": "\xff"}',
        b'\xef\xbb\xbf{"a": "x"}',
        b'{"a": "x"} x',
        b'{"a": "\x00"}',
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    ],
)
def test_a_body_that_is_not_json_is_one_violation(body: bytes) -> None:
    read = body_of(body)

    assert places(read.violations) == [(("body",), "syntax")]
    assert read.violations[0].message.startswith("not JSON: ")
    assert len(read.violations[0].message) < 200
    assert read.body is None


@pytest.mark.parametrize("depth", [MAX_DEPTH, 252, 1000])
@pytest.mark.parametrize(("opening", "end", "closing"), [(b"[", b"", b"]"), (b'{"a":', b"1", b"}")])
def test_json_that_cannot_be_encoded_again_is_a_violation(
    depth: int, opening: bytes, end: bytes, closing: bytes
) -> None:
    read = body_of(b'{"a": "x", "b": ' + opening * depth + end + closing * depth + b"}")

    assert places(read.violations) == [(("body",), "depth")]


def test_many_brackets_side_by_side_are_not_nesting() -> None:
    read = body_of(b'{"a": "x", "b": [' + b"[], " * 1000 + b"{}]}")

    assert read.violations == []
    assert orjson.dumps(read.body)


@pytest.mark.parametrize("body", [b"[]", b"null", b"5", b'"text"', b"true"])
def test_a_body_that_is_no_object_is_rejected_by_the_schema(body: bytes) -> None:
    assert places(body_of(body).violations) == [(("body",), "type")]


def test_the_last_of_repeated_keys_counts() -> None:
    assert body_of(b'{"a": 1, "a": "x"}').body == {"a": "x"}


def test_violations_say_where_in_the_body() -> None:
    read = body_of(b'{"a": 5}')

    assert places(read.violations) == [(("body", "a"), "type")]
    assert read.body == {"a": 5}


def test_a_body_that_is_not_required_may_be_missing() -> None:
    assert body_of(b"", None, required=False) == ParsedInput({}, None, b"", [])
    assert body_of(b"", JSON, required=False) == ParsedInput({}, None, b"", [])
    with pytest.raises(Refusal):
        body_of(b"{}", None, required=False)


@pytest.mark.parametrize(
    ("documented", "media_type"),
    [
        ("text/csv", "text/csv; header=present"),
        ("text/*", "text/csv"),
        ("*/*", "x/y"),
        ("a/b; c=d", "a/b; c=d"),
        ("Text/CSV", "text/csv"),
        ("a/b;c=d", "a/b"),
    ],
)
def test_other_media_types_are_kept_as_bytes(documented: str, media_type: str) -> None:
    read = body_of(b"\xff\x00", media_type, contents={documented: {"schema": {"type": "string"}}})

    assert read == ParsedInput({}, b"\xff\x00", b"", [])


@pytest.mark.parametrize("documented", ["application/json; charset=utf-8", "application/merge-patch+json"])
def test_json_has_many_names(documented: str) -> None:
    read = body_of(b'{"a": 1}', documented, contents={documented: BODY})

    assert places(read.violations) == [(("body", "a"), "type")]


def test_json_without_a_schema_is_only_parsed() -> None:
    assert body_of(b"[1]", contents={JSON: {}}) == ParsedInput({}, [1], b"[1]", [])


def test_an_operation_without_a_body_ignores_one() -> None:
    read = parse_input(make_operation({}), Request("POST", "/", "", {}, b"\xff"), {}, strict=True)

    assert read == ParsedInput({}, None, b"", [])


@given(body=st.binary(max_size=60) | st.text().map(lambda text: text.encode(errors="surrogatepass")))
def test_any_bytes_are_a_value_or_violations(body: bytes) -> None:
    read = body_of(body)

    assert read.violations or read.body["a"]


def test_media_types_are_compared_without_parameters() -> None:
    assert bare_media_type("Text/HTML ; charset=x;y") == "text/html"
    assert [is_json(each) for each in (JSON, "application/problem+json", "A/B+JSON; x", "text/json", "")] == [
        True, True, True, False, False,
    ]  # fmt: skip


# Our own replies

REPLIES = make_operation(
    {
        "responses": {
            "200": {"content": {JSON: BODY, "text/plain": {"schema": {"maxLength": 3}}, "application/zip": {}}},
            "202": {"content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}},
            "204": {"description": "nothing"},
            "4XX": {"content": {"text/plain": {}}},
        }
    }
)


@pytest.mark.parametrize(
    "response",
    [
        Response(200, JSON, b'{"a": "x"}'),
        Response(200, "application/json; charset=utf-8", b'{"a": "x"}'),
        Response(200, "text/plain", b"abc"),
        Response(200, "application/zip", iter([b"PK"])),
        Response(200, JSON, iter([b"{"])),
        Response(202, "image/png", b"\x89PNG\xff"),
        Response(204),
        Response(418, "text/plain", b"teapot"),
    ],
)
def test_a_documented_response_has_no_violations(response: Response) -> None:
    assert check_reply(REPLIES, response) == []


@pytest.mark.parametrize(
    ("response", "location", "code"),
    [
        (Response(201), ("status",), "undocumented"),
        (Response(500, "text/plain", b"x"), ("status",), "undocumented"),
        (Response(200, "text/html", b"x"), ("header", "Content-Type"), "undocumented"),
        (Response(200), ("header", "Content-Type"), "undocumented"),
        (Response(204, "text/plain", b"x"), ("header", "Content-Type"), "undocumented"),
        (Response(404, JSON, b"{}"), ("header", "Content-Type"), "undocumented"),
        (Response(200, JSON, b'{"a": 1}'), ("body", "a"), "type"),
        (Response(200, JSON, b"{"), ("body",), "syntax"),
        (Response(200, JSON, b""), ("body",), "syntax"),
        (Response(200, "text/plain", b"abcd"), ("body",), "maxLength"),
    ],
)
def test_an_undocumented_response_is_a_violation(response: Response, location: tuple[str, ...], code: str) -> None:
    assert places(check_reply(REPLIES, response)) == [(location, code)]


def test_an_undocumented_status_names_the_operation() -> None:
    (violation,) = check_reply(REPLIES, Response(201))

    assert violation.message == "POST /a/{id} does not document the status 201"


# Forms


FORM_SCHEMA = {"$ref": "#/components/schemas/Form"}
FORM = {
    "type": "object",
    "required": ["file", "purpose"],
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "purpose": {"$ref": "#/components/schemas/Purpose"},
        "life[seconds]": {"type": "integer", "minimum": 3600},
    },
}
UPLOAD = Upload("rivers.jsonl", "", Blob.in_memory(b"{}"))


def form_of(form: Mapping[str, str | Upload] | None, schema: Any = FORM_SCHEMA) -> ParsedInput:
    content = {} if schema is None else {"schema": schema}
    document = {
        "openapi": "3.1.0",
        "components": {
            "schemas": {
                "Form": FORM,
                "Purpose": {"type": "string", "enum": ["batch", "7"]},
                "Loop": {"$ref": "#/components/schemas/Loop"},
            }
        },
        "paths": {"/a": {"post": {"requestBody": {"required": True, "content": {"multipart/form-data": content}}}}},
    }
    headers = {"content-type": "Multipart/Form-Data; boundary=x"}
    request = Request("POST", "/a", "", headers, form=form)
    return parse_input(OpenApiDocument(document, "doc.yaml").operations[0], request, {}, strict=False)


def test_the_fields_of_a_form_have_the_types_the_document_asks_for() -> None:
    read = form_of({"file": UPLOAD, "purpose": "7", "life[seconds]": "3600", "unknown": "7"})

    typed = {"file": UPLOAD, "purpose": "7", "life[seconds]": 3600, "unknown": "7"}
    assert read == ParsedInput({}, typed, b"", [])
    assert read.body["file"] is UPLOAD


@pytest.mark.parametrize(
    ("changes", "broken"),
    [
        ({"purpose": "batches"}, [(("body", "purpose"), "enum")]),
        ({"life[seconds]": "3599"}, [(("body", "life[seconds]"), "minimum")]),
        ({"life[seconds]": "an hour"}, [(("body", "life[seconds]"), "type")]),
        ({"file": "text"}, [(("body", "file"), "missing_filename")]),
        ({"file": UPLOAD._replace(filename="")}, [(("body", "file"), "missing_filename")]),
        ({"purpose": UPLOAD._replace(filename="batch")}, [(("body", "purpose"), "unexpected_file")]),
    ],
)
def test_every_field_of_a_form_is_validated(changes: dict[str, str | Upload], broken: list[Any]) -> None:
    good: dict[str, str | Upload] = {"file": UPLOAD, "purpose": "batch"}

    assert places(form_of(good | changes).violations) == broken


def test_missing_fields_of_a_form_are_reported() -> None:
    assert places(form_of({}).violations) == [(("body",), "required")] * 2


def test_a_form_that_could_not_be_read_is_a_violation() -> None:
    read = form_of(None)

    assert places(read.violations) == [(("body",), "invalid_multipart")]
    assert read.violations[0].message == "The form could not be read: it is not multipart/form-data."
    assert read.body is None


@pytest.mark.parametrize("schema", [None, {}, {"properties": {"count": {}}}])
def test_a_form_without_a_schema_is_read_as_text(schema: Any) -> None:
    fields: dict[str, str | Upload] = {"file": UPLOAD, "count": "7"}

    assert form_of(fields, schema) == ParsedInput({}, fields, b"", [])


@pytest.mark.parametrize("reference", ["#/components/schemas/Purpose/enum/0", "#nowhere", "#/components/schemas/Loop"])
def test_a_field_whose_reference_leads_to_no_definition_stays_text(reference: str) -> None:
    schema = {"properties": {"count": {"$ref": reference}}}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mockserver.openapi.schema.Schema.violations", lambda *_: [])  # no such document is served
        assert form_of({"count": "7"}, schema).body == {"count": "7"}
