"""What accounts used: live and batch cost side by side, and the meter events that nobody is sent."""

import json
from typing import Any

import httpx
from builders import make_settings

from mockserver.redaction import account_key
from mockserver.server.process import ThreadedServer

MESSAGES = [{"role": "user", "content": "Name a river in Spain."}]
CHAT = {"model": "gpt-4o-mini", "messages": MESSAGES}


def used_after(*, live: int, lines: int) -> dict[str, Any]:
    """The report after so many live chats, and a batch of the same chats."""
    settings = make_settings(port=0, progression="immediate")
    with (
        ThreadedServer(settings) as server,
        httpx.Client(base_url=server.url, headers={"Authorization": "Bearer team"}) as api,
    ):
        for _ in range(live):
            assert api.post("/v1/chat/completions", json=CHAT).status_code == 200
        if lines:
            rows = [
                {"custom_id": str(n), "method": "POST", "url": "/v1/chat/completions", "body": CHAT}
                for n in range(lines)
            ]
            content = "\n".join(map(json.dumps, rows)).encode()
            file = api.post("/v1/files", data={"purpose": "batch"}, files={"file": ("in.jsonl", content)}).json()
            asked = {"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
            batch = api.post("/v1/batches", json=asked).json()
            assert api.get(f"/v1/batches/{batch['id']}").json()["status"] == "completed"
        report: dict[str, Any] = api.get("/__admin/usage").json()["agilecloud"]
        return report


def test_nothing_is_used_at_first() -> None:
    assert used_after(live=0, lines=0) == {
        "unit": "nano-dollars",
        "accounts": {},
        "events": [],
        "next": None,
        "dropped": 0,
    }


def test_a_batch_costs_half_of_what_the_same_live_calls_cost() -> None:
    account = used_after(live=4, lines=4)["accounts"][account_key("team")]

    live, batch = account["live"], account["batch"]
    assert live["requests"] == batch["requests"] == 4
    assert (live["prompt_tokens"], live["completion_tokens"]) == (batch["prompt_tokens"], batch["completion_tokens"])
    assert batch["cost_at_live_price"] == live["cost"]
    assert batch["cost"] * 2 == live["cost"]
    assert float(live["dollars"]) * 10**9 == live["cost"]


def test_each_request_has_a_meter_event_and_they_add_up_to_the_cost() -> None:
    report = used_after(live=2, lines=3)

    account, events = report["accounts"][account_key("team")], report["events"]
    cost = sum(int(event["payload"]["value"]) for event in events)
    assert cost == account["live"]["cost"] + account["batch"]["cost"]
    live, batch = events[:2], events[2:]
    assert [event["identifier"] for event in batch] == ["0", "1", "2"]
    assert all(event["identifier"].startswith("chatcmpl-") for event in live)
    assert live[0]["identifier"] != live[1]["identifier"]
    assert {event["payload"].get("batch_id", "")[:6] for event in batch} == {"batch_"}
    assert all("batch_id" not in event["payload"] for event in live)
    tokens = {(event["payload"]["input_tokens"], event["payload"]["output_tokens"]) for event in events}
    assert len(tokens) == 1
