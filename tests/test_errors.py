"""Errors as values: what they say, and which parts are left out."""

import pytest

from mockserver.errors import (
    NO_STORAGE,
    MockServerError,
    Problem,
    Reason,
    Refusal,
    SpecError,
    StoreBusy,
    StoreUnavailable,
    Violation,
)


def test_a_problem_begins_with_its_place_where_one_is_known() -> None:
    assert str(Problem("a.yaml:3", "is wrong")) == "a.yaml:3: is wrong"
    assert str(Problem("", "is wrong")) == "is wrong"
    assert Problem("", "").severity == "error"


def test_an_error_at_start_is_its_problem() -> None:
    assert str(MockServerError("is wrong", "a.yaml")) == "a.yaml: is wrong"
    assert str(MockServerError("is wrong")) == "is wrong"
    assert MockServerError("is wrong", "a.yaml").problem == Problem("a.yaml", "is wrong", "error")


def test_a_document_s_error_is_the_first_of_its_problems() -> None:
    other = Problem("b.yaml", "too")

    assert SpecError("is wrong", "a.yaml", others=[other]).problems == (Problem("a.yaml", "is wrong"), other)
    assert SpecError("is wrong").problems == (Problem("", "is wrong"),)


@pytest.mark.parametrize(
    ("location", "name"),
    [(("body", "prompts", 3), "prompts"), (("body", 0, 1), "body"), ((1, 2), ""), ((), ""), (("query", "id"), "id")],
)
def test_a_violation_has_the_innermost_name(location: tuple[str | int, ...], name: str) -> None:
    assert Violation(location, "type", "").name == name


def test_a_refusal_says_its_detail_or_its_reason() -> None:
    plain, told = Refusal(Reason.NOT_FOUND), Refusal(Reason.NOT_FOUND, "No batch.", status=410, violations=[])

    assert (str(plain), plain.detail, plain.status, plain.headers) == ("not-found", "", None, ())
    assert (str(told), told.detail, told.status, told.violations) == ("No batch.", "No batch.", 410, ())


def test_a_refusal_without_frames_keeps_nothing_of_the_request() -> None:
    def fail() -> None:
        try:
            try:
                raise KeyError("inner")
            except KeyError as error:
                raise ValueError("outer") from error
        except ValueError:
            raise Refusal(Reason.INVALID, "bad") from None

    with pytest.raises(Refusal) as caught:
        fail()
    outer = caught.value.__context__
    assert outer is not None
    inner = outer.__cause__
    assert inner is not None

    freed = caught.value.without_frames()

    assert freed is caught.value
    assert (freed.__traceback__, freed.__context__, freed.__cause__) == (None, None, None)
    assert (outer.__traceback__, inner.__traceback__) == (None, None)


def test_a_store_that_is_busy_may_be_asked_again_and_is_not_full() -> None:
    assert not StoreUnavailable("gone").is_full
    assert StoreUnavailable("full", is_full=True).is_full
    assert isinstance(StoreBusy("busy"), StoreUnavailable)


def test_a_full_disk_is_507() -> None:
    assert NO_STORAGE == 507
