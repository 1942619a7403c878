"""Callbacks and webhooks as a document describes them."""

from pathlib import Path
from typing import Any

import pytest
from builders import make_document, make_operation, write_json

from mockserver.openapi.document import OpenApiDocument, read_repaired_openapi


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
