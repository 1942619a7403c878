"""Which documented media type answers an Accept header."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.openapi.wire.negotiation import negotiate

JSON, XML, VENDOR, TEXT = "application/json", "application/xml", "application/vnd.api+json", "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("offered", "accept", "found"),
    [
        ((JSON, XML), "", JSON),
        ((JSON, XML), "*/*", JSON),
        ((JSON, XML), "application/xml", XML),
        ((JSON, XML), "application/json;q=0.8, application/xml;q=0.9", XML),
        ((JSON, XML), "APPLICATION/XML", XML),
        ((JSON, XML), "text/*", None),
        ((JSON, TEXT), "text/*;q=0.5", TEXT),
        ((JSON, TEXT), "text/plain", TEXT),
        ((JSON,), "application/json;q=0", None),
        ((JSON, XML), "*/*, application/json;q=0", XML),
        ((VENDOR,), "application/json", VENDOR),
        ((VENDOR,), "application/*+json", VENDOR),
        ((JSON, VENDOR), "application/json, application/vnd.api+json;q=0.1", JSON),
        ((VENDOR,), "application/vnd.api+json; version=1", VENDOR),
        (("*/*",), "image/png", "*/*"),
        (("image/*", JSON), "image/png", "image/*"),
        ((JSON,), "nonsense", None),
        ((JSON,), "application/json;q=high", JSON),
        ((), "*/*", None),
    ],
)
def test_the_best_of_those_offered_is_found(offered: tuple[str, ...], accept: str, found: str | None) -> None:
    assert negotiate(offered, accept) == found


@given(st.text(max_size=60))
def test_any_header_is_read(accept: str) -> None:
    assert negotiate((JSON, XML), accept) in {JSON, XML, None}
