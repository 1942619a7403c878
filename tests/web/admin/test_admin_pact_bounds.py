"""The pact file of a whole server: bounded, and it says what it left out."""

from typing import Any

import pytest
from builders import make_client

from mockserver.web.admin import verify


def pact_of_three_sandboxes(**scope: str) -> Any:
    with make_client(clock="frozen") as client:
        for name in ("a", "b", "c"):
            for _ in range(2):
                client.get("/user", headers={"X-Mock-Sandbox": name})
        return client.get("/__admin/pact", params=scope, headers={"X-Mock-Sandbox": "a"}).json()


@pytest.mark.parametrize(
    ("most", "notes"),
    [
        (1, ["2 sandboxes were not read; request them one by one."]),
        (2, ["1 sandboxes were not read; request them one by one."]),
        (4, []),
        (5, []),
    ],
)
def test_sandboxes_beyond_the_bound_are_counted(monkeypatch: pytest.MonkeyPatch, most: int, notes: list[str]) -> None:
    monkeypatch.setattr(verify, "MAX_EXCHANGES", most)

    found = pact_of_three_sandboxes(scope="server")

    assert found["notes"] == notes
    assert len(found["pacts"]) == 1


def test_the_pact_of_one_sandbox_reads_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "MAX_EXCHANGES", 0)

    assert pact_of_three_sandboxes()["notes"] == []
