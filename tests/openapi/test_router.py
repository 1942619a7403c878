"""Method and path to an operation: concrete before templated, and a helpful no."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.errors import Reason, Refusal, SpecError
from mockserver.openapi.document import OpenApiDocument, Operation
from mockserver.openapi.router import MAX_NAME, RouteNotFound, Router, allowed_methods


def make_operations(*routes: str, name: str = "doc.yaml") -> tuple[Operation, ...]:
    """Operations from `GET /path`; the route is the key."""
    paths: dict[str, Any] = {}
    for route in routes:
        method, path = route.split(" ", 1)
        paths.setdefault(path, {})[method.lower()] = {}
    return OpenApiDocument({"openapi": "3.1.0", "paths": paths}, name).operations


def make_router(*routes: str) -> Router:
    return Router(make_operations(*routes))


def refusal_of(router: Router, method: str, path: str) -> Refusal:
    with pytest.raises(Refusal) as caught:
        router.match(method, path)
    return caught.value


ROUTER = make_router(
    "GET /pets/{id}", "DELETE /pets/{key}", "PUT /pets/mine", "GET /pets/mine", "GET /a/{x}/b", "POST /a/{x}/{y}",
    "GET /files/{name}.json", "POST /only", "GET /{odd name}/é+(.*)",
)  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "key", "arguments"),
    [
        ("GET", "/pets/mine", "GET /pets/mine", {}),
        ("GET", "/pets/7", "GET /pets/{id}", {"id": "7"}),
        ("DELETE", "/pets/7", "DELETE /pets/{key}", {"key": "7"}),
        ("DELETE", "/pets/mine", "DELETE /pets/{key}", {"key": "mine"}),
        ("HEAD", "/pets/7", "GET /pets/{id}", {"id": "7"}),
        ("HEAD", "/pets/mine", "GET /pets/mine", {}),
        ("GET", "/a/1/b", "GET /a/{x}/b", {"x": "1"}),
        ("POST", "/a/1/b", "POST /a/{x}/{y}", {"x": "1", "y": "b"}),
        ("GET", "/files/a.b.json", "GET /files/{name}.json", {"name": "a.b"}),
        ("GET", "/x y/é+(.*)", "GET /{odd name}/é+(.*)", {"odd name": "x y"}),
        ("GET", "/pets/%2F", "GET /pets/{id}", {"id": "%2F"}),
        ("GET", "/pets/\n\0\U0001f600", "GET /pets/{id}", {"id": "\n\0\U0001f600"}),
    ],
)
def test_a_path_finds_its_operation(method: str, path: str, key: str, arguments: dict[str, str]) -> None:
    match = ROUTER.match(method, path)

    assert (match.operation.key, match.arguments) == (key, arguments)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "pets/7",
        "/pets",
        "/pets/",
        "/pets/7/",
        "//pets/7",
        "/pets//7",
        "/PETS/7",
        "/pets/7/8",
        "/files/.json",
        "/only/",
        "/only\n",
        "*",
    ],
)
def test_an_undocumented_path_is_not_found(path: str) -> None:
    assert refusal_of(ROUTER, "GET", path).reason is Reason.NO_SUCH_PATH


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/pets/7", "DELETE, GET, HEAD, OPTIONS"),
        ("POST", "/pets/mine", "DELETE, GET, HEAD, OPTIONS, PUT"),
        ("OPTIONS", "/pets/mine", "DELETE, GET, HEAD, OPTIONS, PUT"),
        ("DELETE", "/a/1/b", "GET, HEAD, OPTIONS, POST"),
        ("GET", "/a/1/c", "OPTIONS, POST"),
        ("HEAD", "/only", "OPTIONS, POST"),
        ("get", "/pets/7", "DELETE, GET, HEAD, OPTIONS"),
    ],
)
def test_another_method_is_rejected_with_the_allowed_ones(method: str, path: str, allow: str) -> None:
    refusal = refusal_of(ROUTER, method, path)

    assert refusal.reason is Reason.METHOD_NOT_ALLOWED
    assert refusal.headers == (("Allow", allow),)
    assert refusal.detail == f"{path} does not answer {method}; it answers {allow}."


def test_documented_head_and_options_operations_answer() -> None:
    router = make_router("GET /a", "HEAD /a", "OPTIONS /a")

    assert [router.match(method, "/a").operation.method for method in ("HEAD", "OPTIONS")] == ["HEAD", "OPTIONS"]


def test_allowed_methods_name_head_only_beside_get() -> None:
    assert allowed_methods(["POST"]) == "OPTIONS, POST"
    assert allowed_methods({"GET": 1}) == "GET, HEAD, OPTIONS"


def test_an_unknown_path_gets_the_nearest_one() -> None:
    assert refusal_of(ROUTER, "GET", "/onyl").detail == "No operation has the path /onyl. Did you mean /only?"
    assert refusal_of(ROUTER, "GET", "/pet/7").detail.endswith("Did you mean /pets/{id}?")
    assert refusal_of(ROUTER, "GET", "/ONLY").detail.endswith("Did you mean /only?")
    assert refusal_of(ROUTER, "GET", "~").detail == "No operation has the path ~."


@pytest.mark.parametrize(
    ("method", "path", "near"),
    [
        ("GET", "/onyl", "POST /only"),
        ("DELETE", "/pet/7", "GET /pets/{id}"),
        ("GET", "/pets/mime/", "GET /pets/mine"),
        ("PATCH", "/a/1/c", "POST /a/{x}/{y}"),
        ("GET", "~", None),
    ],
)
def test_an_unknown_path_is_assigned_to_the_api_of_the_nearest_operation(
    method: str, path: str, near: str | None
) -> None:
    refusal = refusal_of(ROUTER, method, path)

    assert isinstance(refusal, RouteNotFound)
    assert (refusal.near.key if refusal.near else None) == near


def test_a_long_path_gets_a_short_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []
    monkeypatch.setattr("difflib.get_close_matches", lambda word, known: compared.append(word) or ())  # type: ignore[func-returns-value]  # None is falsy

    refusals = [refusal_of(ROUTER, "GET", "/x" * 50_000), refusal_of(ROUTER, "A" * 50_000, "/pets/" + "x" * 50_000)]

    assert [len(word) for word in compared] == [MAX_NAME]
    assert all(len(refusal.detail) < 600 for refusal in refusals)


@pytest.mark.parametrize(
    ("first", "second"), [("GET /a", "GET /a"), ("GET /a/{id}", "GET /a/{id}"), ("GET /a/{id}", "GET /a/{key}")]
)
def test_a_path_described_twice_is_refused_with_both_documents(first: str, second: str) -> None:
    operations = [*make_operations(first, name="one.yaml"), *make_operations(second, name="two.yaml")]

    with pytest.raises(SpecError) as caught:
        Router(operations)

    assert str(caught.value) == f"two.yaml: {second} is described twice: {first} in one.yaml"


SEGMENTS = st.text(st.characters(exclude_characters="/{}", exclude_categories=["Cs"]), min_size=1, max_size=6)
TEMPLATES = st.lists(SEGMENTS | SEGMENTS.map(lambda name: f"{{{name}}}"), min_size=1, max_size=4, unique=True)


@given(
    templates=st.lists(TEMPLATES, min_size=1, max_size=6),
    data=st.data(),
)
def test_every_operation_is_found_by_its_path_with_any_arguments(
    templates: list[list[str]], data: st.DataObject
) -> None:
    shapes = {tuple("{}" if part.startswith("{") else part for part in parts): parts for parts in templates}
    paths: dict[str, Any] = {"/" + "/".join(parts): {"get": {}} for parts in shapes.values()}
    router = Router(OpenApiDocument({"openapi": "3.1.0", "paths": paths}, "doc.yaml").operations)
    parts = data.draw(st.sampled_from(sorted(shapes.values())))
    filled = [data.draw(SEGMENTS) if part.startswith("{") else part for part in parts]

    match = router.match("GET", "/" + "/".join(filled))

    found = match.operation.path
    for name, text in match.arguments.items():
        found = found.replace(f"{{{name}}}", text)
    assert found == "/" + "/".join(filled), "the path found, filled with its arguments, is the path asked for"
    wildcards = match.operation.path.count("{")
    assert wildcards > 0 or "/" + "/".join(filled) in paths
    assert not ("/" + "/".join(filled) in paths and wildcards > 0), "a concrete path wins"
    if len(shapes) == 1:
        assert match.arguments == {p[1:-1]: text for p, text in zip(parts, filled, strict=True) if p.startswith("{")}


API = make_router(
    "POST /v1/chat/completions", "POST /v1/batches", "GET /v1/batches/{id}", "GET /ai", "POST /ai/batches",
    "GET /api/v1/prompts/{slug}",
)  # fmt: skip


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/v1/v1/chat/completions", "Your base URL has /v1 twice."),
        ("/v1/v1/batches/batch_1", "Your base URL has /v1 twice."),
        ("/ai/ai/batches", "Your base URL has /ai twice."),
        ("/ai/ai", "Your base URL has /ai twice."),
        ("/api/v1/api/v1/prompts/x", "Your base URL has /api/v1 twice."),
        ("/chat/completions", "Your base URL lacks /v1."),
        ("/completions", "Your base URL lacks /v1/chat."),
        ("/batches", "Your base URL lacks /ai or /v1."),
        ("/batches/batch_1", "Your base URL lacks /v1."),
        ("/prompts/x", "Your base URL lacks /api/v1."),
        ("/v1/prompts/x", "Your base URL lacks /api."),
        ("/v1/ai/batches", "Your base URL has /v1, which is no part of this path."),
        ("//v1/batches", "There is a slash too many between your base URL and the path."),
        ("/v1//batches", "There is a slash too many between your base URL and the path."),
        ("/v1/batchez", "Did you mean /v1/batches?"),
        ("/batch_1", ""),
        ("/v1/v1", ""),
        ("/" + "v1/" * 500, ""),
    ],
)
def test_a_wrong_base_url_is_named(path: str, told: str) -> None:
    _, _, hint = refusal_of(API, "POST", path).detail.partition(f"path {path[:200]}.")

    assert hint.strip() == told or (told == "" and "base URL" not in hint)
