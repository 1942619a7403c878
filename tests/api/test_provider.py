"""How a provider is declared: its handlers, its paths, and which provider a request without an operation means."""

from typing import Any

import pytest

from mockserver.api.provider import BoundOperation, Provider, owner_of_path
from mockserver.errors import Reason, Refusal
from mockserver.openapi.document import OpenApiDocument, Operation
from mockserver.openapi.router import RouteNotFound


def make_provider(*prefixes: str, name: str = "mine") -> Provider:
    return Provider(name, tag=name, prefixes=prefixes)


def test_handlers_and_checks_are_registered_by_operation() -> None:
    provider = make_provider()

    @provider.handles("get", "head")
    def answer(call: Any) -> Any:
        return call

    @provider.checks("put", "post")
    def check(call: Any) -> Any:
        yield call

    provider.handles_lazily(patch=lambda: answer)

    assert set(provider.handlers) == {"get", "head", "patch"}
    assert provider.handlers["get"] is provider.handlers["head"] is answer
    assert provider.handlers["patch"]("asked") == "asked"  # type: ignore[arg-type,comparison-overlap]
    assert provider.checkers == {"put": check, "post": check}
    assert (make_provider().handlers, make_provider().checkers) == ({}, {})


@pytest.mark.parametrize(
    ("path", "length"),
    [("/v1", 3), ("/v1/a", 3), ("/v1/files/x", 9), ("/v1/filesystem", 3), ("/v10", 0), ("/v", 0), ("", 0)],
)
def test_a_path_is_below_a_prefix_in_whole_segments(path: str, length: int) -> None:
    provider = make_provider("/v1", "/v1/files")

    assert provider.longest_prefix(path) == length
    assert provider.owns(path) is (length > 0)


def make_operation(path: str) -> Operation:
    document = {"paths": {path: {"get": {"operationId": "k", "summary": "s", "tags": ["t"], "responses": {"200": {}}}}}}
    return OpenApiDocument({"openapi": "3.1.0", **document}, "doc.yaml").operations[0]


def make_service(operation: Operation, provider: Provider | None, handler: Any = None) -> BoundOperation:
    return BoundOperation(operation, None, provider, handler, None)  # type: ignore[arg-type]


def not_found(near: Any = None) -> RouteNotFound:
    return RouteNotFound(Reason.NO_SUCH_PATH, "", near)


def test_a_request_without_an_operation_means_the_provider_with_the_longest_prefix() -> None:
    short, long, other = make_provider("/v1"), make_provider("/v1/files"), make_provider("/x")
    mine, foreign, theirs, file = map(make_operation, ("/v1/a", "/v1/b", "/elsewhere", "/v1/files"))
    services = {
        each: make_service(each, provider)
        for each, provider in ((mine, short), (foreign, None), (theirs, other), (file, long))
    }

    def owner(path: str, near: Any = None) -> Provider | None:
        return owner_of_path(path, not_found(near), services)

    assert owner("/v1/files/9") is long
    assert owner("/v1/nothing") is short
    assert owner("/elsewhere") is None
    assert owner("/v1/x", near=mine) is short
    assert owner("/v1/x", near=foreign) is None
    assert owner("/v1/x", near=theirs) is short
    assert owner_of_path("/v1/x", Refusal(Reason.NO_SUCH_PATH), services) is None
    assert owner_of_path("/v1/x", None, services) is None


def test_an_operation_is_described_with_whether_code_answers_it() -> None:
    described = make_service(make_operation("/a"), None).described()

    assert described == {
        "key": "k",
        "method": "GET",
        "path": "/a",
        "summary": "s",
        "tag": "t",
        "statuses": (200,),
        "handled": False,
    }
    assert make_service(make_operation("/a"), None, print).described()["handled"] is True
