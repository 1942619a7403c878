"""The same requests get the same bytes, whatever other requests come between; every header but `Date` included."""

from typing import TYPE_CHECKING, Any

from batch_client import chats
from builders import make_client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from starlette.testclient import TestClient

Sent = tuple[str, str, dict[str, Any]]
CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Name a river."}]}
COUNTED = ("date", "x-ratelimit-remaining-requests", "x-ratelimit-remaining-tokens")
"""Headers that count what an account asks in all."""


def upload(content: bytes, name: str = "in.jsonl") -> dict[str, Any]:
    return {"data": {"purpose": "batch"}, "files": {"file": (name, content)}}


def story(client: "TestClient") -> Any:
    """Requests of one client, each with the answers before it at hand: it yields what is sent, and gets the JSON."""
    queued = yield "POST", "/ai/batches", {"json": {"prompts": ["One", "Two [mock:fail]"], "country": "US"}}
    yield "GET", f"/ai/batches?id={queued['id']}", {}
    yield "POST", "/ai/batches", {"json": {"prompts": ["One", "Two [mock:fail]"], "country": "US"}}
    yield "GET", "/ai?prompt=One&expiration=0", {}
    yield "GET", "/ai/batches?id=nonsense", {}
    yield "GET", "/v1/models", {}
    yield "GET", "/v1/models", {}
    yield "GET", "/v1/models/gpt-0", {}
    yield "POST", "/v1/chat/completions", {"json": CHAT}
    yield "POST", "/v1/chat/completions", {"json": CHAT}
    yield "POST", "/v1/chat/completions", {"json": {**CHAT, "stream": True}}
    yield "POST", "/v1/chat/completions", {"content": b"{", "headers": {"content-type": "application/json"}}
    yield "POST", "/v1/embeddings", {"json": {"model": "bge-large-en-v1.5", "input": "river"}}
    yield "GET", "/v1/models", {"headers": {"authorization": ""}}
    yield "POST", "/v1/nowhere?b=1&a=2", {"content": b"\0"}
    file = yield "POST", "/v1/files", upload(chats(3))
    asked = {"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    batch = yield "POST", "/v1/batches", {"json": asked}
    done = yield "GET", f"/v1/batches/{batch['id']}", {}
    yield "GET", f"/v1/files/{done['output_file_id']}/content", {}
    yield "POST", "/api/v1/prompts", {"json": {"slug": "mine", "name": "Mine", "template": "Hello {{ name }}"}}
    yield "POST", "/api/v1/prompts/mine/render", {"json": {"variables": {"name": "Ann"}}}


OTHERS: list[Sent] = [
    ("GET", "/v1/batches", {}),
    ("GET", "/v1/files?limit=3", {}),
    ("GET", "/v1/models/gpt-4o", {}),
    ("POST", "/v1/chat/completions", {"json": {**CHAT, "temperature": 0.5}}),
    ("POST", "/v1/chat/completions", {"content": b"[", "headers": {"content-type": "application/json"}}),
    ("POST", "/v1/embeddings", {"json": {"model": "bge-large-en-v1.5", "input": "lake"}}),
    ("POST", "/v1/files", upload(chats(2), "other.jsonl")),
    ("POST", "/v1/files", {"data": {"purpose": "nonsense"}, "files": {"file": ("a", b"")}}),
    ("POST", "/ai/batches", {"json": {"prompts": ["Something else"]}}),
    ("GET", "/ai?prompt=Another", {}),
    ("GET", "/ai?prompt=Another&mode=async", {}),
    ("GET", "/user", {}),
    ("POST", "/api/v1/prompts", {"json": {"slug": "yours", "name": "Yours", "template": "Bye"}}),
    ("GET", "/v1/models", {"headers": {"authorization": "Bearer another", "x-mock-sandbox": "test"}}),
    ("GET", "/nowhere", {}),
    ("GET", "/__admin/usage", {}),
    ("GET", "/__admin/requests", {}),
]


def told(others: list[int]) -> list[Any]:
    """The answers to the story; before its n-th request, those of OTHERS that `others` has at n are sent."""
    with make_client() as client:
        answers: list[Any] = []
        it, value = story(client), None
        while True:
            try:
                method, path, given_ = it.send(value)
            except StopIteration:
                return answers
            for one in others[len(answers) * 2 : len(answers) * 2 + 2]:
                if one:
                    client.request(OTHERS[one - 1][0], OTHERS[one - 1][1], **OTHERS[one - 1][2])
            answer = client.request(method, path, **given_)
            named = [each for each in answer.headers.multi_items() if each[0].lower() not in COUNTED]
            answers.append((answer.status_code, named, answer.content))
            is_json = answer.headers.get("content-type", "").startswith("application/json")
            value = answer.json() if is_json else None


ALONE = told([])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(0, len(OTHERS)), min_size=42, max_size=42))
def test_answers_do_not_depend_on_other_requests(others: list[int]) -> None:
    assert told(others) == ALONE


def test_every_other_request_at_once_changes_nothing() -> None:
    every = [1 + n % len(OTHERS) for n in range(42)]

    assert told(every) == ALONE


def test_the_story_has_answers_of_many_kinds_and_an_id_for_each_request() -> None:
    ids = [value for _, named, _ in ALONE for name, value in named if name.lower() == "x-request-id"]

    assert {status for status, _, _ in ALONE} >= {200, 201, 202, 400, 401, 404, 422}
    assert len(set(ids)) == len(ids) == len(ALONE) - 5
