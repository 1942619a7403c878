"""Builders for what a sandbox remembers; they are fixtures of the session, so that properties may use them, too."""

from collections.abc import Callable, Sequence

import orjson
import pytest

from mockserver.http import Request, Response
from mockserver.sandbox.batches import IMMEDIATE, Batch, Progression
from mockserver.sandbox.clock import ClockConfig
from mockserver.sandbox.journal import Journal
from mockserver.sandbox.sandbox import SandboxDefaults


@pytest.fixture(scope="session")
def make_batch() -> Callable[..., Batch]:
    """A batch of `texts`, or of `size` texts without a marker."""

    def make(
        *,
        id_: str = "some-batch",
        size: int = 1,
        texts: Sequence[str] = (),
        created: float = 0.0,
        progression: Progression = IMMEDIATE,
        archives: bool = True,
        head: float = 0.0,
        not_before: float = 0.0,
        price: int = 5,
        applies_markers: bool = True,
    ) -> Batch:
        prompts = list(texts) or [f"text {n}" for n in range(size)]
        return Batch(
            id=id_,
            kind="batch",
            account="some-token",
            size=len(prompts),
            body=orjson.dumps({"prompts": prompts}),
            texts_key="prompts",
            created=created,
            progression=progression,
            archives=archives,
            head=head,
            not_before=not_before,
            price=price,
            applies_markers=applies_markers,
        )

    return make


@pytest.fixture(scope="session")
def make_beginnings() -> Callable[..., SandboxDefaults]:
    """What a sandbox starts from: a clock frozen at 1,000, batches that are done at once, no known accounts."""

    def make(*, seed: str = "seed", frozen: bool = True, progression: Progression = IMMEDIATE) -> SandboxDefaults:
        return SandboxDefaults(
            seed=seed,
            clock=ClockConfig(frozen=frozen, instant=1000.0),
            progression=progression,
            accounts={},
            closed={},
            journal_size=10,
        )

    return make


@pytest.fixture(scope="session")
def note() -> Callable[..., None]:
    """Record an exchange with bodies of some sizes."""

    def record(journal: Journal, path: str = "", *, request: int = 0, response: int = 0) -> None:
        exchange = Request("GET", path, body=b"q" * request), Response(200, body=b"a" * response)
        journal.record(0.0, "getIt", *exchange, "", ())

    return record
