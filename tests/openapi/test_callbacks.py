"""Callbacks and webhooks as a document describes them, and the runtime expressions that say where a callback goes."""

from pathlib import Path
from typing import Any

import pytest
from builders import make_document, make_operation, write_json

from mockserver.http import Request, Response
from mockserver.openapi.callbacks import Occasion, find_target
from mockserver.openapi.document import OpenApiDocument, read_repaired_openapi

OCCASION = Occasion(
    Request(
        "POST",
        "/subscriptions/7",
        "queue=a%20b&queue=c",
        {"host": "127.0.0.1:4024", "x-reply-to": "http://localhost/header"},
        b"",
    ),
    {"id": 7},
    {"url": "http://localhost/hook", "hooks": [{"to": "http://localhost/0"}], "n": 5, "yes": True, "a/b": "slash"},
    Response(
        201,
        "application/json",
        b'{"id": "s1", "self": "http://localhost/s1"}',
        headers=(("Location", "http://localhost/at"),),
    ),
)


@pytest.mark.parametrize(
    ("expression", "target"),
    [
        ("{$request.body#/url}", "http://localhost/hook"),
        ("$request.body#/url", "http://localhost/hook"),
        ("{$request.body#/url}/done?id={$response.body#/id}", "http://localhost/hook/done?id=s1"),
        ("{$request.body#/hooks/0/to}", "http://localhost/0"),
        ("http://localhost/{$request.body#/a~1b}", "http://localhost/slash"),
        ("http://localhost/{$request.body#/n}/{$request.body#/yes}", "http://localhost/5/true"),
        ("http://localhost/{$request.path.id}/{$request.query.queue}", "http://localhost/7/c"),
        ("{$request.header.X-Reply-To}", "http://localhost/header"),
        ("{$response.header.location}", "http://localhost/at"),
        (
            "http://localhost/?of={$url}",
            "http://localhost/?of=http://127.0.0.1:4024/subscriptions/7?queue=a%20b&queue=c",
        ),
        ("http://localhost/{$method}/{$statusCode}", "http://localhost/POST/201"),
        ("http://localhost/fixed", "http://localhost/fixed"),
        ("{$request.body#/none}", None),
        ("{$request.body#/hooks}", None),
        ("{$request.body#/url}/{$request.query.none}", None),
        ("{$request.cookie.a}", None),
        ("{$response.query.a}", None),
        ("{$nonsense}", None),
        ("", None),
    ],
)
def test_a_runtime_expression_is_a_value_of_the_exchange(expression: str, target: str | None) -> None:
    assert find_target(expression, OCCASION) == target


def test_a_target_is_bounded() -> None:
    long = OCCASION._replace(body={"url": "http://localhost/" + "a" * 5000})

    assert find_target("{$request.body#/url}", long) is None


def document_with(**more: Any) -> dict[str, Any]:
    operation = make_operation("subscribe", status="201") | more
    return make_document({"/subscriptions": {"post": operation}})


def test_the_callbacks_of_an_operation_are_read_also_by_reference() -> None:
    schema = {"type": "object", "properties": {"text": {"type": "string"}}}
    send = {"requestBody": {"content": {"text/plain": {}, "application/json": {"schema": schema}}}, "responses": {}}
    whole = document_with(callbacks={"told": {"$ref": "#/components/callbacks/told"}, "x-own": {}})
    whole["components"] = {"callbacks": {"told": {"{$request.body#/url}": {"put": send, "post": {"responses": {}}}}}}

    (operation,) = OpenApiDocument(whole, "a", is_foreign=True).operations

    found = {each.method: each for each in operation.callbacks}
    assert {each.target for each in found.values()} == {"{$request.body#/url}"}
    assert found["POST"].content is None
    content = found["PUT"].content
    assert content is not None
    assert content.media_type == "application/json"


@pytest.mark.parametrize(
    "broken",
    [
        {"told": {"$ref": "#/components/callbacks/none"}},
        {"told": {"{$url}": {"post": {"requestBody": {"$ref": "#/none"}}}}},
        {"told": {"{$url}": {"post": {"requestBody": {"content": {"application/json": {"schema": {"type": "x"}}}}}}}},
        {"told": {"{$url}": {"post": {"requestBody": {"content": []}}}}},
    ],
)
def test_a_callback_with_a_mistake_is_left_out_with_a_warning(tmp_path: Path, broken: Any) -> None:
    spec = read_repaired_openapi(write_json(tmp_path / "a.json", document_with(callbacks=broken)))

    assert [each.callbacks for each in spec.operations] == [()]
    assert any("told" in str(each) for each in spec.problems), spec.problems


def test_webhooks_are_read_by_name() -> None:
    whole = document_with()
    whole["webhooks"] = {"newPet": {"post": {"requestBody": {"content": {"application/json": {"example": {"a": 1}}}}}}}

    (webhook,) = OpenApiDocument(whole, "a", is_foreign=True).webhooks

    assert (webhook.name, webhook.method, webhook.target) == ("newPet", "POST", "")
