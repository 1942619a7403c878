"""What the API under /__admin refuses, that a refused call changes nothing, and who may call at all."""

import asyncio
from collections.abc import Iterator
from typing import Any, cast

import orjson
import pytest
from builders import address, make_client, make_engine, make_settings, state_of
from starlette.testclient import TestClient

from mockserver.errors import Reason
from mockserver.web.admin.app import build_admin
from mockserver.web.admin.routes import ROUTES
from mockserver.web.answers.delivery import Delivery
from mockserver.web.answers.loop_turns import LoopTurns
from mockserver.web.answers.space import AnswerSpace

UNIX = 1775952000.0
BODIES = [verb for verb in ROUTES if verb.body is not None]
PATHS = {verb.path for verb in ROUTES}


@pytest.fixture
def client() -> Iterator[TestClient]:
    with make_client() as it:
        yield it


REFUSED: list[tuple[str, str, Any, int]] = [
    ("PUT", "/clock", {"now": "2020-01-01"}, 422),
    ("PUT", "/clock", {"now": UNIX - 0.001}, 422),
    ("PUT", "/clock", {"now": "soon"}, 422),
    ("PUT", "/clock", {"now": 1e300}, 422),
    ("PUT", "/clock", {"now": "9999-12-31T23:59:59-01:00"}, 422),
    ("PUT", "/clock", {"now": "0001-01-01T00:00:00+14:00"}, 422),
    ("PUT", "/clock", {"now": "2027-01-01", "scale": 0}, 422),
    ("PUT", "/clock", {"scale": 60, "frozen": False, "now": "2020-01-01"}, 422),
    ("PUT", "/clock", {"frozen": "no", "scale": 60}, 422),
    ("PUT", "/clock", {"freeze": True}, 422),
    ("PUT", "/clock", {"now": True}, 422),
    ("POST", "/clock/advance", {"seconds": -1}, 422),
    ("POST", "/clock/advance", {"seconds": "1"}, 422),
    ("POST", "/clock/advance", {"weeks": 1}, 422),
    ("POST", "/clock/advance", {"days": 4_000_000}, 422),
    ("POST", "/clock/advance", {"days": 1e11, "seconds": 1}, 422),
    ("POST", "/clock/scale", {}, 422),
    ("POST", "/clock/scale", {"scale": -1}, 422),
    ("POST", "/clock/scale", {"scale": 1e13}, 422),
    ("POST", "/clock/freeze", {"now": 1}, 400),
    ("POST", "/clock/resume?at=1", None, 400),
    ("PUT", "/progression", {}, 422),
    ("PUT", "/progression", {"progression": "polls"}, 422),
    ("PUT", "/progression", {"progression": "polls", "polls": 0}, 422),
    ("PUT", "/progression", {"progression": "polls", "polls": 1.5}, 422),
    ("PUT", "/progression", {"progression": "polls", "polls": 2, "seconds": 1}, 422),
    ("PUT", "/progression", {"progression": "time", "seconds": -1}, 422),
    ("PUT", "/progression", {"progression": "warp"}, 422),
    ("PUT", "/progression", [], 422),
    ("PUT", "/progression", "", 422),
    ("PUT", "/progression", "polls", 422),
    ("PUT", "/progression", "polls:0", 422),
    ("PUT", "/progression", "polls:1000001", 422),
    ("PUT", "/progression", "time:1e13", 422),
    ("PUT", "/progression", "time:nan", 422),
    ("PUT", "/progression", "warp" * 10_000, 422),
    ("PUT", "/accounts/test", {"credits": "12"}, 422),
    ("PUT", "/accounts/test", {"credits": 1.5}, 422),
    ("PUT", "/accounts/test", {"credits": 5, "revoked": "yes"}, 422),
    ("PUT", "/accounts/test", {"credits": 5, "name": "x"}, 422),
    ("PUT", "/accounts/test", {"email": ""}, 422),
    ("PUT", "/accounts/test?force=1", {"credits": 5}, 400),
    ("POST", "/requests/count", {"verb": "GET"}, 422),
    ("POST", "/requests/find", {"status": "404"}, 422),
    ("POST", "/requests/find", {"status": 40}, 422),
    ("POST", "/requests/find", {"status": 600}, 422),
    ("POST", "/requests/find", {"status": 1e30}, 422),
    ("POST", "/requests/order", {"requests": [{"reason": "invalid"}, {"reason": "invalidd"}]}, 422),
    ("GET", "/requests?path=user", None, 422),
    ("GET", "/requests?status=40", None, 422),
    ("GET", "/requests?limit=1001", None, 400),
    ("GET", "/requests?limit=-1", None, 400),
    ("GET", "/requests?after=x", None, 400),
    ("GET", "/requests?status=²", None, 400),
    ("GET", "/requests?limit=1&limit=2", None, 400),
    ("GET", "/requests?colour=blue", None, 400),
    ("DELETE", "/requests?operation=getUser", None, 400),
    ("DELETE", "/requests", {"operation": "getUser"}, 400),
    ("POST", "/next", {}, 422),
    ("POST", "/next", {"status": 418}, 422),
    ("POST", "/next", {"operation": "nobody", "status": 500}, 422),
    ("POST", "/next", {"operation": "getUser", "status": 500, "until": "2020-01-01"}, 422),
    ("POST", "/next", {"operation": "getUser", "reply": {"body": {"email": 1}}}, 422),
    ("POST", "/next", {"operation": "getUser", "reply": {"status": 204, "text": "x"}, "undocumented": True}, 422),
    ("POST", "/next", {"operation": "getUser", "reply": {"headers": {"Content-Length": "1"}}}, 422),
    ("POST", "/next", {"fault": {"type": "latency", "min": 2, "max": 1}}, 422),
    ("POST", "/next", {"status": 500, "undocumented": True, "body_at": {"/a": [[[[1]]]] * 100_000}}, 422),
    ("PUT", "/faults", [], 422),
    ("PUT", "/faults", {"faults": [{"status": 500}]}, 422),
    ("PUT", "/faults", {"faults": [{"fault": {"type": "reset"}}, {"fault": {"type": "gremlin"}}]}, 422),
    ("PUT", "/faults", {"faults": [{"fault": {"type": "reset"}}, {"fault": {"type": "reset"}, "path": "/x"}]}, 422),
    ("PUT", "/faults", {"faults": [{"fault": {"type": "reset"}}] * 1001}, 422),
    ("DELETE", "/stubs/nobody", None, 404),
    ("POST", "/reset", {"part": "journal"}, 400),
    ("POST", "/reset?part=journal", None, 400),
    ("POST", "/reset/everything", None, 404),
    ("GET", "/accounts/test/ledger?limit=x", None, 400),
    ("GET", "/clock?frozen=1", None, 400),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), REFUSED)
def test_a_refused_call_says_why_and_changes_nothing(
    client: TestClient, method: str, path: str, body: Any, status: int
) -> None:
    client.post("/ai/batches", json={"prompts": ["hello"]})
    before = state_of(client)

    content = b"" if body is None else orjson.dumps(body)
    response = client.request(method, f"/__admin{path}", content=content)

    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status
    assert response.json()["detail"]
    assert state_of(client) == before


@pytest.mark.parametrize(
    ("method", "path", "status", "detail"),
    [
        ("GET", "/verdic", 404, "No admin call has the path /__admin/verdic. Did you mean /__admin/verdict?"),
        ("GET", "/~", 404, "No admin call has the path /__admin/~."),
        ("GET", "/next", 405, "/__admin/next does not answer GET; it answers OPTIONS, POST."),
    ],
)
def test_a_misspelt_admin_call_gets_the_nearest_one(
    client: TestClient, method: str, path: str, status: int, detail: str
) -> None:
    response = client.request(method, f"/__admin{path}")

    assert (response.status_code, response.json()["detail"]) == (status, detail)


@pytest.mark.parametrize(
    ("method", "path", "body", "told"),
    [
        (
            "PUT",
            "/progression",
            {"progression": "polls:2"},
            '("immediate", "time:SECONDS" or "polls:COUNT"; or {"progression": "immediate"}, '
            '{"progression": "time", "seconds": 2} or {"progression": "polls", "polls": 3})',
        ),
        ("POST", "/next", {"operation": "getUser"}, "(a status, a reply or a fault)"),
        (
            "POST",
            "/next",
            {"fault": {"type": "latency"}},
            "(seconds, or min and max, or median and sigma, or median and sigma and cap)",
        ),
        ("POST", "/next", {"fault": "reset"}, "'reset' is not of type 'object'"),
    ],
)
def test_a_body_that_fits_no_alternative_lists_them_once(
    client: TestClient, method: str, path: str, body: Any, told: str
) -> None:
    [violation] = client.request(method, f"/__admin{path}", json=body).json()["violations"]

    assert violation["message"].endswith(told)


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (
            b'"warp"',
            422,
            "progression is 'warp'; wanted 'immediate', 'time:SECONDS' (0 or more) or 'polls:COUNT' (1 or ",
        ),
        (b"immediate", 400, 'wanted "immediate", "time:SECONDS" or "polls:COUNT"; or {"progression": "immediate"}'),
    ],
)
def test_an_invalid_progression_is_rejected_with_its_syntax(
    client: TestClient, body: bytes, status: int, told: str
) -> None:
    response = client.put("/__admin/progression", content=body)

    assert response.status_code == status
    assert told in response.json()["detail"]
    assert len(response.text) < 1000


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"reason": "no-credit"}, "reason is 'no-credit'; wanted one of " + ", ".join(Reason)),
        ({"reason": "no-credit"}, "Did you mean no-credits?"),
        ({"reason": "~"}, "failed."),
        (
            {"source": "hander"},
            "source is 'hander'; wanted one of handler, example, generated, stub, fault, upstream, proxy, fixture:*.",
        ),
        ({"source": "hander"}, "Did you mean handler?"),
        ({"source": "fixture"}, "Did you mean fixture:*?"),
        ({"source": "x*"}, "source is 'x*'; wanted one of handler,"),
        ({"operation": "getUsr"}, "Did you mean getUser?"),
    ],
)
def test_a_search_for_an_unknown_value_is_rejected_with_the_known_ones(
    client: TestClient, wanted: dict[str, str], told: str
) -> None:
    searches = [
        client.get("/__admin/requests", params=wanted),
        client.post("/__admin/requests/count", json={**wanted, "exactly": 0}),
        client.post("/__admin/requests/find", json=wanted),
        client.post("/__admin/requests/order", json={"requests": [wanted]}),
    ]

    assert [each.status_code for each in searches] == [422] * 4
    assert [each.json()["detail"] for each in searches if told not in each.json()["detail"]] == []


@pytest.mark.parametrize(
    "wanted",
    [
        *({"reason": each} for each in ("", *Reason)),
        *({"source": each} for each in ("", "handler", "stub", "fault", "fixture:a.yaml#1", "fixture:*", "fix*", "*")),
    ],
    ids=str,
)
def test_a_search_for_every_known_reason_and_source_is_accepted(client: TestClient, wanted: dict[str, str]) -> None:
    assert client.get("/__admin/requests", params=wanted).json()["requests"] == []
    assert client.post("/__admin/requests/count", json=wanted).json()["count"] == 0


@pytest.mark.parametrize("verb", ROUTES, ids=lambda verb: f"{verb.method} {verb.path}")
def test_every_admin_call_rejects_unknown_parameters(client: TestClient, verb: Any) -> None:
    before = state_of(client)

    response = client.request(verb.method, address(verb.path), params={"unheard": "of"})

    assert response.status_code == 400
    assert "'unheard'" in response.json()["detail"]
    assert state_of(client) == before


@pytest.mark.parametrize("verb", ROUTES, ids=lambda verb: f"{verb.method} {verb.path}")
def test_every_admin_call_rejects_unknown_fields(client: TestClient, verb: Any) -> None:
    before = state_of(client)

    response = client.request(verb.method, address(verb.path), json={"unheard": "of"})

    assert response.status_code == (400 if verb.body is None else 422)
    assert state_of(client) == before


@pytest.mark.parametrize("verb", BODIES, ids=lambda verb: f"{verb.method} {verb.path}")
def test_every_admin_call_with_a_body_rejects_invalid_json(client: TestClient, verb: Any) -> None:
    response = client.request(verb.method, address(verb.path), content=b"{")

    assert response.status_code == 400
    assert response.json()["detail"].startswith("The body is not JSON")


@pytest.mark.parametrize("path", sorted(PATHS))
def test_head_options_and_other_methods_behave_as_http_says(client: TestClient, path: str) -> None:
    methods = {verb.method for verb in ROUTES if verb.path == path}
    allowed = ", ".join(sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))

    options = client.options(address(path))
    patched = client.patch(address(path))
    headed = client.head(address(path))

    assert (options.status_code, options.headers["allow"]) == (204, allowed)
    assert (patched.status_code, patched.headers["allow"]) == (405, allowed)
    assert patched.headers["content-type"] == "application/problem+json"
    assert headed.status_code == (client.get(address(path)).status_code if "GET" in methods else 405)


@pytest.mark.parametrize("path", ["/__admin/nothing", "/__administrator", "/__admin/version/"])
def test_an_unknown_path_is_a_404_in_json(client: TestClient, path: str) -> None:
    response = client.get(path, follow_redirects=False)

    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_health_takes_no_other_method(client: TestClient, path: str) -> None:
    assert client.post(path).status_code == 405
    assert client.options(path).headers["allow"] == "GET, HEAD, OPTIONS"
    assert client.head(path).status_code == 200


def test_a_body_has_a_limit(client: TestClient) -> None:
    assert client.post("/__admin/requests/count", content=b" " * 1024 * 1024 + b"{}").status_code == 413
    assert client.post("/__admin/requests/count", content=b" " * (1024 * 1024 - 2) + b"{}").status_code == 200


# Who may call.


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_on_loopback_no_admin_token_is_needed(host: str) -> None:
    with make_client(host=host) as client:
        assert client.get("/__admin/version").status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "mock.example"])
def test_beyond_loopback_the_admin_api_is_closed_without_a_token(host: str) -> None:
    with make_client(host=host) as client:
        response = client.get("/__admin/version", headers={"X-Mock-Admin-Token": ""})

        assert response.status_code == 403
        assert "--admin-token" in response.json()["detail"]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_server_with_a_token_asks_for_it_everywhere(host: str) -> None:
    with make_client(host=host, admin_token="schlüssel") as client:
        assert client.post("/__admin/reset").status_code == 401
        assert client.post("/__admin/reset", headers={"X-Mock-Admin-Token": "guess"}).status_code == 401
        good: Any = {"X-Mock-Admin-Token": "schlüssel".encode()}  # bytes, because it is beyond ASCII
        assert client.post("/__admin/reset", headers=good).status_code == 200
        assert client.get("/health").status_code == 200
        assert client.get("/user").status_code == 200


def test_an_unauthorised_admin_call_changes_nothing() -> None:
    with make_client(admin_token="secret") as client:
        client.get("/user")
        client.delete("/__admin/requests")
        client.headers["X-Mock-Admin-Token"] = "secret"

        assert client.get("/__admin/requests").json()["seen"] == 1


def test_the_sandbox_is_that_of_the_header_else_the_token_else_the_default(client: TestClient) -> None:
    client.post("/__admin/clock/advance", json={"days": 1}, headers={"X-Mock-Sandbox": "a"})
    client.post("/__admin/clock/advance", json={"days": 2}, headers={"Authorization": "Bearer b"})
    del client.headers["Authorization"]
    client.post("/__admin/clock/advance", json={"days": 3})

    names = ("a", "b", "default")
    clocks = [client.get("/__admin/clock", headers={"X-Mock-Sandbox": name}).json()["unix"] for name in names]

    assert clocks == [UNIX + 86_400 * days for days in (1, 2, 3)]


def test_a_client_that_disconnects_within_its_body_is_no_error() -> None:
    sent: list[Any] = []
    messages = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/__admin/clock/advance", "query_string": b"", "headers": []}

    async def call() -> None:
        engine = make_engine()
        delivery = Delivery(engine.workers, AnswerSpace(), shows_source=False)
        await build_admin(engine, make_settings(), delivery, LoopTurns())(scope, receive, send)

    asyncio.run(call())

    assert sent == []


def test_an_internal_error_is_answered_in_json_and_logged_with_its_traceback(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cast(Any, client.app).engine.sandboxes, "page_by_use", lambda *_: ([None], 1))

    answer = client.get("/__admin/sandboxes")

    assert (answer.status_code, answer.json()["title"]) == (500, "Bug in mockserver")
    assert "GET /__admin/sandboxes met a bug in mockserver" in caplog.text
    assert "Traceback" in caplog.text


@pytest.mark.parametrize(("status", "shown"), [("9", "9"), ("6XX", "'6XX'")])
def test_a_search_for_no_status_is_told_what_a_status_is(client: TestClient, status: str, shown: str) -> None:
    refused = client.get("/__admin/requests", params={"status": status})

    message = refused.json()["violations"][0]["message"]
    assert message == f"{shown} fits no alternative (a status from 100 to 599, or a class such as 4XX)"
