"""A program on the OpenAI SDK: it asks for the mood of many reviews in one batch."""

import json
import time
from dataclasses import dataclass, field

from openai import OpenAI

ENDPOINT = "/v1/chat/completions"
ENDED = {"completed", "failed", "expired", "cancelled"}


class BatchFailedError(Exception):
    """The batch ended without results."""


@dataclass
class Moods:
    answers: dict[str, str] = field(default_factory=dict)
    """By the review's name."""
    errors: dict[str, str] = field(default_factory=dict)
    """Why a review has no answer, by its name."""


def moods(reviews: dict[str, str], *, wait: float = 30.0) -> Moods:
    """What the model says of each review."""
    with OpenAI() as client:
        file = client.files.create(file=("reviews.jsonl", lines(reviews)), purpose="batch")
        batch = client.batches.create(input_file_id=file.id, endpoint=ENDPOINT, completion_window="24h")
        while batch.status not in ENDED:
            time.sleep(wait)
            batch = client.batches.retrieve(batch.id)
        if batch.status == "failed":
            problems = batch.errors.data if batch.errors and batch.errors.data else []
            raise BatchFailedError("; ".join(f"line {each.line}: {each.message}" for each in problems))
        return collected(client, batch.output_file_id, batch.error_file_id)


def lines(reviews: dict[str, str]) -> bytes:
    return "\n".join(json.dumps(request(name, text)) for name, text in reviews.items()).encode()


def request(name: str, text: str) -> dict[str, object]:
    messages = [{"role": "user", "content": f"Is this review happy or sad? {text}"}]
    return {
        "custom_id": name,
        "method": "POST",
        "url": ENDPOINT,
        "body": {"model": "gpt-4o-mini", "messages": messages},
    }


def collected(client: OpenAI, *file_ids: str | None) -> Moods:
    """Both files are read: a batch that is completed may have nothing but errors. The order of lines means nothing."""
    found = Moods()
    for file_id in filter(None, file_ids):
        for line in client.files.content(file_id).text.splitlines():
            result = json.loads(line)
            response = result["response"]
            if response and response["status_code"] == 200:
                found.answers[result["custom_id"]] = response["body"]["choices"][0]["message"]["content"]
            else:
                error = response["body"]["error"] if response else result["error"]
                found.errors[result["custom_id"]] = error["message"]
    return found
