"""Pact file and verdict of a whole server: bounded, and they say what they left out."""

from typing import Any

import pytest
from builders import make_client

from mockserver.web.admin import verify


def left_out(answer: Any) -> list[str]:
    """The notes of sandboxes that were left out."""
    return [each for each in answer["notes"] if "request them one by one" in each]


def read_from_three_sandboxes(path: str, **scope: str) -> Any:
    with make_client(clock="frozen") as client:
        for name in ("a", "b", "c"):
            for _ in range(2):
                client.get("/user", headers={"X-Mock-Sandbox": name})
        return client.get(f"/__admin/{path}", params=scope, headers={"X-Mock-Sandbox": "a"}).json()


@pytest.mark.parametrize(
    ("most", "left"),
    [(1, 2), (2, 1), (4, 0), (5, 0)],
)
def test_sandboxes_beyond_the_bound_are_counted(monkeypatch: pytest.MonkeyPatch, most: int, left: int) -> None:
    monkeypatch.setattr(verify, "MAX_EXCHANGES", most)

    found = read_from_three_sandboxes("pact", scope="server")
    judged = read_from_three_sandboxes("verdict", scope="server")

    were = "1 sandbox was" if left == 1 else f"{left} sandboxes were"
    assert left_out(found) == ([f"{were} not read; request them one by one."] if left else [])
    assert left_out(judged) == ([f"{were} not checked; request them one by one."] if left else [])
    assert len(found["pacts"]) == 1


def test_the_pact_and_verdict_of_one_sandbox_read_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "MAX_EXCHANGES", 0)

    assert left_out(read_from_three_sandboxes("pact")) == []
    assert left_out(read_from_three_sandboxes("verdict")) == []
