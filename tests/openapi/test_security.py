"""Which credential a request holds, by the security schemes of a document."""

from base64 import b64encode

import pytest

from mockserver.http import Request
from mockserver.openapi.security import (
    BEARER,
    Requirement,
    SecurityScheme,
    format_challenges,
    missing_scheme,
    read_credential,
    read_scheme,
)

KEY = SecurityScheme("apikey", "X-Key")
QUERY = SecurityScheme("apikey", "key", "query")
COOKIE = SecurityScheme("apikey", "sid", "cookie")
BASIC = SecurityScheme("basic")


def make_basic(text: str) -> str:
    return f"Basic {b64encode(text.encode()).decode()}"


def request(query: str = "", **headers: str) -> Request:
    return Request("GET", "/", query, {name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    ("scheme", "given", "credential"),
    [
        (BEARER, request(authorization="Bearer one"), "one"),
        (BEARER, request(authorization="Basic one"), ""),
        (KEY, request(x_key=" one "), "one"),
        (KEY, request(x_key=""), ""),
        (KEY, request(), None),
        (QUERY, request("a=1&key=o%20ne"), "o ne"),
        (QUERY, request("k%65y=one"), "one"),
        (QUERY, request("a=1&akey=one"), None),
        (QUERY, request(f"key=1&{'a=1&' * 1001}"), None),
        (COOKIE, request(cookie='a=1; sid="one"'), "one"),
        (COOKIE, request(cookie="a=1"), None),
        (COOKIE, request(), None),
        (BASIC, request(authorization=make_basic("ann:secret")), "ann:secret"),
        (BASIC, request(authorization=make_basic("ann:")), "ann"),
        (BASIC, request(authorization="Basic ?"), ""),
        (BASIC, request(authorization="Bearer one"), ""),
        (BASIC, request(), None),
        (SecurityScheme("digest"), request(authorization="Digest a=1"), "a=1"),
    ],
)
def test_a_scheme_reads_its_credential(scheme: SecurityScheme, given: Request, credential: str | None) -> None:
    assert scheme.read(given) == credential


@pytest.mark.parametrize(
    ("security", "given", "credential"),
    [
        (((KEY,), (BEARER,)), request(authorization="Bearer one"), "one"),
        (((KEY,), (BEARER,)), request(x_key="two"), "two"),
        (((KEY, BEARER),), request(x_key="two", authorization="Bearer one"), "one"),
        (((KEY, QUERY),), request("key=one", x_key="two"), "two"),
        (((KEY, BEARER),), request(x_key="two"), ""),
        (((KEY, BEARER),), request(), None),
        (((), (KEY,)), request(x_key="two"), "two"),
        (((), (KEY,)), request(), None),
    ],
)
def test_one_requirement_must_be_fulfilled_whole(
    security: tuple[Requirement, ...], given: Request, credential: str | None
) -> None:
    assert read_credential(security, given) == credential


def test_the_missing_credential_is_that_of_the_first_unfulfilled_scheme() -> None:
    assert missing_scheme(((KEY, BEARER),), request(x_key="one")) == BEARER
    assert missing_scheme(((KEY, BEARER),), request(x_key="one", authorization="Bearer two")) == KEY


def test_challenges_name_every_scheme_once() -> None:
    assert format_challenges(((BEARER,), (BEARER, KEY)), is_invalid=True) == (
        'Bearer realm="mockserver", error="invalid_token", ApiKey realm="mockserver", in="header", name="X-Key"'
    )
    assert format_challenges(((BASIC,),), is_invalid=True) == 'Basic realm="mockserver"'


@pytest.mark.parametrize(
    "definition", [{"type": "mutualTLS"}, {"type": "apiKey", "in": "body", "name": "key"}, {"type": "unheard of"}]
)
def test_an_unsupported_security_scheme_is_ignored(definition: dict[str, str]) -> None:
    assert read_scheme(definition) is None
