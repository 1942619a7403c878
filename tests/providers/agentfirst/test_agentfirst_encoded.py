"""Names of Agent First may be form- or URL-encoded, in bodies and in queries; they are shown decoded."""

from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import pytest
from builders import ask, bytes_of, make_engine, queue, value_of, violations_of
from hypothesis import given
from hypothesis import strategies as st

from mockserver.engine.engine import Engine
from mockserver.openapi.requests import decoded
from mockserver.openapi.schema import _languages

ENGINE = make_engine()
DEVICES: list[str] = value_of(ask(ENGINE, "GET", "/ai/devices"))
SPELLINGS = (
    str,
    quote,
    quote_plus,
    lambda name: quote(name, safe=";,/?:@&=+$!*'()#"),
    lambda name: quote(name).lower(),
)
"""Plain, URL-encoded, form-encoded, as JavaScript's `encodeURI` does, and with everything in lower case."""


def targeting(engine: Engine, **fields: Any) -> dict[str, Any]:
    """What the completion of a batch's only prompt shows."""
    id_ = queue(engine, "Where is live music tonight?", **fields)
    status = value_of(ask(engine, "GET", "/ai/batches", query={"id": id_}))
    archive = ask(engine, "GET", status["url"].partition(":4024")[2], query={"format": "ndjson"}, token=None)
    shown: dict[str, Any] = value_of(archive)
    return shown


def asked(query: str) -> dict[str, Any]:
    response = ask(ENGINE, "GET", "/ai", query=f"prompt=Hello&{query}")
    assert response.status == 200, response
    shown: dict[str, Any] = value_of(response)
    return shown


@pytest.mark.parametrize("name", DEVICES)
def test_every_device_is_known_in_every_spelling(name: str) -> None:
    for spell in SPELLINGS:
        spelling = spell(name)
        response = ask(ENGINE, "POST", "/ai/batches", json={"prompts": ["a"], "device": spelling})
        assert response.status == 202, spelling
        assert asked(urlencode({"device": spelling}))["device"].lower() == name.lower()


@pytest.mark.parametrize(
    ("given_", "shown"),
    [
        ("New York", "New York"),
        ("New%20York", "New York"),
        ("New+York", "New York"),
        ("S%C3%A3o+Paulo", "São Paulo"),
        ("São Paulo", "São Paulo"),
        ("Saint-Denis%2C%20R%C3%A9union", "Saint-Denis, Réunion"),
        ("100%", "100%"),
        ("%E9", "%E9"),
        ("%zz", "%zz"),
        ("New%2520York", "New%20York"),
    ],
)
def test_a_city_is_shown_decoded(given_: str, shown: str) -> None:
    assert targeting(ENGINE, country="US", city=given_)["city"] == shown
    assert asked(urlencode({"country": "US", "city": given_}))["city"] == shown


def test_encoded_names_in_json_escapes_are_decoded() -> None:
    body = b'{"prompts": ["a"], "country": "US", "city": "New\\u002520York"}'
    response = ask(ENGINE, "POST", "/ai/batches", body=body, headers={"content-type": "application/json"})
    status = value_of(ask(ENGINE, "GET", "/ai/batches", query={"id": value_of(response)["id"]}))
    archive = ask(ENGINE, "GET", status["url"].partition(":4024")[2], query={"format": "ndjson"}, token=None)

    assert value_of(archive)["city"] == "New York"


@pytest.mark.parametrize("suffix", ["", " (planned)"])
def test_languages_countries_and_subdivisions_may_be_encoded_too(suffix: str) -> None:
    fields = {"country": "%55S", "subdivision": "T%4E", f"language{suffix}": "Haitian%20Creole"}

    shown = targeting(ENGINE, **fields, **{f"display{suffix}": "Norwegian+Bokm%C3%A5l"})
    assert (shown["country"], shown["subdivision"]) == ("US", "TN")
    assert (shown["language (planned)"], shown["display (planned)"]) == ("Haitian Creole", "Norwegian Bokmål")


@pytest.mark.parametrize("name", sorted(name for name in _languages() if not name.isalpha()))
def test_every_language_with_spaces_or_marks_may_be_encoded(name: str) -> None:
    for spell in SPELLINGS:
        response = ask(ENGINE, "POST", "/ai/batches", json={"prompts": ["a"], "language": spell(name)})
        assert response.status == 202, spell(name)


@pytest.mark.parametrize("strict", [False, True])
def test_both_forms_are_accepted_strict_or_not(strict: bool) -> None:
    engine = make_engine(strict=strict)
    for device in ("iPhone 15 Pro", "iPhone%2015%20Pro", "iPhone+15+Pro"):
        assert targeting(engine, device=device)["device"] == "iPhone 15 Pro"


def test_an_encoded_name_that_is_unknown_is_still_refused() -> None:
    for field, name in (("device", "iPhone%2099"), ("country", "%58X"), ("language", "Kling%6Fn")):
        response = ask(ENGINE, "POST", "/ai/batches", json={"prompts": ["a"], field: name})
        assert (response.status, violations_of(response)[0]["location"]) == (422, ["body", field])


def test_prompts_are_never_decoded() -> None:
    prompt = "100%25 of C++ and %5Bmock:fail%5D"

    assert targeting(ENGINE)["prompt"] == "Where is live music tonight?"
    id_ = queue(ENGINE, prompt, country="US", city="New%20York")
    status = value_of(ask(ENGINE, "GET", "/ai/batches", query={"id": id_}))
    archive = ask(ENGINE, "GET", status["url"].partition(":4024")[2], query={"format": "ndjson"}, token=None)
    assert (status["successful"], value_of(archive)["prompt"]) == (1, prompt)
    assert asked(urlencode({"prompt": "x"}).replace("prompt=x", "format=json"))["prompt"] == "Hello"


def test_the_same_targeting_in_another_spelling_has_the_same_answer() -> None:
    plain = targeting(make_engine(), country="US", city="New York")

    assert targeting(make_engine(), country="US", city="New%20York") == plain
    assert bytes_of(ask(ENGINE, "GET", "/ai", query="prompt=a&country=US&city=New%2520York")) == bytes_of(
        ask(ENGINE, "GET", "/ai", query="prompt=a&country=US&city=New+York")
    )


@given(st.text())
def test_encoding_and_decoding_gives_the_same_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    assert decoded(quote(text, safe="")) == text
    if "%20" not in text:
        assert decoded(quote_plus(text)) == text


@given(st.text("%+ 2aF\ud800é"))
def test_anything_can_be_decoded(text: str) -> None:
    assert isinstance(decoded(text), str)
