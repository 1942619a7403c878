"""The page of what Python has is complete: every public member stands there, with a sentence of its own."""

import importlib.util
import inspect
from collections.abc import Iterator
from types import ModuleType

import pytest
from doc_pages import DOCS

from mockserver.client.client import Client, Clock, SandboxClient
from mockserver.testing.pool import LeasedSandbox


@pytest.fixture(scope="module")
def members() -> ModuleType:
    spec = importlib.util.spec_from_file_location("members", DOCS / "members.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def public(kind: type) -> Iterator[str]:
    return (name for name in dir(kind) if not name.startswith("_"))


@pytest.mark.parametrize(
    ("kind", "prefix"),
    [(LeasedSandbox, "sandbox"), (SandboxClient, "sandbox"), (Clock, "sandbox-clock"), (Client, "mockserver-client")],
)
def test_every_public_member_is_on_the_page_once(members: ModuleType, kind: type, prefix: str) -> None:
    page = members.members_page()
    anchors = {name: f"{{ #{prefix}-{name.replace('_', '-')} }}" for name in public(kind)}

    assert len(anchors) >= 6
    assert {name: page.count(anchor) for name, anchor in anchors.items()} == dict.fromkeys(anchors, 1)


@pytest.mark.parametrize("kind", [LeasedSandbox, Clock, Client])
def test_every_public_member_has_a_sentence(kind: type) -> None:
    assert [name for name in public(kind) if not inspect.getdoc(getattr(kind, name))] == []


def test_a_member_is_shown_as_it_is_written(members: ModuleType) -> None:
    page = members.members_page()

    assert "\nsandbox.credits: int  # read, assign\n" in page
    assert "\nsandbox.set_account(token: str | None = None, **facts: Any) -> dict[str, Any]\n" in page
    assert "\nsandbox.clock.advance(*, seconds: float = 0, " in page
    assert "unknown" not in page.partition("sandbox.clock.advance(")[2].partition("\n")[0]
    assert "mockserver.kit" not in page
