"""A suite of tests as a user has it: each queues, polls and fetches one batch. `bench.suite` runs it."""

import os
from urllib.parse import urlsplit

import pytest

from bench.loop import Loop, check_output, input_of

LINE = input_of(1, 444)
pytestmark: pytest.MarkDecorator | list[pytest.MarkDecorator] = (
    pytest.mark.usefixtures("sandbox") if os.environ.get("BENCH_LENDS") else []
)


@pytest.mark.parametrize("number", range(int(os.environ.get("BENCH_TESTS", "10"))))
def test_a_batch_comes_back(number: int) -> None:
    address = urlsplit(os.environ["OPENAI_BASE_URL"])
    loop = Loop(address.port or 80, f"test {number}", os.environ["OPENAI_API_KEY"])
    loop.polls = 200_000  # one that rests is asked again and again
    try:
        check_output("the server", LINE, loop.run(LINE).output)
    finally:
        loop.close()
