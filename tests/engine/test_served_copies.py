"""Changed copies of the bundled document, served in its place: they decide, and break nothing that they leave out."""

import copy
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from builders import make_settings, write_json
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from mockserver.cli import main
from mockserver.engine.build import build_engine, bundled_path
from mockserver.engine.check import check
from mockserver.errors import SpecError
from mockserver.openapi.files import read_document
from mockserver.web.app import create_app

OURS: dict[str, Any] = read_document(bundled_path("openapi.yaml"), SpecError)
SERVICES = build_engine(make_settings()).services
OPERATIONS = [each.operation for each in SERVICES]
HANDLED = {each.operation.key for each in SERVICES if each.handler}
LINE = (
    b'{"custom_id":"a","method":"POST","url":"/v1/chat/completions",'
    b'"body":{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Name a river."}]}}\n'
)


def make_copy(**more: Any) -> dict[str, Any]:
    return copy.deepcopy(OURS) | more


def schema_of(document: dict[str, Any], name: str) -> Any:
    return document["components"]["schemas"][name]["properties"]


def parameter_of(document: dict[str, Any], path: str, name: str, method: str = "get") -> Any:
    return next(each for each in document["paths"][path][method]["parameters"] if each.get("name") == name)


@contextmanager
def serving(tmp_path: Path, document: Any, **changes: Any) -> Iterator[TestClient]:
    path = write_json(tmp_path / "copy.json", document)
    app = create_app(make_settings(spec=(str(path),), progression="immediate", **changes))
    with TestClient(app, base_url="http://127.0.0.1:4024", headers={"Authorization": "Bearer ada"}) as client:
        yield client


def completion_of(client: TestClient, **asked: Any) -> Any:
    return client.get("/ai", params={"prompt": "Where is music?", **asked})


def start_batch(client: TestClient, content: bytes = LINE, **body: Any) -> Any:
    made = client.post("/v1/files", files={"file": ("a.jsonl", content)}, data={"purpose": "batch"}).json()
    asked = {"input_file_id": made["id"], "endpoint": "/v1/chat/completions", **body}
    return client.post("/v1/batches", json=asked)


def test_a_copy_that_changes_nothing_answers_as_the_bundled_document(tmp_path: Path) -> None:
    plain = TestClient(create_app(make_settings(progression="immediate")), base_url="http://127.0.0.1:4024")
    plain.headers["Authorization"] = "Bearer ada"
    with serving(tmp_path, make_copy()) as client:
        for method, path, body in (
            ("POST", "/ai/batches", {"prompts": ["a"]}),
            ("POST", "/ai/batches", {"prompts": [5] * 3, "model": "x"}),
            ("GET", "/ai/devices", None),
            ("GET", "/v1/models", None),
            ("POST", "/v1/batches", {"endpoint": 5}),
        ):
            one, other = (each.request(method, path, json=body) for each in (plain, client))
            assert (one.status_code, one.content) == (other.status_code, other.content)
            assert one.headers.get("x-mock-violations") == other.headers.get("x-mock-violations")


def test_defaults_of_agent_first_come_from_the_document(tmp_path: Path) -> None:
    document = make_copy()
    parameter_of(document, "/ai", "model")["schema"]["default"] = "gemini"
    parameter_of(document, "/ai", "format")["schema"]["default"] = "rendered"
    fields = schema_of(document, "BatchRequest")
    fields["model"]["default"], fields["format"]["default"] = "perplexity", "rendered"
    with serving(tmp_path, document) as client:
        assert completion_of(client).headers["content-type"] == "text/html; charset=utf-8"
        assert completion_of(client, format="json").json()["model"] == "gemini"
        made = client.post("/ai/batches", json={"prompts": ["a"]}).json()
        url = client.get("/ai/batches", params={"id": made["id"]}).json()["url"]
        assert b"0001.html" in client.get(url).content
        made = client.post("/ai/batches", json={"prompts": ["a"], "format": "json"}).json()
        url = client.get("/ai/batches", params={"id": made["id"]}).json()["url"]
        assert client.get(url, params={"format": "ndjson"}).json()["model"] == "perplexity"


def test_defaults_of_mode_and_archive_format_come_from_the_document(tmp_path: Path) -> None:
    document = make_copy()
    parameter_of(document, "/ai", "mode")["schema"]["default"] = "async"
    archive = next(path for path in document["paths"] if path.startswith("/ai/archives"))
    parameter_of(document, archive, "format")["schema"]["default"] = "ndjson"
    with serving(tmp_path, document) as client:
        assert completion_of(client).status_code == 202
        made = client.post("/ai/batches", json={"prompts": ["a"]}).json()
        url = client.get("/ai/batches", params={"id": made["id"]}).json()["url"]
        assert client.get(url).headers["content-type"] == "application/x-ndjson"


def test_the_completion_window_comes_from_the_document(tmp_path: Path) -> None:
    document = make_copy()
    schema_of(document, "CreateBatchRequest")["completion_window"] |= {"enum": ["48h", "30m", None], "default": "48h"}
    with serving(tmp_path, document) as client:
        for asked, window, seconds in ((None, "48h", 172_800), ("30m", "30m", 1800)):
            batch = start_batch(client, completion_window=asked).json()
            assert batch["completion_window"] == window
            assert batch["expires_at"] - batch["created_at"] == seconds
        assert start_batch(client, completion_window="24h").status_code == 400


def test_limits_come_from_the_document(tmp_path: Path) -> None:
    document = make_copy()
    schema_of(document, "BatchRequest")["prompts"]["maxItems"] = 2
    parameter_of(document, "/v1/batches", "limit")["schema"] |= {"default": 1, "maximum": 2}
    parameter_of(document, "/v1/files", "limit")["schema"] |= {"default": 1}
    schema_of(document, "CreateFileRequest")["expires_after[seconds]"]["minimum"] = 60
    with serving(tmp_path, document) as client:
        refused = client.post("/ai/batches", json={"prompts": ["a"] * 3})
        assert (refused.status_code, refused.text) == (422, "Prompts must number between 1 and 2")
        for _ in range(2):
            start_batch(client)
        assert len(client.get("/v1/batches").json()["data"]) == 1
        assert len(client.get("/v1/files").json()["data"]) == 1
        assert client.get("/v1/batches", params={"limit": 3}).status_code == 400
        form = {"purpose": "user_data", "expires_after[anchor]": "created_at", "expires_after[seconds]": "60"}
        made = client.post("/v1/files", files={"file": ("a.txt", b"x")}, data=form).json()
        assert made["expires_at"] - made["created_at"] == 60


def test_defaults_of_chats_hold_live_and_in_lines(tmp_path: Path) -> None:
    document = make_copy()
    schema_of(document, "ChatCompletionRequest")["n"]["default"] = 3
    with serving(tmp_path, document) as client:
        asked = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Name a river."}]}
        assert len(client.post("/v1/chat/completions", json=asked).json()["choices"]) == 3
        batch = client.get(f"/v1/batches/{start_batch(client).json()['id']}").json()
        (line,) = client.get(f"/v1/files/{batch['output_file_id']}/content").text.splitlines()
        assert line.count('"finish_reason"') == 3


def test_batch_lines_are_validated_against_the_served_document(tmp_path: Path) -> None:
    document = make_copy()
    schema_of(document, "BatchRequestLine")["custom_id"]["minLength"] = 5
    with serving(tmp_path, document) as client:
        batch = client.get(f"/v1/batches/{start_batch(client).json()['id']}").json()
        assert batch["status"] == "failed"
        assert "custom_id" in batch["errors"]["data"][0]["message"]


@pytest.mark.parametrize(
    ("body", "said"),
    [({}, "Prompts must be provided"), ([], "Body must be a JSON object"), ({"prompts": 5}, "Prompts must be a list")],
)
@pytest.mark.parametrize("schema", [None, {}, {"type": ["object", "array"]}])
def test_what_a_handler_needs_is_required_although_the_copy_does_not(
    tmp_path: Path, schema: Any, body: Any, said: str
) -> None:
    document = make_copy()
    content = document["paths"]["/ai/batches"]["post"]["requestBody"]["content"]["application/json"]
    del content["schema"]
    if schema is not None:
        content["schema"] = schema
    with serving(tmp_path, document) as client:
        answer = client.post("/ai/batches", json=body)

        assert (answer.status_code, answer.text) == (422, said)
        assert client.post("/ai/batches", json={"prompts": ["a"]}).status_code == 202


def test_texts_of_errors_come_from_the_document(tmp_path: Path) -> None:
    document = make_copy()
    for name, text in (("authenticationError", "Who are you"), ("creditsError", "Pay first")):
        content = document["components"]["responses"][name]["content"]["text/plain"]
        content.pop("examples", None)
        content["example"] = text
    with serving(tmp_path, document) as client:
        assert client.get("/ai", params={"prompt": "a"}, headers={"Authorization": "Bearer mock-no-credits"}).text == (
            "Pay first"
        )
        del client.headers["Authorization"]
        assert client.get("/user").text == "Who are you"


def test_an_operation_keeps_its_handler_at_another_path_and_under_another_name(tmp_path: Path) -> None:
    document = make_copy()
    document["paths"]["/queue"] = {"post": document["paths"]["/ai/batches"].pop("post")}
    document["paths"]["/user"]["get"]["operationId"] = "whoAmI"
    with serving(tmp_path, document) as client:
        assert client.post("/queue", json={"prompts": ["a"]}).status_code == 202
        assert client.post("/ai/batches", json={"prompts": ["a"]}).status_code == 405
        assert client.get("/user").json()[0]["email"]


def test_operations_that_a_copy_leaves_out_are_not_served_and_the_other_api_stays(tmp_path: Path) -> None:
    document = make_copy(paths={"/user": OURS["paths"]["/user"]})
    with serving(tmp_path, document) as client:
        assert client.get("/user").status_code == 200
        assert client.get("/ai/devices").status_code == 404
        assert client.get("/v1/models").status_code == 200


def test_a_partial_copy_keeps_the_other_bundled_operations(tmp_path: Path) -> None:
    document = make_copy(**{"x-mock-partial": True, "paths": {"/ai/batches": OURS["paths"]["/ai/batches"]}})
    document["components"]["schemas"]["BatchRequest"]["properties"]["model"]["default"] = "gemini"
    with serving(tmp_path, document) as client:
        assert client.post("/ai/batches", json={"prompts": ["a"], "device": "iPhone 15 Pro"}).status_code == 202
        assert client.post("/ai/batches", json={"prompts": ["a"], "device": "teapot"}).status_code == 422
        assert client.get("/ai/devices").status_code == 200
        assert client.get("/v1/models").status_code == 200


def test_an_operation_of_another_api_at_a_bundled_path_is_rejected(tmp_path: Path) -> None:
    stranger = {"get": {"operationId": "findUser", "responses": {"200": {"description": "A user."}}}}
    path = write_json(tmp_path / "other.json", {"openapi": "3.1.0", "paths": {"/user": stranger}})

    with pytest.raises(SpecError, match="GET /user is described twice"):
        build_engine(make_settings(spec=(str(path),), with_bundled=True))


@pytest.mark.parametrize("removed", [each.key for each in OPERATIONS])
def test_a_removed_operation_breaks_no_other(tmp_path: Path, removed: str) -> None:
    document = make_copy()
    gone = next(each for each in OPERATIONS if each.key == removed)
    del document["paths"][gone.path][gone.method.lower()]
    with serving(tmp_path, document) as client:
        drive(client)
        lost = client.request(gone.method, re.sub(r"\{\w+\}", "x", gone.path))
        assert lost.status_code in {404, 405} or "{" in gone.path


def drive(client: TestClient) -> None:
    """Ask each API what its clients ask, and every operation with its examples; none may meet a bug of ours."""
    asked = {"prompts": ["a"], "device": "iPhone 15 Pro", "country": "US", "subdivision": "TN"}
    made = _ask(client, "POST", "/ai/batches", json=asked)
    found = _ask(client, "GET", "/ai/batches", params={"id": made.get("id", "x")})
    if isinstance(found.get("url"), str):
        _ask(client, "GET", found["url"])
    made = _ask(client, "GET", "/ai", params={"prompt": "a", "mode": "async", "device": "iPhone 15 Pro"})
    _ask(client, "GET", "/ai/completions", params={"id": made.get("id", "x")})
    file = _ask(client, "POST", "/v1/files", files={"file": ("a.jsonl", LINE)}, data={"purpose": "batch"})
    _ask(client, "POST", "/v1/files", data={"file": "text", "purpose": "batch"})
    names = {"file_id": file.get("id", "x"), "slug": "greet", "model": "gpt-4o-mini"}
    for endpoint in ("/v1/chat/completions", "/v1/embeddings"):
        body = {"input_file_id": names["file_id"], "endpoint": endpoint, "completion_window": "24h"}
        names["batch_id"] = _ask(client, "POST", "/v1/batches", json=body).get("id", "x")
        _ask(client, "GET", f"/v1/batches/{names['batch_id']}")
    _ask(client, "POST", "/api/v1/prompts", json={"slug": "greet", "template": "hi {{ x }}"})
    for operation in OPERATIONS:
        path = re.sub(r"\{(\w+)\}", lambda found: str(names.get(found[1], "1")), operation.path)
        query = {each.name: str(each.definition.get("example", 1)) for each in operation.parameters}
        bodies = [each for content in (operation.body or {}).values() for each in content.examples.values()]
        for sent in [None, *bodies, {}, []] if operation.body else [None]:
            _ask(client, operation.method, path, params=query, **({} if sent is None else {"json": sent}))


def _ask(client: TestClient, method: str, path: str, **more: Any) -> Any:
    answer = client.request(method, str(path), **more)
    assert not (answer.status_code == 500 and "Bug in mockserver" in answer.text), f"{method} {path}: {answer.text}"
    try:
        value = answer.json()
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


BROKEN: list[tuple[tuple[str, ...], Any, str]] = [
    (("components", "schemas", "BatchRequest", "properties", "prompts", "type"), "arrray", "type is 'arrray'; wanted"),
    (("components", "schemas", "BatchRequest", "properties", "model", "$ref"), "#/components/schemas/No", "no such"),
    (("components", "schemas", "CreateBatchRequest", "properties", "input_file_id", "pattern"), "(", "regular expr"),
    (("components", "schemas", "BatchRequest", "properties", "prompts", "minItems"), -1, "minItems cannot be -1"),
    (("components", "schemas", "BatchRequest", "required"), "prompts", "required cannot be 'prompts'"),
    (("components", "schemas", "BatchRequest", "properties", "model", "enum"), "chatgpt", "enum cannot be 'chatgpt'"),
    (("paths", "/user", "get", "responses"), [], "is a list; wanted a mapping"),
    (("paths", "/user", "get", "responses", "2OO"), {}, "wanted a status"),
    (("paths", "/user", "get", "security"), [{}], "needs to know who asks"),
    (("paths", "/ai", "get", "parameters"), {}, "is a mapping; wanted a list"),
    (("components", "schemas", "BatchRequest", "properties", "model", "default"), 5, "the default of 'model' is 5"),
]


@pytest.mark.parametrize(("place", "value", "words"), BROKEN)
def test_a_mistake_in_a_copy_is_reported_with_file_line_and_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: tuple[str, ...], value: Any, words: str
) -> None:
    document = make_copy()
    holder: Any = document
    for step in place[:-1]:
        holder = holder[step]
    holder[place[-1]] = value
    path = write_json(tmp_path / "copy.json", document)

    assert main(["serve", "--port", "0", "--spec", str(path)]) == 3
    told = capsys.readouterr().err
    assert re.search(rf"{re.escape(str(path))}:\d+: [\w./\[\]]", told)
    assert words in told
    assert [each for each in check(make_settings(spec=(str(path),))) if words in each.message]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        yield (*path, key)
        yield from places(each, (*path, key))


PLACES = [each for each in places(OURS) if not {"example", "examples", "description", "summary"}.intersection(each)]
VALUES = [None, True, 0, -1, 2.5, "", "x", "string", "(", [], {}, ["a"], {"type": "string"}, {"$ref": "#/no"}, [None]]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from([..., *VALUES])), min_size=1, max_size=3))
def test_any_changed_copy_is_refused_with_its_line_or_served_without_a_bug(tmp_path: Path, changes: Any) -> None:
    document = make_copy()
    for place, value in changes:
        holder: Any = document
        try:
            for step in place[:-1]:
                holder = holder[step]
            if value is ...:
                del holder[place[-1]]
            else:
                holder[place[-1]] = copy.deepcopy(value)
        except (LookupError, TypeError):
            continue  # gone with an earlier change
    try:
        with serving(tmp_path, document) as client:
            drive(client)
    except SpecError as refused:
        assert re.match(rf"{re.escape(str(tmp_path))}/copy\.json:\d+: ", str(refused))


def test_handlers_have_no_defaults_that_the_document_lacks(tmp_path: Path) -> None:
    del tmp_path
    served = SERVICES[0].world.served
    assert served is not None
    assert served.defaults == {}, "the defaults of providers are those of openapi.yaml"
    known = {name for each in SERVICES if each.provider for name in each.provider.defaults}
    assert known <= HANDLED
