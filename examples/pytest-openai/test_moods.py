"""The program of moods.py, tried on a sandbox: `sandbox` gives each test a world, and leads `OpenAI()` there."""

import pytest
from moods import BatchFailedError, moods
from openai import AuthenticationError

REVIEWS = {f"review-{n}": f"I liked song {n}." for n in range(6)}


@pytest.mark.usefixtures("sandbox")
def test_every_review_is_answered() -> None:
    found = moods(REVIEWS, wait=0)

    assert sorted(found.answers) == sorted(REVIEWS)
    assert found.errors == {}


def test_some_fail_and_the_others_are_kept(sandbox) -> None:
    sandbox.scenario("partial-failures")

    found = moods(REVIEWS, wait=0)

    assert (len(found.answers), len(found.errors)) == (4, 2)


def test_a_batch_of_nothing_but_errors_is_read_all_the_same(sandbox) -> None:
    sandbox.scenario("all-failed")

    found = moods(REVIEWS, wait=0)

    assert (len(found.answers), len(found.errors)) == (0, 6)


def test_an_input_that_is_refused_says_which_line(sandbox) -> None:
    sandbox.scenario("input-rejected")

    with pytest.raises(BatchFailedError, match="line 1"):
        moods(REVIEWS, wait=0)


def test_a_hiccup_is_retried_by_the_sdk(sandbox) -> None:
    sandbox.next("createBatch", status=500, times=2)

    assert len(moods(REVIEWS, wait=0).answers) == 6
    assert sandbox.count(operation="createBatch") == 3


def test_a_revoked_key_is_an_error(sandbox) -> None:
    sandbox.set_account(revoked=True)

    with pytest.raises(AuthenticationError):
        moods(REVIEWS, wait=0)


def test_the_program_behaves(sandbox) -> None:
    moods(REVIEWS, wait=0)

    assert sandbox.verdict()["findings"] == []
