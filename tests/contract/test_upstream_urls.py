"""The address of an API on the command line, and coded bodies of its answers."""

import gzip
import zlib

import pytest

from mockserver.contract.capture import decoded_body
from mockserver.contract.upstream import parse_upstream
from mockserver.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "shown", "authority", "prefix"),
    [
        ("http://api.example", "http://api.example", "api.example", ""),
        ("http://api.example:80/", "http://api.example", "api.example", ""),
        ("https://api.example:443/v1/", "https://api.example/v1", "api.example", "/v1"),
        ("https://api.example:80", "https://api.example:80", "api.example:80", ""),
        ("http://[::1]:4024/a/b", "http://[::1]:4024/a/b", "[::1]:4024", "/a/b"),
    ],
)
def test_an_address_is_read(text: str, shown: str, authority: str, prefix: str) -> None:
    url = parse_upstream(text)

    assert (str(url), url.authority, url.prefix) == (shown, authority, prefix)


@pytest.mark.parametrize("user", ["ann@", "ann:s3cret@", ":s3cret@", "@"])
def test_an_address_with_a_user_is_refused_without_showing_it(user: str) -> None:
    with pytest.raises(SettingsError, match="holds a user name or a password") as refused:
        parse_upstream(f"https://{user}api.example")

    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "api.example",
        "ftp://api.example",
        "http://",
        "http:///v1",
        "http://api.example?a=b",
        "http://api.example#a",
        "http://äpi.example",
    ],
)
def test_another_address_is_refused_with_what_is_wanted(text: str) -> None:
    with pytest.raises(SettingsError, match="wanted http://HOST or https://HOST"):
        parse_upstream(text)


@pytest.mark.parametrize("text", ["http://api.example:port", "http://api.example:65536", "http://[::1"])
def test_an_address_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="the URL cannot be read; wanted http"):
        parse_upstream(text)


RAW = zlib.compressobj(wbits=-15)
TEXT = b"x" * 100
DEFLATED = RAW.compress(TEXT) + RAW.flush()


@pytest.mark.parametrize(
    ("content", "coding", "decoded"),
    [
        (TEXT, "", TEXT),
        (TEXT, "identity", TEXT),
        (gzip.compress(TEXT, mtime=0), "gzip", TEXT),
        (gzip.compress(TEXT, mtime=0), " X-GZIP ,", TEXT),
        (zlib.compress(TEXT), "deflate", TEXT),
        (gzip.compress(zlib.compress(TEXT), mtime=0), "deflate, identity, gzip", TEXT),
        (gzip.compress(zlib.compress(TEXT), mtime=0), "gzip, deflate", None),
        (TEXT, "br", None),
        (TEXT, "gzip", None),
        (gzip.compress(TEXT, mtime=0)[:-9], "gzip", None),
        (gzip.compress(TEXT + b"x", mtime=0), "gzip", None),
    ],
)
def test_a_coded_body_is_decoded_up_to_its_limit(content: bytes, coding: str, decoded: bytes | None) -> None:
    assert decoded_body(content, coding, 100) == decoded


def test_of_a_long_address_200_characters_are_shown() -> None:
    with pytest.raises(SettingsError) as refused:
        parse_upstream("ftp://" + "a" * 300)

    assert f"'ftp://{'a' * 194}'" in str(refused.value)
