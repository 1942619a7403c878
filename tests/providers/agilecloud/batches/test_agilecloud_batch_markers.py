"""Markers in a batch's lines: the status a request fails with, at the edges of what a failure can be."""

from typing import Any

import pytest
from batch_client import BatchClient, counts_of, jsonl, request_of


@pytest.mark.parametrize(
    ("marker", "status"),
    [
        ("[mock:fail]", 500),
        ("[mock:fail=399]", 500),
        ("[mock:fail=400]", 400),
        ("[mock:fail=401]", 401),
        ("[mock:fail=429]", 429),
        ("[mock:fail=500]", 500),
        ("[mock:fail=599]", 599),
        ("[mock:fail=600]", 500),
        ("[mock:fail=100]", 500),
        ("[mock:fail=999]", 500),
    ],
)
def test_a_marked_line_fails_with_its_status_if_that_is_an_error(marker: str, status: int) -> None:
    desk = BatchClient()

    batch = desk.run(jsonl(request_of("good"), request_of("bad", f"Name a river. {marker}")))

    assert (batch["status"], counts_of(batch)) == ("completed", (2, 1, 1))
    [line] = desk.lines(batch["error_file_id"]).values()
    response: dict[str, Any] = line["response"]
    assert (line["custom_id"], line["error"], response["status_code"]) == ("bad", None, status)
    assert str(status) in response["body"]["error"]["message"]
    assert list(desk.lines(batch["output_file_id"])) == ["good"]


@pytest.mark.parametrize(
    "text", ["[mock:fail=99]", "[mock:fail=1000]", "[mock:fail=]", "[mock:fails]", "[mock:fail", "mock:fail]"]
)
def test_text_that_is_no_marker_fails_no_line(text: str) -> None:
    assert counts_of(BatchClient().run(jsonl(request_of("a", text)))) == (1, 1, 0)


def test_markers_have_no_effect_when_turned_off() -> None:
    desk = BatchClient(magic=False)

    assert counts_of(desk.run(jsonl(request_of("a", "[mock:fail=400]")))) == (1, 1, 0)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize(("levels", "is_accepted"), [(199, True), (200, True), (201, False), (202, False)])
def test_a_line_may_be_nested_200_levels_deep(opening: bytes, levels: int, is_accepted: bool) -> None:
    # The line and its body are two levels; metadata of any kind fits under an unknown key.
    inner = opening * (levels - 3) + b"{}" + (b"]" if opening == b"[" else b"}") * (levels - 3)
    line = jsonl(request_of("deep", extra="deep")).replace(b'"deep"}', inner + b"}")

    batch = BatchClient().run(line)

    if is_accepted:
        assert batch["status"] == "completed"
    else:
        [error] = batch["errors"]["data"]
        assert (error["line"], error["code"]) == (1, "invalid_json_line")
        assert "200 levels" in error["message"]


@pytest.mark.parametrize(("bad", "told"), [(99, 99), (100, 100), (101, 100), (250, 100)])
def test_a_hundred_invalid_lines_are_reported(bad: int, told: int) -> None:
    batch = BatchClient().run(b"{bad\n" * bad)

    assert [each["line"] for each in batch["errors"]["data"]] == list(range(1, told + 1))
