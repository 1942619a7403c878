"""Which requests `verify` plans from a document, and what they cost."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import make_document, write_json
from foreign import foreign_engine

from mockserver.contract.live.plan import NO_SUCH, PlannedRequest, Planner, credential_headers, price_of
from mockserver.errors import SpecError
from mockserver.openapi.document import OpenApiDocument

JSON = "application/json"
OK = {"200": {"description": "Fine."}}
ITEM = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 4},
        "tags": {"type": "array", "maxItems": 3, "items": {"type": "string"}},
        "text": {"type": "string", "maxLength": 5001},
        "none": {"type": "array", "maxItems": 2},
        "n": {"type": "integer", "maximum": 5},
    },
}
EXAMPLE = {"name": "ab", "tags": ["x"], "text": "t", "none": [], "n": 1}
LIMIT_PARAMETER = {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 20}, "example": 7}
ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "example": "item-1"}}
PATHS: dict[str, Any] = {
    "/items": {
        "get": {
            "operationId": "listItems",
            "parameters": [
                LIMIT_PARAMETER,
                {"name": "kind", "in": "query", "required": True, "schema": {"type": "boolean", "example": True}},
                {"name": "plain", "in": "query", "schema": {"type": "string"}},
            ],
            "responses": OK,
        },
        "post": {
            "operationId": "addItem",
            "requestBody": {"content": {JSON: {"schema": ITEM, "examples": {"a": {"value": EXAMPLE}}}}},
            "responses": OK,
        },
    },
    "/items/{id}": {
        "get": {"operationId": "readItem", "parameters": [ID], "responses": OK},
        "delete": {"operationId": "dropItem", "parameters": [ID], "responses": OK},
    },
    "/status": {
        "get": {
            "operationId": "status",
            "security": [],
            "parameters": [{"name": "id", "in": "query", "required": True, "schema": {"default": "a b"}}],
            "responses": OK,
        }
    },
    "/notes": {
        "post": {
            "operationId": "addNote",
            "requestBody": {
                "content": {
                    "image/png": {"schema": {"type": "string"}},
                    "text/plain": {"example": "note"},
                    JSON: {"example": {"never": "sent"}},
                }
            },
            "responses": OK,
        }
    },
}
SECURITY = {
    "security": [{"token": []}],
    "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
}


@pytest.fixture(scope="module")
def planner(tmp_path_factory: pytest.TempPathFactory) -> Planner:
    engine = foreign_engine(make_document(PATHS, **SECURITY), tmp_path_factory.mktemp("plan"))
    return Planner([each for each in engine.services if each.operation.is_foreign])


def shown(each: PlannedRequest) -> tuple[str, str, str, int]:
    return f"{each.operation.method} {each.target}", each.origin, each.situation, each.faults


def test_each_operation_is_requested_with_its_examples(planner: Planner) -> None:
    found = list(planner.examples())

    assert {(*shown(each), each.media_type, str(each.body)) for each in found} == {
        ("GET /items?kind=true", "example", "valid", 0, "", "None"),
        ("POST /items", "example", "valid", 0, JSON, str(EXAMPLE)),
        ("GET /items/item-1", "example", "valid", 0, "", "None"),
        ("DELETE /items/item-1", "example", "valid", 0, "", "None"),
        ("GET /status?id=a+b", "example", "valid", 0, "", "None"),
        ("POST /notes", "example", "valid", 0, "text/plain", "note"),
    }
    assert all(each.has_credential and not each.of_other_account for each in found)


def test_reads_are_probed_without_a_credential_an_argument_or_a_known_id(planner: Planner) -> None:
    found = {(*shown(each), each.has_credential) for each in planner.probes()}

    assert found == {
        ("GET /items?kind=true", "probe", "no credential", 1, False),
        ("GET /items", "probe", "no credential, no argument", 2, False),
        ("GET /items", "probe", "no argument", 1, True),
        ("GET /items/item-1", "probe", "no credential", 1, False),
        (f"GET /items/{NO_SUCH}", "probe", "unknown id", 1, True),
        (f"GET /status?id={NO_SUCH}", "probe", "unknown id", 1, True),
        ("GET /status", "probe", "no argument", 1, True),
    }


def test_optional_arguments_with_an_example_are_tried(planner: Planner, tmp_path: Path) -> None:
    examples = {"name": "to", "in": "query", "schema": {"type": "string", "examples": ["x y", "z"]}}
    engine = foreign_engine(make_document({"/a": {"get": {"parameters": [examples], "responses": OK}}}), tmp_path)

    assert [shown(each) for each in planner.arguments()] == [
        ("GET /items?kind=true&limit=7", "example", "with limit", 0)
    ]
    assert [shown(each) for each in Planner(engine.services).arguments() if each.operation.is_foreign] == [
        ("GET /a?to=x+y", "example", "with to", 0)
    ]


def test_documented_limits_are_tried_at_and_beyond(planner: Planner) -> None:
    found = [(*shown(each), each.body) for each in planner.limits()]

    assert found == [
        ("GET /items?kind=true&limit=20", "limit", "limit at 20", 0, None),
        ("GET /items?kind=true&limit=21", "limit", "limit beyond 20", 1, None),
        ("POST /items", "limit", "name at 4", 0, {**EXAMPLE, "name": "abab"}),
        ("POST /items", "limit", "name beyond 4", 1, {**EXAMPLE, "name": "ababa"}),
        ("POST /items", "limit", "tags at 3", 0, {**EXAMPLE, "tags": ["x"] * 3}),
        ("POST /items", "limit", "tags beyond 3", 1, {**EXAMPLE, "tags": ["x"] * 4}),
    ]


def operation_with(price: Any, statuses: tuple[str, ...] = ("200",)) -> Any:
    operation: dict[str, Any] = {"operationId": "pay", "responses": {each: {"description": ""} for each in statuses}}
    if price is not None:
        operation["x-mock-price"] = price
    return OpenApiDocument(make_document({"/pay": {"post": operation}}), "doc.yaml").operations[0]


@pytest.mark.parametrize(
    ("price", "statuses", "query", "body", "cost"),
    [
        (None, ("200",), {}, None, (0.0, "credits")),
        (None, ("200", "402"), {}, None, (1.0, "credits")),
        ({"amount": 5}, ("200", "402"), {}, None, (5.0, "credits")),
        ({"amount": 0}, ("200", "402"), {}, None, (0.0, "credits")),
        ({"amount": 0.5, "unit": "EUR"}, ("200",), {}, None, (0.5, "EUR")),
        ({"amount": 5, "unit": "EUR", "free_with": "id"}, ("200",), {"id": "1"}, None, (0.0, "EUR")),
        ({"amount": 5, "free_with": "id"}, ("200",), {"no": "1"}, None, (5.0, "credits")),
        ({"amount": 5, "for_each": "prompts"}, ("200",), {}, {"prompts": ["a", "b", "c"]}, (15.0, "credits")),
        ({"amount": 5, "for_each": "prompts"}, ("200",), {}, {"prompts": "abc"}, (5.0, "credits")),
        ({"amount": 5, "for_each": "prompts"}, ("200",), {}, ["prompts"], (5.0, "credits")),
    ],
)
def test_a_call_costs_what_the_document_says(
    price: Any, statuses: tuple[str, ...], query: dict[str, str], body: Any, cost: tuple[float, str]
) -> None:
    found = price_of(operation_with(price, statuses), query, body)

    assert (found.amount, found.unit) == cost


@pytest.mark.parametrize("price", ["5", {"unit": "EUR"}, {"amount": "5"}, {"amount": -0.5}])
def test_a_malformed_price_is_an_error(price: Any) -> None:
    with pytest.raises(SpecError, match=r"x-mock-price is .*; wanted a mapping with an amount"):
        price_of(operation_with(price), {}, None)


@pytest.mark.parametrize(
    ("body", "is_repeated"),
    [
        ({"a": "plain"}, True),
        ({"a": "[redacted]"}, False),
        ({"a": "[redacted digest 5]"}, False),
        ({"a": "*"}, False),
        ({"a": {"sha256": "00"}}, False),
    ],
)
def test_a_recorded_request_is_repeated_unless_a_part_of_it_is_unknown(
    body: Any, is_repeated: bool, tmp_path: Path
) -> None:
    entry = {
        "request": {"operation": "addNote", "body": body},
        "answers": [{"status": 200, "media_type": "text/plain", "text": "ok"}],
    }
    write_json(tmp_path / "fixtures" / "recorded.json", {"recorded": [entry]})
    engine = foreign_engine(make_document(PATHS, **SECURITY), tmp_path, fixtures=(str(tmp_path / "fixtures"),))

    planned = [each for each in Planner(engine.services).recorded() if each.operation.is_foreign]

    assert [(each.body, each.media_type, each.has_credential) for each in planned] == (
        [(body, JSON, True)] if is_repeated else []
    )


def test_canned_responses_are_asked_for_unless_they_depend_on_headers(tmp_path: Path) -> None:
    responses = {
        "readItem": [{"match": {"path": {"id": "canned"}}, "status": 200}, {"status": 200}],
        "listItems": [
            {"match": {"query": {"limit": "3"}}, "status": 200},
            {"match": {"headers": {"x-a": "1"}}, "status": 200},
        ],
        "addItem": [{"match": {"body": {"name": "canned"}}, "status": 200}],
    }
    write_json(tmp_path / "fixtures" / "canned.json", {"responses": responses})
    engine = foreign_engine(make_document(PATHS, **SECURITY), tmp_path, fixtures=(str(tmp_path / "fixtures"),))

    found = [each for each in Planner(engine.services).recorded() if each.operation.is_foreign]

    assert [(*shown(each), each.media_type, each.body) for each in found] == [
        ("GET /items?kind=true&limit=3", "recorded", "valid", 0, "", None),
        ("POST /items", "recorded", "valid", 0, JSON, {"name": "canned"}),
        ("GET /items/canned", "recorded", "valid", 0, "", None),
    ]


@pytest.mark.parametrize(
    ("media_type", "body", "content"),
    [
        ("", {"a": 1}, b""),
        (JSON, None, b""),
        (JSON, {"a": 1}, b'{"a":1}'),
        (JSON, "text", b"text"),
        (f"{JSON}; charset=utf-8", [1], b"[1]"),
        ("application/x-www-form-urlencoded", {"a": "b c", "d": ["1", "2"]}, b"a=b+c&d=1&d=2"),
        ("Application/X-WWW-Form-URLEncoded; x=y", {"a": "b"}, b"a=b"),
        ("text/plain", "note", b"note"),
    ],
)
def test_a_body_is_sent_in_its_media_type(planner: Planner, media_type: str, body: Any, content: bytes) -> None:
    plain = next(iter(planner.examples()))

    assert replace(plain, media_type=media_type, body=body).content == content


@pytest.mark.parametrize(
    ("path", "query", "target"),
    [
        ({"id": "a/b c"}, {}, "/items/a%2Fb%20c"),
        ({"id": "5"}, {"a": "x y", "b": True, "c": 5, "d": ["p", False], "e": {"k": 1}},
         "/items/5?a=x+y&b=true&c=5&d=p&d=false&e=%7B%22k%22%3A1%7D"),
    ],
)  # fmt: skip
def test_arguments_are_written_into_the_target(
    planner: Planner, path: dict[str, str], query: dict[str, Any], target: str
) -> None:
    read = next(each for each in planner.examples() if each.operation.key == "readItem")

    assert replace(read, path=path, query=query).target == target


@pytest.mark.parametrize(
    ("scheme", "headers", "arguments"),
    [
        ({"type": "http", "scheme": "bearer"}, {"Authorization": "Bearer t0ken"}, {}),
        ({"type": "http", "scheme": "basic"}, {"Authorization": "Basic dDBrZW4="}, {}),
        ({"type": "apiKey", "in": "header", "name": "X-Key"}, {"X-Key": "t0ken"}, {}),
        ({"type": "apiKey", "in": "query", "name": "key"}, {}, {"key": "t0ken"}),
        ({"type": "apiKey", "in": "cookie", "name": "sid"}, {"Cookie": "sid=t0ken"}, {}),
    ],
)
def test_a_credential_is_sent_as_the_document_says(
    scheme: dict[str, str], headers: dict[str, str], arguments: dict[str, str]
) -> None:
    security = {"security": [{"a": []}], "components": {"securitySchemes": {"a": scheme}}}
    document = OpenApiDocument(make_document({"/a": {"get": {"responses": OK}}}, **security), "doc.yaml")
    [[found]] = document.operations[0].security

    assert credential_headers(found, "t0ken") == (headers, arguments)


@pytest.mark.parametrize(
    ("media_type", "is_sent"),
    [
        (JSON, True),
        ("application/vnd.api+json", True),
        ("text/csv", True),
        ("application/x-www-form-urlencoded", True),
        ("multipart/form-data", False),
        ("image/png", False),
    ],
)
def test_bodies_of_some_media_types_are_sent(tmp_path: Path, media_type: str, is_sent: bool) -> None:
    post = {"operationId": "add", "requestBody": {"content": {media_type: {"example": {"a": "b"}}}}, "responses": OK}
    engine = foreign_engine(make_document({"/a": {"post": post}}), tmp_path)

    found = [each.media_type for each in Planner(engine.services).examples() if each.operation.is_foreign]

    assert found == ([media_type] if is_sent else [])


def test_a_body_without_an_example_is_generated_from_its_schema(tmp_path: Path) -> None:
    schema = {"type": "object", "required": ["n"], "properties": {"n": {"const": 7}}}
    bodies = {"/a": {"content": {JSON: {"schema": schema}}}, "/b": {"content": {JSON: {}}}}
    paths = {path: {"post": {"requestBody": body, "responses": OK}} for path, body in bodies.items()}
    engine = foreign_engine(make_document(paths), tmp_path)

    found = [(each.target, each.body) for each in Planner(engine.services).examples() if each.operation.is_foreign]

    assert found == [("/a", {"n": 7})]


@pytest.mark.parametrize(
    ("definition", "value"),
    [
        ({"schema": {"type": "string", "example": "e", "default": "d"}}, "e"),
        ({"schema": {"type": "string", "default": "d", "examples": ["s"]}}, "d"),
        ({"schema": {"type": "string", "examples": ["s", "t"]}}, "s"),
        ({"schema": {"const": "c", "examples": []}}, "c"),
    ],
)
def test_a_required_argument_has_its_example_default_or_a_generated_value(
    tmp_path: Path, definition: dict[str, Any], value: str
) -> None:
    parameter = {"name": "x", "in": "query", "required": True, **definition}
    engine = foreign_engine(make_document({"/a": {"get": {"parameters": [parameter], "responses": OK}}}), tmp_path)

    [found] = [each for each in Planner(engine.services).examples() if each.operation.is_foreign]

    assert found.query == {"x": value}


@pytest.mark.parametrize(("most", "is_tried"), [(0, False), (1, True), (5000, True), (5001, False), ("9", False)])
def test_limits_of_lists_up_to_5000_are_tried(tmp_path: Path, most: Any, is_tried: bool) -> None:
    schema = {"type": "object", "properties": {"tags": {"type": "array", "maxItems": most}}}
    if most == "9":
        schema = {"type": "object", "properties": {"tags": {"type": "array"}}}
    body = {"content": {JSON: {"schema": schema, "example": {"tags": ["x", "y", "z"][:1]}}}}
    engine = foreign_engine(make_document({"/a": {"post": {"requestBody": body, "responses": OK}}}), tmp_path)

    found = [each for each in Planner(engine.services).limits() if each.operation.is_foreign]

    assert [(len(each.body["tags"]), each.faults) for each in found] == ([(most, 0), (most + 1, 1)] if is_tried else [])


def test_longer_lists_repeat_the_values_of_the_example(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"tags": {"type": "array", "maxItems": 4}}}
    body = {"content": {JSON: {"schema": schema, "example": {"tags": ["x", "y", "z"]}}}}
    engine = foreign_engine(make_document({"/a": {"post": {"requestBody": body, "responses": OK}}}), tmp_path)

    found = [each.body["tags"] for each in Planner(engine.services).limits() if each.operation.is_foreign]

    assert found == [["x", "y", "z", "x"], ["x", "y", "z", "x", "y"]]


def test_a_part_of_a_generated_argument_has_the_example_of_the_document(tmp_path: Path) -> None:
    schema = {"type": "object", "required": ["k"], "properties": {"k": {"type": "string", "example": "as documented"}}}
    parameter = {"name": "x", "in": "query", "required": True, "schema": schema}
    body = {"content": {JSON: {"schema": schema}}}
    operation = {"parameters": [parameter], "requestBody": body, "responses": OK}
    engine = foreign_engine(make_document({"/a": {"post": operation}}), tmp_path)

    [found] = [each for each in Planner(engine.services).examples() if each.operation.is_foreign]

    assert found.query == {"x": '{"k":"as documented"}'}
    assert found.body == {"k": "as documented"}
