"""What the proxy says of exchanges: violations of both sides, --fail, and what journal, coverage and verdict see."""

import gzip
import json
from typing import Any

import httpx
import pytest
from openai import OpenAI
from proxies import RunningProxy, Servers
from upstreams import RawUpstream, answers, raw_upstream

TOKEN = {"Authorization": "Bearer t"}
OK = (b"HTTP/1.1 200 OK", b"Content-Type: application/json")


def violations_of(answer: httpx.Response) -> list[Any]:
    found: list[Any] = json.loads(answer.headers.get("x-mock-violations", "[]"))
    return found


def places_of(answer: httpx.Response) -> list[str]:
    return [".".join(map(str, each["location"])) for each in violations_of(answer)]


def answering(servers: Servers, body: Any, *head: bytes, status: bytes = b"200 OK") -> RawUpstream:
    """An upstream that answers everything with this JSON."""
    content = json.dumps(body).encode()
    lines = (b"HTTP/1.1 " + status, b"Content-Type: application/json", b"Content-Length: %d" % len(content), *head)
    return servers.enter_context(raw_upstream(answers(*lines, body=content)))


def admin(proxy: RunningProxy, path: str, **query: str) -> Any:
    return httpx.get(f"{proxy.url}/__admin/{path}", headers=TOKEN, params=query).raise_for_status().json()


def test_a_valid_exchange_passes_unmarked(servers: Servers) -> None:
    proxy = servers.proxy(servers.live().url)

    answer = httpx.post(f"{proxy.url}/ai/batches", json={"prompts": ["a"]}, headers=TOKEN)

    assert (answer.status_code, answer.json()["count"], violations_of(answer)) == (202, 1, [])
    assert answer.headers["x-mock-source"] == "upstream"


def test_an_invalid_request_is_passed_on_and_named(servers: Servers) -> None:
    upstream = answering(servers, {"id": "a0482596-c2ad-445a-a435-727002156a20", "count": 1}, status=b"202 Accepted")
    proxy = servers.proxy(upstream.url)

    answer = httpx.post(f"{proxy.url}/ai/batches", json={"prompts": [], "model": "gpt"})

    assert answer.status_code == 202
    assert places_of(answer) == ["request.header.Authorization", "request.body.prompts", "request.body.model"]
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    ("body", "status", "place"),
    [
        ([{"email": "a@b.example"}], b"200 OK", "response.body.0"),
        ([{"email": "a@b.example", "credits": "5"}], b"200 OK", "response.body.0.credits"),
        ({"a": 1}, b"418 Teapot", "response.status"),
        ({"a": 1}, b"403 Forbidden", "response.header.Content-Type"),
    ],
)
def test_an_invalid_answer_is_passed_on_and_named(servers: Servers, body: Any, status: bytes, place: str) -> None:
    proxy = servers.proxy(answering(servers, body, status=status).url)

    answer = httpx.get(f"{proxy.url}/user", headers=TOKEN)

    assert (answer.status_code, answer.json()) == (int(status[:3]), body)
    assert places_of(answer) == [place]


def test_a_compressed_answer_is_validated_and_passed_on_as_it_is(servers: Servers) -> None:
    content = gzip.compress(b'[{"email": 7, "credits": 1}]')
    head = (*OK, b"Content-Encoding: gzip", b"Content-Length: %d" % len(content))
    proxy = servers.proxy(servers.enter_context(raw_upstream(answers(*head, body=content))).url)

    answer = httpx.get(f"{proxy.url}/user", headers=TOKEN)

    assert (answer.headers["content-encoding"], answer.json()[0]["email"]) == ("gzip", 7)
    assert places_of(answer) == ["response.body.0.email"]


def test_a_path_that_the_document_lacks_is_passed_on_and_named(servers: Servers) -> None:
    proxy = servers.proxy(answering(servers, {"a": 1}).url)

    answer = httpx.get(f"{proxy.url}/ai/batchez", headers=TOKEN)

    assert answer.json() == {"a": 1}
    assert [each["code"] for each in violations_of(answer)] == ["no-operation"]
    near = admin(proxy, "requests/unmatched")
    assert "/ai/batchez" in json.dumps(near)


def test_a_form_is_validated_without_its_file_being_kept(servers: Servers) -> None:
    upstream = answering(servers, {})
    proxy = servers.proxy(upstream.url)

    httpx.post(f"{proxy.url}/v1/files", files={"file": ("a.jsonl", b"{}")}, data={"purpose": "batch"}, headers=TOKEN)
    answer = httpx.post(f"{proxy.url}/v1/files", files={"file": ("a.jsonl", b"{}")}, data={}, headers=TOKEN)

    assert b'filename="a.jsonl"' in upstream.requests[0].body
    assert "request.body" in places_of(answer)
    assert "'purpose' is a required property" in answer.headers["x-mock-violations"]


# --fail


def test_with_fail_an_invalid_request_gets_the_documented_error_and_is_not_sent(servers: Servers) -> None:
    upstream = answering(servers, {})
    proxy = servers.proxy(upstream.url, fails=True)

    answer = httpx.post(f"{proxy.url}/ai/batches", json={"prompts": []}, headers=TOKEN)
    unknown = httpx.get(f"{proxy.url}/ai/batchez", headers=TOKEN)

    assert (answer.status_code, answer.text) == (422, "Prompts must number between 1 and 1000")
    assert places_of(answer) == ["body.prompts"]
    assert unknown.status_code == 404
    assert upstream.requests == []


def test_with_fail_an_invalid_answer_is_a_502(servers: Servers) -> None:
    proxy = servers.proxy(answering(servers, [{"email": "a@b.example"}]).url, fails=True)

    answer = httpx.get(f"{proxy.url}/user", headers=TOKEN)

    assert (answer.status_code, answer.json()["title"]) == (502, "Invalid Answer")
    assert places_of(answer) == ["response.body.0"]


def test_with_fail_an_invalid_form_is_answered_with_the_documented_error(servers: Servers) -> None:
    proxy = servers.proxy(answering(servers, {}).url, fails=True)

    answer = httpx.post(f"{proxy.url}/v1/files", files={"file": ("a.jsonl", b"{}")}, headers=TOKEN)

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "purpose"


def test_with_fail_valid_exchanges_pass(servers: Servers) -> None:
    proxy = servers.proxy(servers.live(progression="polls:2").url, fails=True)
    with OpenAI(base_url=f"{proxy.url}/v1", api_key="dai_sk_x", max_retries=0) as client:
        file = client.files.create(file=("in.jsonl", b'{"custom_id":"a"}\n'), purpose="batch")
        assert client.files.retrieve(file.id).id == file.id
        said = client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "Hi"}])
        parts = client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "Hi"}], stream=True
        )

        assert said.choices[0].message.content == "".join(each.choices[0].delta.content or "" for each in parts)


# What the reports see


def test_journal_coverage_and_verdict_see_proxied_traffic(servers: Servers) -> None:
    proxy = servers.proxy(servers.live().url)
    for _ in range(3):
        httpx.get(f"{proxy.url}/ai/batches", params={"id": "no"}, headers=TOKEN)
    httpx.get(f"{proxy.url}/user", headers=TOKEN)

    rows = admin(proxy, "requests")["requests"]
    coverage = {each["key"]: each["responses"] for each in admin(proxy, "coverage")["coverage"]}
    findings = admin(proxy, "verdict")["findings"]

    assert [each["response"]["status"] for each in rows] == [422, 422, 422, 200]
    assert "Bearer [redacted" in json.dumps(rows) and '"Bearer t"' not in json.dumps(rows)
    assert coverage["getUser"]["200"] == 1 and coverage["getBatchStatus"]["422"] == 3
    assert [each["code"] for each in findings] == ["hopeless-retry"]


def test_requests_that_the_document_does_not_allow_are_unexpected_in_the_journal(servers: Servers) -> None:
    proxy = servers.proxy(answering(servers, {}, status=b"202 Accepted").url)
    httpx.post(f"{proxy.url}/ai/batches", json={}, headers=TOKEN)

    [row] = admin(proxy, "requests")["requests"]

    assert row["reason"] == "invalid"
    assert {".".join(map(str, each["location"])) for each in row["violations"]} == {"request.body", "response.body"}


def test_without_debug_headers_answers_have_none(servers: Servers) -> None:
    proxy = servers.proxy(answering(servers, {}).url, debug_headers=False)

    answer = httpx.get(f"{proxy.url}/user")

    assert not [name for name in answer.headers if name.startswith("x-mock")]


def test_the_proxy_answers_its_own_paths(servers: Servers) -> None:
    upstream = answering(servers, {})
    proxy = servers.proxy(upstream.url)

    assert httpx.get(f"{proxy.url}/health").json() == {"status": "ok"}
    assert httpx.get(f"{proxy.url}/__admin/clock").status_code == 200
    assert upstream.requests == []
