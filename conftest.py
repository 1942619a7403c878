"""What holds for all tests."""

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # No test depends on how fast a machine is.
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the tests run with another store."""
    parser.addoption("--store", choices=("memory", "encoding"), default="memory", help="the store of all sandboxes")


def pytest_configure(config: pytest.Config) -> None:
    """Replace the store where another one is asked for."""
    if config.getoption("--store") == "encoding":
        from encoding_store import EncodingStore  # noqa: PLC0415  it imports all providers

        for module in ("engine.build", "sandbox.sandbox", "sandbox.manager"):
            pytest.MonkeyPatch().setattr(f"mockserver.{module}.open_store", EncodingStore)
