"""The script that batches are measured against: reads every line, judges it, writes an answer; prints its seconds."""

import sys
from time import perf_counter
from typing import Any

import jsonschema_rs
import orjson
import yaml

from bench import ROOT

TEXT = "Most questions of this kind have the same answer: begin with what you know, and go on from there. " * 3

DETAILS = {
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 0,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}


def answer_lines(validator: Any, source: str, goal: str) -> int:
    """How many lines there were; raises ValueError for one that the schema does not accept."""
    count = 0
    with open(source, "rb") as lines, open(goal, "wb") as answers:  # noqa: PTH123  as plain as it gets
        for count, line in enumerate(lines, 1):
            request = orjson.loads(line)
            if not validator.is_valid(request):
                raise ValueError(f"line {count} is not as the schema wants it")
            answers.write(orjson.dumps(answer(request, count)) + b"\n")
    return count


def answer(request: dict[str, Any], number: int) -> dict[str, Any]:
    message = {"role": "assistant", "content": TEXT, "refusal": None}
    body = {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": request["body"]["model"],
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2, **DETAILS},
        "system_fingerprint": "fp_0123456789",
    }
    response = {"status_code": 200, "request_id": f"req_{number}", "body": body}
    return {
        "id": f"batch_req_{number}",
        "custom_id": request["custom_id"],
        "response": response,
        "error": None,
    }


def open_validator() -> Any:
    document = yaml.load((ROOT / "openapi.yaml").read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    schema = {"components": document["components"], "$ref": "#/components/schemas/BatchRequestLine"}
    return jsonschema_rs.Draft202012Validator(schema)


def main(source: str, goal: str) -> None:
    validator = open_validator()
    started = perf_counter()
    lines = answer_lines(validator, source, goal)
    print(perf_counter() - started, lines)


if __name__ == "__main__":
    main(*sys.argv[1:])
