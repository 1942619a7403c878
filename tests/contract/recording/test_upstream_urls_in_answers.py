"""Which URLs in answers are the live API's, and lead to the proxy while recording."""

import json

import pytest

from mockserver.contract.recording.urls import UpstreamUrls

OWN = "http://127.0.0.1:4024"


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("https://api.example/a?b=1", f"{OWN}/a?b=1"),
        ("see https://api.example.", f"see {OWN}."),
        ("https://api.example", OWN),
        ("https://api.example?x https://api.example/", f"{OWN}?x {OWN}/"),
        ("https://api.example.org/a", "https://api.example.org/a"),
        ("https://api.example:8443/a", "https://api.example:8443/a"),
        ("https://api.examples/a", "https://api.examples/a"),
        ("https://my-api.example/a", "https://my-api.example/a"),
        ("http://api.example/a", "http://api.example/a"),
    ],
)
def test_only_urls_of_the_api_are_replaced(text: str, made: str) -> None:
    urls = UpstreamUrls("https://api.example")
    escaped = json.dumps({"url": text}).replace("/", "\\/").encode()

    assert urls.in_bytes(text.encode(), OWN) == made.encode()
    assert urls.in_value({"a": [text, 1, None]}, OWN) == {"a": [made, 1, None]}
    assert json.loads(urls.in_bytes(escaped, OWN)) == {"url": made}
    assert urls.are_in(text.encode()) == ("api.example" in text)


def test_a_path_belongs_to_the_address() -> None:
    urls = UpstreamUrls("https://api.example/v1")

    assert urls.in_bytes(b"https://api.example/v1/a https://api.example/v10/a https://api.example/a", OWN) == (
        f"{OWN}/a https://api.example/v10/a https://api.example/a".encode()
    )
