"""References into lists: the last member is found, and one beyond it is a mistake of the document."""

from typing import Any

import pytest

from mockserver.errors import SpecError
from mockserver.openapi.document import OpenApiDocument


def statuses(reference: str) -> tuple[int, ...]:
    answers = [{"description": "One."}, {"description": "Two."}]
    operation = {"operationId": "getIt", "responses": {"200": {"$ref": reference}}}
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {},
        "paths": {"/it": {"get": operation}},
        "x-answers": answers,
    }
    return OpenApiDocument(document, "doc.yaml").operations[0].statuses


@pytest.mark.parametrize("index", [0, 1])
def test_a_member_of_a_list_is_found(index: int) -> None:
    assert statuses(f"#/x-answers/{index}") == (200,)


@pytest.mark.parametrize("step", ["2", "3", "-1", "x", "", "1.0", "99999999999999999999"])
def test_an_index_beyond_a_list_is_a_mistake_of_the_document(step: str) -> None:
    with pytest.raises(SpecError, match=r"\$ref is .*; the document has no such thing"):
        statuses(f"#/x-answers/{step}")
