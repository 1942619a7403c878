"""Which lines of a batch are plain: they come in groups, with the limits of their answers; others one by one."""

from typing import Any

import pytest
from batch_client import jsonl, request_of
from builders import make_engine

from mockserver.api.call import ApiContext
from mockserver.openapi.schema import Schema
from mockserver.providers.agilecloud.batches import plain_lines
from mockserver.providers.agilecloud.batches.fast_path import _parameters_of
from mockserver.providers.agilecloud.batches.plain_lines import (
    MAX_PLAIN,
    PARAMETERS,
    PlainBody,
    PlainGroup,
    PlainMessage,
    PlainReader,
    PlainRequest,
)
from mockserver.providers.agilecloud.context import CHAT, live_schema


@pytest.fixture(scope="module")
def parameters() -> Schema:
    world: ApiContext = next(each.world for each in make_engine().services if each.operation.key == "createBatch")
    live = live_schema(world, CHAT)
    assert isinstance(live, Schema)
    found: Schema = _parameters_of(live)
    return found


def line_of(custom_id: str, text: str = "hello", **body: Any) -> bytes:
    return jsonl(request_of(custom_id, text, **body)).strip()


def read(parameters: Schema, *lines: bytes, applies_markers: bool = True) -> list[Any]:
    """For each group the numbers and limits of its lines; for another line its number."""
    reader = PlainReader(parameters, applies_markers=applies_markers)
    found: list[Any] = []
    for each in reader.read(list(lines), range(11, 11 + len(lines))):
        if isinstance(each, PlainGroup):
            assert [lines[number - 11] for number in each.numbers] == list(each.lines)
            assert len(each.requests) == len(each.limits) == len(each.lines)
            found.append((list(each.numbers), list(each.limits)))
        else:
            assert lines[each[0] - 11] == each[1]
            found.append(each[0])
    return found


def test_plain_lines_that_follow_one_another_are_a_group(parameters: Schema) -> None:
    assert read(parameters, line_of("a"), line_of("b"), line_of("c")) == [([11, 12, 13], [-1, -1, -1])]
    assert read(parameters) == []


def test_another_line_comes_by_itself_and_ends_a_group(parameters: Schema) -> None:
    lines = line_of("a"), b"{bad", line_of("b", n=2), line_of("c"), line_of("d"), b""

    assert read(parameters, *lines) == [([11], [-1]), 12, 13, ([14, 15], [-1, -1]), 16]


@pytest.mark.parametrize(
    ("body", "limit"),
    [
        ({}, -1),
        ({"temperature": 0.5}, 0),
        ({"top_p": 1, "seed": 5}, 0),
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 7}, 7),
        ({"max_tokens": None, "temperature": 2}, 0),
    ],
)
def test_a_plain_line_may_have_some_parameters(parameters: Schema, body: dict[str, Any], limit: int) -> None:
    assert read(parameters, line_of("a", **body)) == [([11], [limit])]
    assert read(parameters, line_of("a"), line_of("b", **body), line_of("c")) in (
        [([11, 12, 13], [-1, -1, -1])],
        [([11], [-1]), ([12], [limit]), ([13], [-1])],
    )


@pytest.mark.parametrize(
    "body", [{"temperature": 3}, {"max_tokens": 0}, {"max_tokens": "5"}, {"user": "x"}, {"stream": True}]
)
def test_a_line_with_other_parameters_is_not_plain(parameters: Schema, body: dict[str, Any]) -> None:
    assert read(parameters, line_of("a", **body), line_of("b", temperature=1), line_of("c", **body)) == [
        11,
        ([12], [0]),
        13,
    ]


def test_lines_with_and_without_parameters_keep_their_own_limits(parameters: Schema) -> None:
    lines = [
        line_of("a", max_tokens=5),
        line_of("b", max_tokens=6),
        line_of("c"),
        line_of("d", temperature=1),
        line_of("e"),
    ]

    found = read(parameters, *lines)

    assert [number for numbers, _ in found for number in numbers] == [11, 12, 13, 14, 15]
    assert [limit for _, limits in found for limit in limits] == [5, 6, -1, 0, -1]


@pytest.mark.parametrize(
    "change",
    [
        (b'"POST"', b'"GET"'),
        (b"/v1/chat/completions", b"/v1/embeddings"),
        (b'"custom_id"', b'"other"'),
        (b'"custom_id": "a"', b'"custom_id": 5'),
        (b'"role": "user"', b'"role": "tool"'),
        (b'"content": "hello"', b'"content": null'),
        (b'[{"role": "user", "content": "hello"}]', b"[]"),
        (b'"model": "gpt-4o-mini"', b'"model": null'),
    ],
)
def test_a_line_that_is_another_request_is_not_plain(parameters: Schema, change: tuple[bytes, bytes]) -> None:
    line = line_of("a")
    assert change[0] in line

    assert read(parameters, line.replace(*change)) == [11]


def test_a_line_with_a_marker_is_plain_only_where_markers_do_not_apply(parameters: Schema) -> None:
    lines = line_of("a"), line_of("b", "[mock:fail]"), line_of("c", "[mocking]")

    assert read(parameters, *lines) == [([11], [-1]), 12, ([13], [-1])]
    assert read(parameters, *lines, applies_markers=False) == [([11, 12, 13], [-1, -1, -1])]


def test_lines_that_are_no_utf_8_are_read_one_by_one(parameters: Schema) -> None:
    lines = line_of("a"), line_of("b", "é").replace("é".encode(), b"\xe9"), line_of("c", "[mock:fail]"), line_of("d")

    assert read(parameters, *lines) == [([11], [-1]), 12, 13, ([14], [-1])]


def test_a_plain_line_has_at_most_256_kib(parameters: Schema) -> None:
    line = line_of("a")
    longest = line_of("a", "hello" + "o" * (MAX_PLAIN - len(line)))

    assert (MAX_PLAIN, len(longest)) == (262_144, 262_144)
    assert read(parameters, longest, longest + b" ") == [([11], [-1]), 12]


@pytest.mark.parametrize(("name", "most"), [("MAX_KNOWN", 2), ("MAX_WRITTEN", 1)])
def test_few_parameters_are_remembered_and_all_are_read(
    parameters: Schema, monkeypatch: pytest.MonkeyPatch, name: str, most: int
) -> None:
    monkeypatch.setattr(plain_lines, name, most)
    reader = PlainReader(parameters, applies_markers=True)
    lines = [line_of(str(n), max_tokens=n) for n in (5, 6, 7, 5, 8)]

    groups = [each for each in reader.read(lines, range(1, 6)) if isinstance(each, PlainGroup)]

    assert [limit for each in groups for limit in each.limits] == [5, 6, 7, 5, 8]
    assert len(reader._known) == (2 if name == "MAX_KNOWN" else 0)


def test_a_part_of_a_group_has_its_own_numbers_and_limits() -> None:
    requests = [PlainRequest(each, "POST", CHAT, PlainBody("m", [PlainMessage("user", each)])) for each in "abc"]  # type: ignore[arg-type]  # the only URL
    group = PlainGroup([1, 2, 4], [b"a", b"b", b"c"], requests, [-1, 0, 5])

    assert group.part(0, 3) is group
    assert group.part(1, 3) == PlainGroup([2, 4], [b"b", b"c"], requests[1:], [0, 5])
    assert group.part(2, 2) == PlainGroup([], [], [], [])


def test_plain_requests_have_no_other_fields_and_are_no_work_for_the_garbage_collector() -> None:
    for kind in (PlainMessage, PlainBody, PlainRequest, plain_lines._LongBody, plain_lines._LongRequest):
        assert (kind.__struct_config__.forbid_unknown_fields, kind.__struct_config__.gc) == (True, False)
    assert PARAMETERS == ("temperature", "top_p", "seed", "max_tokens", "max_completion_tokens")
