"""Fixtures of the tests of contract/."""

from collections.abc import Iterator

import pytest
from proxies import Servers


@pytest.fixture
def servers() -> Iterator[Servers]:
    with Servers() as running:
        yield running
