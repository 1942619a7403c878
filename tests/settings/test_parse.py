"""Settings with a syntax of their own: addresses of stores, origins of web pages, names of replicas."""

import pytest

from mockserver.errors import SettingsError
from mockserver.settings.parse import (
    CORS_WANTED,
    STORE_WANTED,
    InvalidValue,
    StoreAddress,
    invalid_value,
    is_digits,
    read_cors,
    read_instant,
    read_replica,
    read_store,
    truncated_repr,
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("memory", StoreAddress("memory", "")),
        ("sqlite:///data/x.db", StoreAddress("sqlite", "/data/x.db")),
        ("sqlite:////data/x.db", StoreAddress("sqlite", "/data/x.db")),
        ("SQLite:///x", StoreAddress("sqlite", "/x")),
        ("redis://host", StoreAddress("redis", "redis://host")),
        ("REDIS://host:1/0", StoreAddress("redis", "redis://host:1/0")),
        ("rediss://:secret@host:65535/12", StoreAddress("redis", "rediss://:secret@host:65535/12")),
        ("redis://[::1]", StoreAddress("redis", "redis://[::1]")),
        ("redis://[::1]:6379", StoreAddress("redis", "redis://[::1]:6379")),
        ("redis://u:p@w@host/", StoreAddress("redis", "redis://u:p@w@host/")),
        ("rediss://h?ssl_cert_reqs=none&ssl_ca_certs=a&ssl_certfile=b&ssl_keyfile=c",
         StoreAddress("redis", "rediss://h?ssl_cert_reqs=none&ssl_ca_certs=a&ssl_certfile=b&ssl_keyfile=c")),
        ("unix:///run/x.sock", StoreAddress("redis", "unix:///run/x.sock")),
        ("unix://:secret@/run/x.sock?db=1&username=a&&password=b",
         StoreAddress("redis", "unix://:secret@/run/x.sock?db=1&username=a&&password=b")),
    ],
)  # fmt: skip
def test_the_address_of_a_store(text: str, address: StoreAddress) -> None:
    assert read_store(text) == address


SQLITE = "wanted sqlite:///ABSOLUTE/PATH.db"
REDIS = "wanted redis://HOST:PORT/DB or unix:///PATH/TO.sock?db=DB"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Memory", f"it is no URL; wanted {STORE_WANTED}"),
        ("/data/x.db", f"it is no URL; wanted {STORE_WANTED}"),
        ("http://secret", f"the scheme 'http' is unknown; wanted {STORE_WANTED}"),
        ("a" * 30 + "://secret", f"the scheme '{'a' * 20}' is unknown; wanted {STORE_WANTED}"),
        ("sqlite:x.db", f"the path of a SQLite file must be absolute; {SQLITE}"),
        ("sqlite:/x.db", f"the path of a SQLite file must be absolute; {SQLITE}"),
        ("sqlite", f"the path of a SQLite file must be absolute; {SQLITE}"),
        ("sqlite://x.db", f"the path of a SQLite file must be absolute; {SQLITE}"),
        ("sqlite:///x.db?a", f"a SQLite URL has no '?' and no '#'; {SQLITE}"),
        ("sqlite:///x.db#a", f"a SQLite URL has no '?' and no '#'; {SQLITE}"),
        ("sqlite:///", f"the URL names no file; {SQLITE}"),
        ("sqlite:///data/", f"the URL names no file; {SQLITE}"),
        ("sqlite:///a\0b", f"the URL names no file; {SQLITE}"),
        ("redis://", f"the host is missing; {REDIS}"),
        ("redis://:6379", f"the host is missing; {REDIS}"),
        ("redis://secret@", f"the host is missing; {REDIS}"),
        ("redis://secret@:1", f"the host is missing; {REDIS}"),
        ("redis://host:", f"the port is no number from 1 to 65535; {REDIS}"),
        ("redis://host:0", f"the port is no number from 1 to 65535; {REDIS}"),
        ("redis://host:65536", f"the port is no number from 1 to 65535; {REDIS}"),
        ("redis://host:secret", f"the port is no number from 1 to 65535; {REDIS}"),
        ("redis://host/a", f"the database is no number; {REDIS}"),
        ("redis://host/0?db=1", f"the query is unknown; {REDIS}"),
        ("rediss://host?ssl_keyfile=a&x=1", f"the query is unknown; {REDIS}"),
        ("unix://x.sock", f"the socket's path is missing; {REDIS}"),
        ("unix:///x.sock?ssl_keyfile=a", f"the socket's path is missing; {REDIS}"),
    ],
)
def test_another_address_is_refused_without_repeating_it(text: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_store(text, "here")

    assert str(caught.value) == f"here: {problem}"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("off", set()),
        ("local", {"local"}),
        ("any, null", {"any", "null"}),
        ("https://A.example", {"https://a.example"}),
        ("https://a.example/", {"https://a.example"}),
        ("https://a.example:443,http://a.example:80", {"https://a.example", "http://a.example"}),
        ("https://a.example:80,http://a.example:443", {"https://a.example:80", "http://a.example:443"}),
        ("app://a:443", {"app://a:443"}),
        ("http://a:65535", {"http://a:65535"}),
        ("http://[::1]:1 , local", {"http://[::1]:1", "local"}),
    ],
)
def test_origins_are_those_that_browsers_send(text: str, origins: set[str]) -> None:
    assert read_cors(text) == origins


@pytest.mark.parametrize(
    "text",
    ["", "off,local", "a.example", "http://a/b", "http://a:0", "http://a:65536", "http://a:123456", "any,", "*"],
)
def test_other_origins_are_refused(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_cors(text)

    assert str(caught.value) == f"cors is {text!r}; wanted {CORS_WANTED}"


def test_the_name_of_a_replica_is_short_and_plain() -> None:
    assert [read_replica(text) for text in ("", "a-1._Z", "x" * 253)] == ["", "a-1._Z", "x" * 253]
    for text in ("a b", "ä", "x" * 254):
        with pytest.raises(SettingsError, match=r"^replica: '.* is no name of a replica; wanted 1 to 253 of"):
            read_replica(text)


def test_digits_are_ascii_and_fit_into_64_bits() -> None:
    assert [is_digits(text) for text in ("0", "9" * 19, "9" * 20, "", "-1", "1_0", "\u0661")] == [
        True,
        True,
        *[False] * 5,
    ]


def test_a_value_is_shown_in_one_line_of_200_characters() -> None:
    assert truncated_repr("x" * 198) == repr("x" * 198)
    assert truncated_repr("x" * 199) == f"'{'x' * 199}..."
    problem = invalid_value("here", "a\nb", "text")
    assert (str(problem), problem.came, problem.wanted) == ("here is 'a\\nb'; wanted text", "'a\\nb'", "text")
    assert isinstance(problem, InvalidValue)


def test_an_instant_ends_with_the_year_9999() -> None:
    assert read_instant("9999-12-31T23:59:59.999999") == 253_402_300_799.0
    assert read_instant("9999-12-31T23:59:59-01:00") is None
    assert read_instant("1970-01-01T01:00:00+01:00") == 0.0
