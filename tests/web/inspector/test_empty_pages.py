"""A page that has nothing to show says what to do next, with a command to copy that does it."""

import re
import shlex
from html import unescape

import pytest
from builders import make_client
from starlette.testclient import TestClient

COMMAND = re.compile(r'class="empty">.*?<pre tabindex="0" data-copy>(curl .*?)</pre>', re.DOTALL)
PAGES = ("/requests", "/batches", "/accounts", "/next", "/callbacks", "/verdict", "/coverage", "/sandbox")


def run(client: TestClient, command: str) -> int:
    """The status of what the curl command asks for."""
    _, url, *options = shlex.split(command)
    pairs = list(zip(options[::2], options[1::2], strict=True))
    headers = dict(value.split(": ", 1) for name, value in pairs if name == "-H")
    (body,) = (value for name, value in pairs if name == "-d")
    return client.post(url, content=body, headers=headers).status_code


@pytest.mark.parametrize("path", PAGES)
def test_the_command_on_an_empty_page_fills_it(path: str) -> None:
    with make_client() as client:
        address = f"/__admin/ui{path}?sandbox=it%27s%20mine"
        found = COMMAND.search(client.get(address).text)
        assert found is not None

        assert run(client, unescape(found[1])) < 300

        assert COMMAND.search(client.get(address).text) is None
        listed = client.get("/__admin/sandboxes").json()["sandboxes"]
    assert [each["name"] for each in listed] == ["it's mine"]


def test_the_command_on_the_page_without_sandboxes_makes_one() -> None:
    with make_client() as client:
        found = COMMAND.search(client.get("/__admin/").text)
        assert found is not None

        assert run(client, unescape(found[1])) == 202

        assert 'class="empty"' not in client.get("/__admin/").text
