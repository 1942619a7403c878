"""Arguments of path, query, headers and cookies in the styles that a document may give them."""

from typing import Any
from urllib.parse import parse_qs

import pytest

from mockserver.errors import Violation
from mockserver.http import Request
from mockserver.openapi.operations import Operation, Parameter
from mockserver.openapi.schema import Schema
from mockserver.openapi.security import SecurityScheme
from mockserver.openapi.wire.arguments import known_arguments, read_styled
from mockserver.openapi.wire.typed import NOTHING

TEXT, WHOLE = {"type": "string"}, {"type": "integer"}
LIST = {"type": "array", "items": WHOLE}
THING = {"type": "object", "properties": {"a": WHOLE, "b": TEXT}}


def parameter(
    location: str, schema: Any, *, style: str = "", explode: bool = False, media_type: str = "", name: str = "p"
) -> Parameter:
    definition = {"name": name, "in": location, "schema": schema}
    return Parameter(name, location, False, explode, definition, Schema(schema, {}), style, media_type)


def read(
    declared: Parameter, path: str = "", query: str = "", **headers: str
) -> tuple[Any, list[tuple[Any, str, str]]]:
    violations: list[Violation] = []
    request = Request("GET", "/", query, headers, b"")
    value = read_styled(
        declared, request, {"p": path} if path else {}, parse_qs(query, keep_blank_values=True), violations
    )
    return value, [(each.location, each.code, each.message) for each in violations]


@pytest.mark.parametrize(
    ("schema", "style", "explode", "text", "value"),
    [
        (WHOLE, "", False, "5", 5),
        (TEXT, "", False, "5", "5"),
        (LIST, "", False, "1,2", [1, 2]),
        (LIST, "label", False, ".1,2", [1, 2]),
        (LIST, "label", True, ".1.2", [1, 2]),
        (LIST, "matrix", False, ";p=1,2", [1, 2]),
        (LIST, "matrix", True, ";p=1;p=2", [1, 2]),
        (WHOLE, "matrix", False, ";p=5", 5),
        (THING, "", False, "a,1,b,x", {"a": 1, "b": "x"}),
        (THING, "", True, "a=1,b=x", {"a": 1, "b": "x"}),
        (THING, "matrix", False, ";p=a,1", {"a": 1}),
        (THING, "matrix", True, ";a=1;b=x", {"a": 1, "b": "x"}),
        ({"type": ["string", "object"]}, "", False, "a,1", "a,1"),
    ],
)
def test_an_argument_of_the_path(schema: Any, style: str, explode: bool, text: str, value: Any) -> None:
    assert read(parameter("path", schema, style=style, explode=explode), text) == (value, [])


def test_a_missing_argument_is_none() -> None:
    for location in ("path", "query", "header", "cookie"):
        assert read(parameter(location, TEXT)) == (NOTHING, [])


@pytest.mark.parametrize(
    ("schema", "style", "explode", "query", "value"),
    [
        (WHOLE, "", True, "p=5", 5),
        (LIST, "form", True, "p=1&p=2", [1, 2]),
        (LIST, "form", False, "p=1,2", [1, 2]),
        (LIST, "pipeDelimited", False, "p=1|2", [1, 2]),
        (THING, "form", True, "a=1&b=x&c=3", {"a": 1, "b": "x"}),
        (THING, "deepObject", True, "p[a]=1", {"a": 1}),
    ],
)
def test_an_argument_of_the_query(schema: Any, style: str, explode: bool, query: str, value: Any) -> None:
    assert read(parameter("query", schema, style=style, explode=explode), query=query) == (value, [])


@pytest.mark.parametrize(
    ("schema", "explode", "text", "value"),
    [
        (WHOLE, False, "5", 5),
        (LIST, False, "1, 2 ,3", [1, 2, 3]),
        (THING, True, "a=1,b=x", {"a": 1, "b": "x"}),
        (TEXT, False, "", ""),
        (TEXT, False, " x", " x"),
    ],
)
def test_an_argument_of_a_header(schema: Any, explode: bool, text: str, value: Any) -> None:
    assert read(parameter("header", schema, explode=explode), p=text) == (value, [])


@pytest.mark.parametrize(
    ("schema", "explode", "cookie", "value"),
    [
        (WHOLE, False, "p=5; q=6", 5),
        (WHOLE, False, "q=6;p=5", 5),
        (TEXT, False, "p=a=b", "a=b"),
        (TEXT, False, "p", NOTHING),
        (LIST, False, "p=1,2", [1, 2]),
        (LIST, True, "p=1; p=2", [1, 2]),
    ],
)
def test_an_argument_of_a_cookie(schema: Any, explode: bool, cookie: str, value: Any) -> None:
    assert read(parameter("cookie", schema, style="form", explode=explode), cookie=cookie) == (value, [])


def test_an_argument_in_json_is_its_value() -> None:
    declared = parameter("query", THING, media_type="application/json")
    assert read(declared, query='p={"a":"x"}') == ({"a": "x"}, [])
    assert read(declared) == (NOTHING, [])
    assert read(declared, query="p={") == (
        NOTHING,
        [(("query", "p"), "style", "'p': unexpected end of data: line 1 column 2 (char 1)")],
    )
    assert read(parameter("query", LIST, media_type="text/plain"), query="p=1") == ("1", [])


@pytest.mark.parametrize(("location", "where"), [("query", "query"), ("cookie", "cookie")])
def test_a_scalar_that_stands_twice_is_a_violation(location: str, where: str) -> None:
    given = {"query": "p=1&p=2"} if location == "query" else {"cookie": "p=1; p=2"}

    assert read(parameter(location, WHOLE), **given) == (
        2,
        [((location, "p"), "duplicate", f"'p' stands several times in the {where}")],
    )


def test_a_text_in_another_style_is_a_violation() -> None:
    assert read(parameter("path", LIST, style="label"), "1") == (
        NOTHING,
        [(("path", "p"), "style", "'p': '1' does not begin with '.', as the style label does")],
    )


def test_the_names_that_an_operation_knows_in_a_query() -> None:
    key = SecurityScheme("apikey", "api_key", "query")
    header = SecurityScheme("apikey", "X-Key")
    operation = Operation(
        "x", "GET", "/", "", "",
        (
            parameter("path", WHOLE, name="path"),
            parameter("query", WHOLE, name="plain"),
            parameter("query", THING, style="form", explode=True, name="free"),
            parameter("query", object_with("c"), explode=True, name="default"),
            parameter("query", object_with("d"), style="form", name="closed"),
            parameter("query", object_with("e"), style="deepObject", explode=True, name="deep"),
            parameter("header", WHOLE, name="x-header"),
        ),
        None, False, {}, security=((key, header),),
    )  # fmt: skip

    assert known_arguments(operation, {"deep[x]": ["1"], "deeper[x]": ["1"], "other": ["1"]}) == {
        "plain", "free", "a", "b", "default", "c", "closed", "deep", "deep[x]", "api_key",
    }  # fmt: skip


def object_with(name: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: TEXT}}
