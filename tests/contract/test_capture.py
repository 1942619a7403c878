"""Copies of bodies that pass through the proxy: bounded, and the beginning of what passed."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mockserver.contract import capture
from mockserver.contract.capture import CHECKED_BYTES, BodyCapture, Capture

SHOWN, LIMIT = 10, 20


@example([b"a" * 6, b"b" * 15])
@example([b"a" * 15, b"b" * 15])
@given(st.lists(st.binary(max_size=15), max_size=8))
def test_a_body_is_kept_whole_or_its_beginning(chunks: list[bytes]) -> None:
    body = b"".join(chunks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(capture, "SHOWN_BYTES", SHOWN)
        kept = Capture(LIMIT)
        for each in chunks:
            kept.add(each)
    kept.has_ended = True

    assert kept.size == len(body)
    assert kept.is_whole == (len(body) <= LIMIT)
    assert kept.content == (body if kept.is_whole else body[:SHOWN])


FORM = {"content-type": "multipart/form-data; boundary=b"}


@pytest.mark.parametrize(
    ("headers", "body", "can_be_checked"),
    [
        ({}, b"{}", True),
        ({}, b" " * CHECKED_BYTES, True),
        ({}, b" " * (CHECKED_BYTES + 1), False),
        (FORM, b"--b--" + b" " * CHECKED_BYTES, True),
    ],
)
def test_a_body_is_validated_when_it_has_passed_and_is_small_or_a_form(
    headers: dict[str, str], body: bytes, can_be_checked: bool
) -> None:
    kept = BodyCapture(headers)
    kept.add(body)
    assert not kept.can_be_checked

    kept.end()

    assert kept.can_be_checked == can_be_checked
