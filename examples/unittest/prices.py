"""A program that asks for prices: it queues one prompt for each product, and reads the answers when they are there."""

import json
import os
import time
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen


class UnfinishedError(Exception):
    """The batch did not end in time."""


def prices(products: list[str], *, looks: int = 100, wait: float = 5.0) -> dict[str, str]:
    """The answer for each product; products whose prompt failed are left out."""
    queued = call("POST", "/ai/batches", {"prompts": [f"What does {product} cost?" for product in products]})
    batch = finished(queued["id"], looks, wait)
    if batch["url"] is None:
        return {}
    answers = zip(products, lines(f"{batch['url']}?format=ndjson"), strict=True)
    return {product: answer["completionHtml"] for product, answer in answers if "completionHtml" in answer}


def finished(id_: str, looks: int, wait: float) -> dict[str, Any]:
    for _ in range(looks):
        batch = call("GET", f"/ai/batches?id={id_}")
        if batch["status"] in ("successful", "failed"):
            return batch
        time.sleep(wait)
    raise UnfinishedError(id_)


def call(method: str, path: str, body: Any = None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {os.environ['AGENT_FIRST_TOKEN']}", "Content-Type": "application/json"}
    base_url = os.environ.get("AGENT_FIRST_BASE_URL", "https://api.agentfirst.dev")
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(base_url + path, data, headers, method=method)) as answer:
        read: dict[str, Any] = json.load(answer)
        return read


def lines(url: str) -> Iterator[dict[str, Any]]:
    with urlopen(url) as answer:
        for line in answer:
            yield json.loads(line)
