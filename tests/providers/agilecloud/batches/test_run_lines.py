"""A batch's lines: every way in which one of them, or all, can be wrong."""

import gc
from contextlib import suppress
from typing import Any

import pytest
from batch_client import (
    EMBEDDINGS,
    MODEL,
    BatchClient,
    chats,
    counts_of,
    embedding_of,
    jsonl,
    request_of,
)

from mockserver.engine.engine import Engine
from mockserver.providers.agilecloud.batches import input as inspection
from mockserver.sandbox.blobs import MAX_LINE

GOOD = request_of("good")
UNPARSEABLE = ("invalid_json_line", None, "This line is not parseable as valid JSON.")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return BatchClient().engine


@pytest.fixture(scope="module")
def desk(engine: Engine) -> BatchClient:
    """Immediate, and shared: no test here looks at another's batches."""
    return BatchClient(engine)


def test_a_line_that_is_no_json_is_freed_without_garbage_collection() -> None:
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        with suppress(inspection.LineError):
            inspection._parse_line(b"[" * 1000)
        gc.collect()
        assert [each for each in gc.garbage if isinstance(each, inspection.LineError)] == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def errors_of(batch: Any) -> list[tuple[Any, ...]]:
    assert batch["status"] == "failed"
    assert counts_of(batch) == (0, 0, 0)
    assert (batch["output_file_id"], batch["error_file_id"], batch["in_progress_at"]) == (None, None, None)
    assert batch["errors"]["object"] == "list"
    return [tuple(each[name] for name in ("line", "code", "param", "message")) for each in batch["errors"]["data"]]


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in GOOD.items() if key != name}


@pytest.mark.parametrize(
    ("line", "code", "param", "message"),
    [
        (b"{bad", *UNPARSEABLE),
        (b"\xc2\xa0", *UNPARSEABLE),
        (b"[" * 3000, "invalid_json_line", None, "This line is nested more than 200 levels deep."),
        (jsonl(GOOD).strip() + b"\r" + jsonl(GOOD).strip(), *UNPARSEABLE),
        (b"\xef\xbb\xbf" + jsonl(GOOD).strip(), *UNPARSEABLE),
        (jsonl(request_of("bad", "\u00e9")).strip().replace(b"\xc3\xa9", b"\xe9"), *UNPARSEABLE),
        (b'{"custom_id": "\\ud800"}', *UNPARSEABLE),
        (b"NaN", *UNPARSEABLE),
        *(
            (jsonl(without(name)).strip(), "missing_required_parameter", name, f"Missing required parameter: '{name}'.")
            for name in ("custom_id", "method", "url", "body")
        ),
        (
            jsonl(GOOD | {"url": EMBEDDINGS}).strip(),
            "invalid_url",
            "url",
            "The URL provided for this request does not match the batch endpoint.",
        ),
        (
            jsonl(request_of("bad", model="gpt-0")).strip(),
            "model_not_found",
            "body.model",
            "The provided model 'gpt-0' is not supported by the Batch API.",
        ),
        (
            jsonl(request_of("bad", stream=True)).strip(),
            "streaming_unsupported",
            "body.stream",
            "Chat Completions: Streaming is not supported in the Batch API.",
        ),
        (
            jsonl(GOOD | {"body": {"messages": []}}).strip(),
            "invalid_request",
            "body.model",
            "Model parameter is required.",
        ),
        (
            jsonl(GOOD | {"body": {"model": MODEL}}).strip(),
            "invalid_request",
            "body.messages",
            "Messages parameter is required.",
        ),
    ],
)
def test_an_invalid_line_fails_its_batch_with_openais_message(
    desk: BatchClient, line: bytes, code: str, param: str | None, message: str
) -> None:
    content = jsonl(request_of("before")) + line + b"\n" + jsonl(request_of("after"))

    assert errors_of(desk.run(content)) == [(2, code, param, message)]


@pytest.mark.parametrize(
    ("value", "param"),
    [
        ([], None),
        (None, None),
        ("text", None),
        (GOOD | {"method": "GET"}, "method"),
        (GOOD | {"custom_id": 7}, "custom_id"),
        (GOOD | {"url": None}, "url"),
        (GOOD | {"body": []}, "body"),
        (request_of("bad", model=1), "body.model"),
        (request_of("bad", messages=None), "body.messages"),
        (request_of("bad", prompt_slug=None, messages="x"), "body.messages"),
    ],
)
def test_a_line_that_is_no_request_is_invalid(desk: BatchClient, value: Any, param: str | None) -> None:
    [(line, code, blamed, message)] = errors_of(desk.run(jsonl(value)))

    assert (line, code, blamed) == (1, "invalid_request", param)
    assert f"'{param or 'line'}'" in message
    assert len(message) < 500


def test_a_repeated_custom_id_is_rejected(desk: BatchClient) -> None:
    batch = desk.run(jsonl(request_of("a"), request_of("b", model="gpt-0"), request_of("a"), request_of("b")))

    assert [each[:3] for each in errors_of(batch)] == [
        (2, "model_not_found", "body.model"),
        (3, "duplicate_custom_id", "custom_id"),
        (4, "duplicate_custom_id", "custom_id"),
    ]


def test_all_invalid_lines_are_reported_together_up_to_a_bound(desk: BatchClient) -> None:
    batch = desk.run(b"{bad\n" * 150)

    assert [each[0] for each in errors_of(batch)] == list(range(1, inspection.MAX_ERRORS + 1))


def test_long_names_are_shortened_in_errors(desk: BatchClient) -> None:
    batch = desk.run(jsonl(request_of("a", model="m" * 9999), request_of("c" * 9999), request_of("c" * 9999)))

    assert all(len(message) < 300 for *_, message in errors_of(batch))


def test_lines_may_end_with_crlf_and_the_last_without_a_newline(desk: BatchClient) -> None:
    content = chats(3).replace(b"\n", b"\r\n").removesuffix(b"\r\n")

    assert counts_of(desk.run(content)) == (3, 3, 0)


def test_a_file_without_lines_is_empty(desk: BatchClient) -> None:
    assert errors_of(desk.run(b"")) == [(None, "empty_file", None, "The input file holds no request.")]


def test_a_line_of_16_mib_is_read_and_a_longer_one_is_not(desk: BatchClient) -> None:
    line = jsonl(GOOD).strip()
    fitting = line + b" " * (MAX_LINE - len(line))

    assert counts_of(desk.run(fitting + b"\n")) == (1, 1, 0)
    too_long = f"This line is longer than {MAX_LINE} bytes, the most a line may have."
    assert errors_of(desk.run(fitting + b" \n")) == [(1, "line_too_long", None, too_long)]
    assert errors_of(desk.run(b"\xef\xbb\xbf" + fitting)) == [(1, "line_too_long", None, too_long)]


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_a_line_that_is_nested_too_deeply_is_rejected(desk: BatchClient, opening: bytes) -> None:
    depth = 250
    inner = opening * depth + b"1" + (b"]" if opening == b"[" else b"}") * depth
    line = jsonl(request_of("deep", extra="deep")).replace(b'"deep"}', inner + b"}")

    [(number, code, *_)] = errors_of(desk.run(line))

    assert (number, code) == (1, "invalid_json_line")


def test_a_wide_line_is_not_deep(desk: BatchClient) -> None:
    assert counts_of(desk.run(jsonl(request_of("wide", extra=[{}] * 500)))) == (1, 1, 0)


def test_fifty_thousand_lines_pass_and_one_more_does_not(desk: BatchClient) -> None:
    content = chats(inspection.MAX_LINES + 1)
    start = content.rindex(b"\n", 0, -1) + 1
    fitting, last = content[:start], content[start:]

    assert counts_of(desk.run(fitting)) == (50_000, 50_000, 0)
    message = "A batch holds at most 50000 requests."
    assert errors_of(desk.run(content)) == [(None, "too_many_requests", None, message)]
    assert errors_of(desk.run(content + last)) == [(None, "too_many_requests", None, message)]


def test_fifty_thousand_inputs_are_embedded_and_one_more_is_not(desk: BatchClient) -> None:
    # Too many for one request, so that none of them is worked out.
    half = embedding_of("a", ["ebb"] * 25_000), embedding_of("b", ["flood"] * 25_000)

    assert counts_of(desk.run(jsonl(*half), EMBEDDINGS)) == (2, 0, 2)
    assert [each[:3] for each in errors_of(desk.run(jsonl(*half, embedding_of("c", "ebb")), EMBEDDINGS))] == [
        (None, "too_many_inputs", None)
    ]


@pytest.mark.parametrize(
    ("given", "count"), [("text", 1), ([1, 2, 3], 1), ([[1], [2]], 2), ([], 1), ({"a": 1}, 1), (None, 1), (7, 1)]
)
def test_embedding_inputs_of_all_types_are_counted(
    desk: BatchClient, monkeypatch: pytest.MonkeyPatch, given: Any, count: int
) -> None:
    monkeypatch.setattr(inspection, "MAX_INPUTS", count)
    fitting = desk.run(jsonl(embedding_of("a", given)), EMBEDDINGS)
    monkeypatch.setattr(inspection, "MAX_INPUTS", count - 1)
    too_many = desk.run(jsonl(embedding_of("a", given)), EMBEDDINGS)

    assert (fitting["status"], too_many["status"]) == ("completed", "failed")


A, B = jsonl(request_of("a")), jsonl(request_of("b"))


@pytest.mark.parametrize(
    "content",
    [
        b"\n" + A + b"\n\n" + B + b"\n\n",
        A + b" \t \n" + B,
        A.replace(b"\n", b"\r\n") + b"\r\n" + B.replace(b"\n", b"\r\n"),
        A + b"\n" + B.strip(),
        A + B + b"   ",
        b"\xef\xbb\xbf" + A + B,
        b"\xef\xbb\xbf\n" + A + B,
        b"\n" * 20_000 + A + b"\r\n" * 20_000 + B,
    ],
)
def test_blank_lines_and_a_byte_order_mark_are_skipped(desk: BatchClient, content: bytes) -> None:
    batch = desk.run(content)

    assert counts_of(batch) == (2, 2, 0)
    assert set(desk.lines(batch["output_file_id"])) == {"a", "b"}


def test_blank_lines_change_no_answer() -> None:
    outputs = []
    for content in (A + B, b"\n" + A + b"\n \n" + B):
        desk = BatchClient(keep_order=True)
        outputs.append(desk.content(desk.run(desk.put(content))["output_file_id"]))

    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c"])
def test_only_a_newline_ends_a_line(desk: BatchClient, separator: str) -> None:
    text = f"ebb{separator}flood"
    line = jsonl(request_of("a", text)) if separator >= "\x80" else jsonl(request_of("a", "ebb\\u000bflood"))

    assert counts_of(desk.run(line + B)) == (2, 2, 0)


def test_errors_name_the_line_of_the_file_blank_ones_counted(desk: BatchClient) -> None:
    batch = desk.run(b"\n\r\n" + A + b"  \n{bad\n\n" + A)

    assert [each[:2] for each in errors_of(batch)] == [(5, "invalid_json_line"), (7, "duplicate_custom_id")]


@pytest.mark.parametrize("place", [1, 2])
def test_a_byte_order_mark_stands_before_the_first_line_only(desk: BatchClient, place: int) -> None:
    content = A + b"\xef\xbb\xbf" + B if place == 2 else b"\xef\xbb\xbf" * 2 + A

    assert errors_of(desk.run(content)) == [(place, *UNPARSEABLE)]


@pytest.mark.parametrize("content", [b"\n", b" \r\n\n\t", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n\n"])
def test_a_file_of_blank_lines_is_empty(desk: BatchClient, content: bytes) -> None:
    assert errors_of(desk.run(content)) == [(None, "empty_file", None, "The input file holds no request.")]


@pytest.mark.parametrize(("content", "line"), [(b"\n" + A, 1), (A + b" \r\n" + B, 2), (A + b"\n", 2)])
def test_a_blank_line_is_refused_where_the_server_is_strict(content: bytes, line: int) -> None:
    errors = errors_of(BatchClient(strict=True).run(content))

    assert errors == [(line, "invalid_json_line", None, "This line is blank, which --strict refuses.")]


def test_the_last_newline_begins_no_blank_line() -> None:
    assert counts_of(BatchClient(strict=True).run(A + B)) == (2, 2, 0)


def test_blank_lines_do_not_count_as_requests_and_have_a_bound_of_their_own(
    desk: BatchClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection, "MAX_LINES", 2)
    monkeypatch.setattr(inspection, "MAX_BLANK_LINES", 3)

    assert counts_of(desk.run(b"\n" + A + b"\n\n" + B)) == (2, 2, 0)
    message = "The input file has more than 3 blank lines."
    assert errors_of(desk.run(b"\n\n" + A + b"\n\n")) == [(None, "too_many_blank_lines", None, message)]


@pytest.mark.parametrize("purpose", ["assistants", "user_data", "batch_output"])
def test_a_file_of_another_purpose_is_rejected_with_that_purpose(desk: BatchClient, purpose: str) -> None:
    id_ = desk.put(A, purpose)

    message = f"Invalid file purpose: '{purpose}'. The file {id_} must have the purpose 'batch'."
    assert errors_of(desk.run(id_)) == [(None, "invalid_file_purpose", "file_id", message)]


def test_a_file_of_another_account_is_not_found_with_any_purpose(desk: BatchClient) -> None:
    id_ = desk.put(A, "assistants", account="bob")

    [(_, code, _, message)] = errors_of(desk.run(id_))

    assert (code, message[:16]) == ("invalid_request", "Cannot find file")
