"""Which requests `verify` plans from a document, and what they cost."""

from pathlib import Path
from typing import Any

import pytest
from builders import make_document, write_json
from foreign import foreign_engine

from mockserver.contract.live.plan import NO_SUCH, PlannedRequest, Planner, price_of
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
