"""What holds for all tests."""

import logging
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # No test depends on how fast a machine is.
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def log_level_is_restored() -> Iterator[None]:
    """A test that runs `mockserver serve` in its own process sets the level for those after it otherwise."""
    logger = logging.getLogger("mockserver")
    level = logger.level
    yield
    logger.setLevel(level)
