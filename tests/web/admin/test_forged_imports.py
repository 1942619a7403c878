"""Whatever is imported, reading the sandbox never fails; what would make it fail is refused, and loses nothing."""

from collections.abc import Iterator
from random import Random
from typing import Any

import orjson
import pytest
from builders import make_engine, make_settings
from forgeries import TOKEN, fill, forged, misreadings
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from mockserver.engine.engine import Engine
from mockserver.web.app import create_app

HERE = {"X-Mock-Sandbox": TOKEN}
CHANGES: Any = {"rate_limit": 60_000, "callbacks": "inbox"}
DAYS = 200_000.0
"""Seconds after which every batch of the export has come to an end."""


class Imports:
    """A server that imports, and a genuine export to forge."""

    def __init__(self, client: TestClient, engine: Engine, genuine: bytes) -> None:
        self.client = client
        self.engine = engine
        self.genuine = genuine

    def post(self, document: Any) -> Any:
        content = document if isinstance(document, bytes) else orjson.dumps(document)
        return self.client.post("/__admin/import", content=content, headers=HERE)

    def export(self) -> bytes:
        return self.client.get("/__admin/export?journal=true", headers=HERE).content

    def misread(self, seconds: float) -> list[str]:
        """Reads that fail after so many seconds."""
        self.client.post("/__admin/clock/advance", json={"seconds": seconds}, headers=HERE)
        return list(misreadings(self.client, self.engine))


@pytest.fixture(scope="module")
def imports() -> Iterator[Imports]:
    engine = make_engine(**CHANGES)
    client = TestClient(create_app(make_settings(**CHANGES), engine=engine), base_url="http://127.0.0.1:4024")
    fill(engine)
    yield Imports(client, engine, client.get("/__admin/export?journal=true", headers=HERE).content)
    client.close()


def test_a_genuine_export_is_imported_and_read(imports: Imports) -> None:
    assert imports.post(imports.genuine).status_code == 200
    assert imports.export() == imports.genuine
    assert imports.misread(0) == imports.misread(DAYS) == []


@settings(max_examples=30, derandomize=True)
@given(seed=st.integers(0, 2**32), seconds=st.sampled_from([0, DAYS]))
def test_a_forged_export_is_refused_or_can_be_read(imports: Imports, seed: int, seconds: float) -> None:
    what, document = forged(orjson.loads(imports.genuine), Random(seed))
    if imports.export() != imports.genuine:
        imports.post(imports.genuine)

    said = imports.post(document)

    assert said.status_code in {200, 422}, (what, said.text)
    if said.status_code == 200:
        assert imports.misread(seconds) == [], what
    else:
        assert said.json()["detail"].startswith(
            ("The body cannot be imported: sandbox", "The body cannot be imported: blobs")
        )
        assert imports.export() == imports.genuine
