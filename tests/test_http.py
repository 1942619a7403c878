"""Responses as values: their headers."""

from mockserver.http import Response


def test_a_header_replaces_those_of_its_name_in_any_case_and_the_others_stay() -> None:
    response = Response(200, headers=(("Retry-After", "5"), ("X-Note", "retry-after"), ("retry-after", "6")))

    assert response.with_headers(("RETRY-AFTER", "7"), ("X-New", "x")).headers == (
        ("X-Note", "retry-after"),
        ("RETRY-AFTER", "7"),
        ("X-New", "x"),
    )


def test_the_first_headers_of_a_response_are_all_taken() -> None:
    response = Response(202, "text/plain", b"x", source="stub", delay=1.5)

    assert response.with_headers(("A", "1"), ("a", "2")) == Response(
        202, "text/plain", b"x", (("A", "1"), ("a", "2")), "stub", 1.5
    )
