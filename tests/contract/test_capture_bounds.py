"""How much of a body that passes the proxy is kept."""

from mockserver.contract.capture import CHECKED_BYTES, SHOWN_BYTES, Capture


def test_a_body_that_is_not_validated_is_shown_with_64_kib() -> None:
    assert (SHOWN_BYTES, CHECKED_BYTES) == (65_536, 1_048_576)

    capture = Capture(100_000)
    for _ in range(3):
        capture.add(b"a" * 50_000)

    assert not capture.is_whole
    assert capture.content == b"a" * 65_536


def test_a_body_within_the_bound_is_kept_whole() -> None:
    capture = Capture(100_000)
    for _ in range(2):
        capture.add(b"a" * 50_000)
    capture.has_ended = True

    assert capture.is_whole
    assert capture.content == b"a" * 100_000
