"""Lets the engines of a test run share what they read of the bundled document and fixtures.

The tests make thousands of engines. Each would read the document and the fixtures, and compile the schemas that it
needs, again. Both are values that no engine changes; sandboxes, counts and workers stay those of each engine.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

import pytest

from mockserver.api.provider import Provider
from mockserver.engine import build
from mockserver.fixtures.files import Fixtures
from mockserver.openapi.document import OpenApiDocument
from mockserver.settings.table import ROWS, Settings

T = TypeVar("T")
MOST = 32
"""How many documents, and how many providers' fixtures, are kept."""
APART = frozenset({"port", "host", "seed", "clock", "progression", "store", "callbacks", "journal_size"})
"""Settings that change no document, of those that tests often set."""


def share_documents() -> None:
    """Have `build_engine` take the bundled document and fixtures from those that were read before."""
    read_document, read_fixtures = build.load_bundled_spec, build.load_fixtures
    documents: dict[Hashable, OpenApiDocument] = {}
    fixtures: dict[Hashable, Fixtures] = {}

    def load_bundled_spec(settings: Settings, providers: Sequence[Provider]) -> OpenApiDocument:
        if settings.overlay:
            return read_document(settings, providers)
        values = tuple(getattr(settings, name) for name in ROWS if name not in APART)
        return kept(documents, (values, tuple(providers)), lambda: read_document(settings, providers))

    def load_fixtures(settings: Settings, provider: str) -> Fixtures:
        if settings.fixtures:
            return read_fixtures(settings, provider)
        key = (provider, build.fixture_schema(), build.bundled_path("fixtures"))
        return kept(fixtures, key, lambda: read_fixtures(settings, provider))

    patched = pytest.MonkeyPatch()  # until the process ends
    patched.setattr(build, "load_bundled_spec", load_bundled_spec)
    patched.setattr(build, "load_fixtures", load_fixtures)


def kept(values: dict[Any, T], key: Hashable, make: Callable[[], T]) -> T:
    """The value of the key, which is made at its first use. Beyond `MOST`, the one that was made first is dropped."""
    if key not in values:
        while len(values) >= MOST:
            del values[next(iter(values))]
        values[key] = make()
    return values[key]
