"""A batch's object and files, byte for byte, and where long names are cut in messages.

A change here changes what the tests of others see: it belongs into the changelog.
"""

import hashlib
from typing import Any

import pytest
from batch_client import OPENAI, BatchClient, chats, embedding_of, jsonl, request_of
from builders import bytes_of, value_of

from mockserver.providers.agilecloud.batches import fast_path
from mockserver.providers.agilecloud.batches import input as inspection
from mockserver.providers.agilecloud.batches.results import NO_FILE, LineResults
from mockserver.sandbox.batches import ItemOutcome
from mockserver.sandbox.conditions import InputRejection

LINES = jsonl(
    request_of("plain"),
    request_of("general", n=2),
    request_of("failed", "[mock:fail=429]"),
    request_of("invalid", temperature=9),
    request_of("late", "[mock:hang]"),
)


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def make_desk(**settings: Any) -> BatchClient:
    return BatchClient(keep_order=True, **settings)


def test_a_new_batch_says_that_nothing_has_happened() -> None:
    desk = make_desk(progression="time:100")

    assert desk.create(LINES, metadata={"a": "b"}) == {
        "id": "batch_2ca51b073db77425d6b1ebd1634efd16",
        "object": "batch",
        "endpoint": "/v1/chat/completions",
        "model": None,
        "errors": None,
        "input_file_id": "file-0",
        "completion_window": "24h",
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": 1775952000,
        "in_progress_at": None,
        "expires_at": 1776038400,
        "finalizing_at": None,
        "completed_at": None,
        "failed_at": None,
        "expired_at": None,
        "cancelling_at": None,
        "cancelled_at": None,
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "usage": None,
        "metadata": {"a": "b"},
    }


def test_a_completed_batch_has_all_its_times_and_counts() -> None:
    desk = make_desk()
    batch = desk.run(jsonl(request_of("a"), request_of("b", "[mock:fail]")))

    assert batch == {
        "id": "batch_5d459c92df5b2560f17fd427086c8c35",
        "object": "batch",
        "endpoint": "/v1/chat/completions",
        "model": "gpt-4o-mini",
        "errors": None,
        "input_file_id": "file-0",
        "completion_window": "24h",
        "status": "completed",
        "output_file_id": "file-4bb2b984e8b017b94fb31de4",
        "error_file_id": "file-5115909b98776271a5d24e66",
        "created_at": 1775952000,
        "in_progress_at": 1775952000,
        "expires_at": 1776038400,
        "finalizing_at": None,
        "completed_at": 1775952000,
        "failed_at": None,
        "expired_at": None,
        "cancelling_at": None,
        "cancelled_at": None,
        "request_counts": {"total": 2, "completed": 1, "failed": 1},
        "usage": {
            "input_tokens": 13,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 65,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 78,
        },
        "metadata": None,
    }


def test_the_files_of_a_batch_are_the_same_in_every_version() -> None:
    desk = make_desk(progression="time:100")
    id_ = desk.create(LINES)["id"]
    desk.sandbox.clock.advance(100)
    desk.read(id_)
    desk.sandbox.clock.advance(86_400)
    batch = desk.read(id_)

    output, error = desk.content(batch["output_file_id"]), desk.content(batch["error_file_id"])
    assert output.splitlines()[0] == (
        b'{"id":"batch_req_c349e3dabcc524745fdb4058","custom_id":"plain","response":{"status_co'
        b'de":200,"request_id":"req_bcc524745fdb405888cb1b4d","body":{"id":"chatcmpl-c349e3dabc'
        b'c524745fdb405888cb1b4d","object":"chat.completion","created":1775952010,"model":"gpt-'
        b'4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":"Let us look a'
        b"t Name river Spain step by step. You might also bring the skin, since the used county"
        b" is rarely particular. There is best obligation between the battle and the bad. Most "
        b'people commit the nurse before they miss the glass. Would an example help?","refusal"'
        b':null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":13,"completi'
        b'on_tokens":65,"total_tokens":78,"prompt_tokens_details":{"cached_tokens":0,"audio_tok'
        b'ens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_'
        b'prediction_tokens":0,"rejected_prediction_tokens":0}},"system_fingerprint":"fp_64ff9d'
        b'ea84"}},"error":null}'
    )
    assert error.splitlines() == [
        (
            b'{"id":"batch_req_cd13fc2d249c495c25be251f","custom_id":"failed","response":{"status_c'
            b'ode":429,"request_id":"req_249c495c25be251f6cd6cbb0","body":{"error":{"message":"A ma'
            b'rker in the request, or the sandbox\'s conditions, ask for the status 429.","type":"ra'
            b'te_limit_error","param":null,"code":null}}},"error":null}'
        ),
        (
            b'{"id":"batch_req_1d4c512f3af77e460bcd1e7e","custom_id":"invalid","response":{"status_'
            b'code":400,"request_id":"req_3af77e460bcd1e7e6db9fcd4","body":{"error":{"message":"Inv'
            b"alid 'temperature': decimal above maximum value. Expected a value <= 2, but got 9 ins"
            b'tead.","type":"invalid_request_error","param":"temperature","code":"decimal_above_max'
            b'_value"}}},"error":null}'
        ),
        (
            b'{"id":"batch_req_33d045005f87a96d81ada637","custom_id":"late","response":null,"error"'
            b':{"code":"batch_expired","message":"This request could not be executed before the com'
            b'pletion window expired."}}'
        ),
    ]
    assert (digest_of(output), digest_of(error)) == ("5ff603cf1a1ce8e2", "912e1e2e415ccfe3")


def test_the_order_of_lines_is_the_same_in_every_version() -> None:
    desk = BatchClient()
    batch = desk.run(chats(70))

    order = [
        line.split(b'"custom_id":"r')[1].split(b'"')[0] for line in desk.content(batch["output_file_id"]).splitlines()
    ]
    assert [int(each) for each in order] == [
        36,
        10,
        31,
        6,
        32,
        61,
        58,
        3,
        46,
        43,
        33,
        23,
        29,
        21,
        62,
        4,
        44,
        47,
        12,
        24,
        8,
        63,
        15,
        5,
        52,
        9,
        55,
        19,
        45,
        38,
        39,
        42,
        50,
        56,
        28,
        35,
        14,
        30,
        40,
        54,
        57,
        60,
        25,
        26,
        1,
        7,
        34,
        18,
        48,
        53,
        0,
        41,
        17,
        27,
        2,
        59,
        49,
        11,
        37,
        13,
        20,
        22,
        16,
        51,
        67,
        68,
        69,
        65,
        64,
        66,
    ]


def test_the_embeddings_of_a_batch_are_the_same_in_every_version() -> None:
    desk = make_desk()
    batch = desk.run(jsonl(embedding_of("a", "ebb"), embedding_of("b", ["flow", "ebb"])), "/v1/embeddings")

    assert digest_of(desk.content(batch["output_file_id"])) == "a8b0e8bd6865e83b"


def test_live_answers_are_the_same_in_every_version() -> None:
    desk = make_desk()
    chat = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Name a river in Spain."}]}

    answers = [
        desk.ask("POST", "/v1/chat/completions", json=chat | more) for more in ({}, {"n": 2}, {"logprobs": True})
    ]
    assert [value_of(each)["id"] for each in answers] == [
        "chatcmpl-0ffdb1ae6990fe80c4fd376d2eef4864",
        "chatcmpl-23333d448cdb08e6a89ec69cb83000a5",
        "chatcmpl-8cdf0f99d636677c6a7ea2ee7185e519",
    ]
    assert value_of(answers[0])["system_fingerprint"] == "fp_64ff9dea84"
    assert [digest_of(bytes_of(each)) for each in answers] == [
        "6c5f97a9a324cf67",
        "35f881199d5af084",
        "7571abd495e6eb64",
    ]


def test_the_ids_of_files_and_batches_are_the_same_in_every_version() -> None:
    desk = make_desk()
    desk.put(chats(1))
    batch = desk.create(chats(1))

    done = desk.read(batch["id"])

    assert (batch["id"], done["output_file_id"]) == (
        "batch_6993cbba843a47f7f69137b48ef4c41f",
        "file-c698226f720f4cdeedb117d2",
    )


@pytest.mark.parametrize("length", [200, 201])
def test_long_names_are_cut_at_200_characters_in_errors(length: int) -> None:
    desk = make_desk()
    lines = jsonl(request_of("x" * length), request_of("x" * length), request_of("y", model="m" * length))

    batch = desk.run(lines)

    assert [each["message"] for each in batch["errors"]["data"]] == [
        f"The custom_id '{'x' * 200}' stands in the file more than once.",
        f"The provided model '{'m' * 200}' is not supported by the Batch API.",
    ]


@pytest.mark.parametrize("length", [100, 101])
def test_a_long_id_is_cut_at_100_characters_where_it_is_unknown(length: int) -> None:
    status, error = make_desk().refusal("GET", f"/v1/batches/{'b' * length}")

    assert (status, error["message"]) == (404, f"No batch found with id '{'b' * 100}'.")


def test_a_line_may_be_200_levels_deep_and_no_deeper() -> None:
    desk = make_desk()

    def nested(depth: int) -> bytes:
        inner = b"[" * (depth - 2) + b"]" * (depth - 2)  # the line and its body are two levels
        return jsonl(request_of("deep", extra="deep")).replace(b'"deep"}', inner + b"}")

    assert desk.run(nested(200))["errors"] is None
    [error] = desk.run(nested(201))["errors"]["data"]
    assert error["message"] == "This line is nested more than 200 levels deep."


def test_each_model_name_has_its_own_template_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_path, "MAX_FRAMES", 1)
    bounded = make_desk()
    lines = jsonl(*(request_of(f"r{n}", model=name) for n, name in enumerate(("gpt-4o", "gpt-4o-mini", "gpt-4o"))))

    batch = bounded.run(lines)
    monkeypatch.undo()
    whole = make_desk()

    assert bounded.content(batch["output_file_id"]) == whole.content(whole.run(lines)["output_file_id"])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"errors": ({"code": "x"},)}, "it has errors, and a size of 2"),
        ({"succeeded": b"\1"}, "succeeded does not say 0 or 1 of each of 2 items"),
        ({"succeeded": b"\1\2"}, "succeeded does not say 0 or 1 of each of 2 items"),
        ({"outcomes": {2: ItemOutcome(500)}}, "its outcomes are not those of its items"),
        ({"succeeded": b"\1\0"}, "its usage is of more or fewer requests than have succeeded"),
    ],
)
def test_results_that_contradict_themselves_are_refused(fields: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"size": 2, "errors": (), "outcomes": {1: ItemOutcome(500)}, "succeeded": b"\0\0"}

    with pytest.raises(ValueError, match=r".") as refused:
        LineResults(**{**given, "output": NO_FILE, "error": NO_FILE, "usage": {}, **fields})

    assert str(refused.value) == message
    assert LineResults(**given, output=NO_FILE, error=NO_FILE, usage={}).size == 2


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("duplicate_custom_id", "The custom_id of this line stands in the file more than once."),
        ("too_many_requests", "A batch holds at most 50000 requests."),
        ("other", "The input file was rejected."),
    ],
)
def test_a_rejection_of_the_conditions_has_the_message_of_its_code(code: str, message: str) -> None:
    found = inspection.rejection_error(InputRejection(code, line=3, param="p"))

    assert found == {"code": code, "message": message, "param": "p", "line": 3}
    assert inspection.rejection_error(InputRejection(code, message="m"))["message"] == "m"


def test_openais_batches_show_when_they_were_finalizing() -> None:
    desk = make_desk(progression="time:100", **OPENAI)
    id_ = desk.create(jsonl(request_of("a")))["id"]
    created = desk.now

    seen = []
    for _ in range(11):
        batch = desk.read(id_)
        seen.append((desk.now - created, batch["status"], batch["finalizing_at"] and batch["finalizing_at"] - created))
        desk.sandbox.clock.advance(10)

    assert seen == [
        (0, "validating", None),
        (10, "in_progress", None),
        (20, "in_progress", None),
        (30, "in_progress", None),
        (40, "in_progress", None),
        (50, "in_progress", None),
        (60, "in_progress", None),
        (70, "in_progress", None),
        (80, "finalizing", 80),
        (90, "finalizing", 80),
        (100, "completed", 80),
    ]


def test_reasons_of_lines_have_their_statuses() -> None:
    desk = make_desk()
    batch = desk.run(
        jsonl(request_of("a", prompt_slug="none"), request_of("b", prompt_slug="summarize", prompt_version=9))
    )

    lines = desk.lines(batch["error_file_id"])

    assert [lines[name]["response"]["status_code"] for name in "ab"] == [404, 404]
