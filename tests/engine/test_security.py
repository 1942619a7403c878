"""A document's security schemes at work: 401 with a challenge, 403 where documented, keys that name a sandbox."""

from pathlib import Path
from typing import Any

import pytest
from builders import ask, make_document, make_engine, make_operation, value_of, write_json

from mockserver.engine.engine import Engine
from mockserver.sandbox.journal import without_secrets

KEY = {"type": "apiKey", "in": "header", "name": "X-Customer"}
SCHEMES = {
    "key": KEY,
    "query": {"type": "apiKey", "in": "query", "name": "appid"},
    "bearer": {"type": "http", "scheme": "bearer"},
}


def engine_with(folder: Path, *security: dict[str, Any], also: str = "", **changes: Any) -> Engine:
    """An engine with a foreign `GET /thing`, which asks for this; `also` is another status that it documents."""
    operation = make_operation("thing", example={"fine": True}) | {"security": list(security)}
    if also:
        operation["responses"][also] = {"description": "No.", "content": {"application/json": {"example": {"no": 1}}}}
    document = make_document({"/thing": {"get": operation}}, components={"securitySchemes": SCHEMES})
    return make_engine(spec=(str(write_json(folder / "their.json", document)),), **changes)


def closed(folder: Path) -> dict[str, Any]:
    """Settings under which the only good credential is `good`."""
    write_json(folder / "mine" / "accounts.json", {"closed": True, "accounts": [{"token": "good"}]})
    return {"fixtures": (str(folder / "mine"),)}


def test_a_key_that_the_document_asks_for_is_needed(tmp_path: Path) -> None:
    engine = engine_with(tmp_path, {"key": []})

    without = ask(engine, "GET", "/thing", token=None)

    assert without.status == 401
    assert dict(without.headers)["WWW-Authenticate"] == 'ApiKey realm="mockserver", in="header", name="X-Customer"'
    assert ask(engine, "GET", "/thing", token="a-bearer-token").status == 401
    assert value_of(ask(engine, "GET", "/thing", token=None, headers={"x-customer": "ann"})) == {"fine": True}


def test_one_security_requirement_suffices_and_needs_all_its_schemes(tmp_path: Path) -> None:
    engine = engine_with(tmp_path, {"key": [], "query": []}, {"bearer": []})

    answers = [
        ask(engine, "GET", "/thing", token="one"),
        ask(engine, "GET", "/thing", token=None, headers={"x-customer": "ann"}, query="appid=1"),
        ask(engine, "GET", "/thing", token=None, headers={"x-customer": "ann"}),
    ]

    assert [each.status for each in answers] == [200, 200, 401]


def test_an_optional_credential_is_not_needed(tmp_path: Path) -> None:
    engine = engine_with(tmp_path, {}, {"key": []}, **closed(tmp_path))

    statuses = [ask(engine, "GET", "/thing", token=None, headers=each).status for each in ({}, {"x-customer": "bad"})]

    assert statuses == [200, 401]


@pytest.mark.parametrize(("also", "status"), [("", 401), ("401", 401), ("403", 403)])
def test_a_bad_credential_is_403_where_that_is_documented(tmp_path: Path, also: str, status: int) -> None:
    engine = engine_with(tmp_path, {"bearer": []}, also=also, **closed(tmp_path))

    answer = ask(engine, "GET", "/thing", token="bad")

    assert answer.status == status
    challenge = dict(answer.headers).get("WWW-Authenticate")
    assert challenge == (None if status == 403 else 'Bearer realm="mockserver", error="invalid_token"')
    assert ask(engine, "GET", "/thing", token="good").status == 200


def test_a_key_names_the_sandbox_and_is_shown_redacted(tmp_path: Path) -> None:
    engine = engine_with(tmp_path, {"key": []}, {"query": []})

    ask(engine, "GET", "/thing", token=None, headers={"x-customer": "customer-0123456789"})
    ask(engine, "GET", "/thing", token=None, query="appid=application-0123456789")

    sandboxes = [engine.sandboxes.named(name) for name in ("customer-0123456789", "application-0123456789")]
    assert [each.journal.seen for each in sandboxes if each and each.is_named_by_token] == [1, 1]

    shown = [without_secrets(exchange) for each in sandboxes if each for exchange in each.journal.find(lambda _: True)]
    assert "0123456789" not in str(shown)
    assert shown[1].request.query == "appid=[redacted]"


def test_the_bundled_apis_authenticate_as_documented() -> None:
    engine = make_engine()

    first, other = ask(engine, "GET", "/user", token=None), ask(engine, "GET", "/v1/models", token=None)

    assert (first.status, other.status) == (401, 401)
    assert "WWW-Authenticate" not in dict(first.headers)
    assert dict(other.headers)["WWW-Authenticate"].startswith("Bearer")
