"""What holds for all tests."""

import gc
import logging
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import certifi
import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # No test depends on how fast a machine is.
settings.load_profile("untimed")

# By default each client of httpx parses all public authorities (20 ms), and the tests make a thousand clients.
# They speak to loopback, where the tests of TLS name their own authority: one certificate without a key is enough.
CERTIFICATE = str(Path(__file__).parent / "tests" / "support" / "certificate.pem")
os.environ["SSL_CERT_FILE"] = CERTIFICATE
certifi.where = lambda: CERTIFICATE  # for clients that ignore the environment


@pytest.fixture(autouse=True)
def log_level_is_restored() -> Iterator[None]:
    """A test that runs `mockserver serve` in its own process sets the level for those after it otherwise."""
    logger = logging.getLogger("mockserver")
    level = logger.level
    yield
    logger.setLevel(level)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the tests run with another store."""
    parser.addoption(
        "--store",
        choices=("memory", "encoding", "sqlite", "redis"),
        default="memory",
        help="the store of all sandboxes",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Replace the store where another one is asked for, and let engines share documents."""
    if config.getoption("--store") == "encoding":
        from encoding_store import EncodingStore  # noqa: PLC0415  it imports all providers

        for module in ("engine.build", "sandbox.sandbox", "sandbox.manager"):
            pytest.MonkeyPatch().setattr(f"mockserver.{module}.open_store", EncodingStore)
    elif config.getoption("--store") != "memory":
        from store_servers import use_store  # noqa: PLC0415  as above

        use_store(config.getoption("--store"))
    from shared_documents import share_documents  # noqa: PLC0415  it imports all providers

    share_documents()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Have the garbage collector rest while tests are collected, and pass over thousands of them later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what is only true of values in memory."""
    if config.getoption("--store") in {"sqlite", "redis"}:
        for item in items:
            if item.get_closest_marker("memory_store"):
                item.add_marker(pytest.mark.skip(reason="about the store in memory"))
