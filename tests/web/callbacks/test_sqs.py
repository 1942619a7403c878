"""Callbacks into SQS queues: read from every way to name one, and sent to moto's SQS on loopback."""

import re
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from threading import Thread
from typing import Any

import httpx
import pytest
from builders import make_settings

from mockserver.sandbox.callbacks import State
from mockserver.server.process import ThreadedServer
from mockserver.web.callbacks.policy import DeliveryPolicy, DeliveryResult
from mockserver.web.callbacks.sqs import Queue, enqueue, read_queue

ENDPOINT = "http://127.0.0.1:5000"
DONE = Queue("eu-central-1", "123456789012", "done")


@pytest.mark.parametrize(
    ("target", "queue"),
    [
        ("arn:aws:sqs:eu-central-1:123456789012:done", DONE),
        ("arn:aws-cn:sqs:cn-north-1:1:done.fifo", Queue("cn-north-1", "1", "done.fifo")),
        ("https://sqs.eu-central-1.amazonaws.com/123456789012/done", DONE),
        ("https://sqs.cn-north-1.amazonaws.com.cn/1/done", Queue("cn-north-1", "1", "done")),
        ("https://eu-central-1.queue.amazonaws.com/123456789012/done", DONE),
        ("https://queue.amazonaws.com/123456789012/done", DONE._replace(region="us-east-1")),
        (f"{ENDPOINT}/123456789012/done", DONE._replace(region="us-east-1")),
        ("HTTPS://SQS.EU-CENTRAL-1.AMAZONAWS.COM/123456789012/done", DONE),
        (f"{ENDPOINT.upper()}/123456789012/Done", Queue("us-east-1", "123456789012", "Done")),
        (f"{ENDPOINT}/done", None),
        (f"{ENDPOINT}0/123456789012/done", None),
        ("http://127.0.0.1:5001/123456789012/done", None),
        ("https://sqs.eu-central-1.amazonaws.com.example/1/done", None),
        ("arn:aws:sns:eu-central-1:123456789012:done", None),
    ],
)
def test_a_queue_is_found_by_arn_or_url(target: str, queue: Queue | None) -> None:
    assert read_queue(target, ENDPOINT) == queue


def test_without_an_endpoint_a_queue_is_refused() -> None:
    outcome = enqueue(DONE, b"{}", "some-id", DeliveryPolicy())

    assert (outcome.state, outcome.error[:11]) == (State.REFUSED, "no endpoint")


def test_without_boto3_a_queue_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)

    outcome = enqueue(DONE, b"{}", "some-id", DeliveryPolicy(endpoint=ENDPOINT))

    assert outcome == DeliveryResult(State.REFUSED, None, "boto3 is missing: pip install 'batch-mockserver[sqs]'")


# What follows needs boto3 and moto, which `make test` installs.


@pytest.fixture(scope="module")
def sqs() -> Iterator[str]:
    """The URL of an SQS that has nobody else's queues, in a process of its own."""
    pytest.importorskip("moto.server", reason="moto is not here")
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        with closing(server.stderr) as said:
            url = next(found[0] for line in said if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
            reader = Thread(target=deque, args=(said, 0))  # its log must go somewhere
            reader.start()
            yield url
            server.terminate()
            reader.join()


@pytest.fixture
def queues(sqs: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of the SQS; the environment holds what may never be used."""
    from boto3 import Session

    client = Session("mine", "mine", region_name="eu-central-1").client("sqs", endpoint_url=sqs)
    for name in ("HTTP_PROXY", "http_proxy", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS"):
        monkeypatch.setenv(name, "http://192.0.2.1:1")
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "real")
    monkeypatch.setenv("NO_PROXY", "")
    return client


def received(queues: Any, url: str) -> list[str]:
    answer = queues.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    return [each["Body"] for each in answer.get("Messages", [])]


def test_a_queue_gets_the_payload_as_a_message(sqs: str, queues: Any) -> None:
    url = queues.create_queue(QueueName="done")["QueueUrl"]

    outcome = enqueue(DONE, b'{"status":"successful"}', "some-id", DeliveryPolicy(endpoint=sqs))

    assert outcome == DeliveryResult(State.DELIVERED, 200)
    assert received(queues, url) == ['{"status":"successful"}']


def test_a_fifo_queue_gets_a_batch_once(sqs: str, queues: Any) -> None:
    url = queues.create_queue(QueueName="done.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    queue = DONE._replace(name="done.fifo")

    outcomes = [enqueue(queue, b"{}", "some-id", DeliveryPolicy(endpoint=sqs)).state for _ in range(2)]

    assert outcomes == [State.DELIVERED] * 2
    assert received(queues, url) == ["{}"]


def test_a_queue_that_is_not_there_is_not_tried_again(sqs: str, queues: Any) -> None:
    outcome = enqueue(DONE._replace(name="nowhere"), b"{}", "some-id", DeliveryPolicy(endpoint=sqs))

    assert (outcome.state, outcome.status) == (State.FAILED, 400)
    assert "does not exist" in outcome.error


def test_an_endpoint_that_refuses_connections_is_retried(sqs: str, queues: Any) -> None:
    from receiver import refusing_port

    with refusing_port() as port:
        outcome = enqueue(DONE, b"{}", "some-id", DeliveryPolicy(endpoint=f"http://127.0.0.1:{port}", timeout=1))

    assert (outcome.state, outcome.status) == (State.RETRYING, None)
    assert "Could not connect" in outcome.error


def test_the_credentials_of_the_machine_are_not_used(sqs: str, queues: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.auth import SigV4Auth

    keys: list[Any] = []
    sign = SigV4Auth.add_auth

    def noted(self: Any, asked: Any) -> Any:
        keys.append(self.credentials)
        return sign(self, asked)

    monkeypatch.setattr(SigV4Auth, "add_auth", noted)
    queues.create_queue(QueueName="signed")
    keys.clear()

    enqueue(DONE._replace(name="signed"), b"{}", "some-id", DeliveryPolicy(endpoint=sqs))

    assert [(each.access_key, each.secret_key, each.token) for each in keys] == [("mock", "mock", None)]


@pytest.mark.parametrize("how", ["arn", "url"])
def test_a_finished_batch_is_sent_to_its_queue(sqs: str, queues: Any, how: str) -> None:
    url = queues.create_queue(QueueName=f"due-{how}")["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    target = arn if how == "arn" else f"https://sqs.eu-central-1.amazonaws.com/{arn.split(':')[4]}/due-{how}"

    with (
        ThreadedServer(make_settings(sqs_endpoint=sqs)) as server,
        httpx.Client(base_url=server.url, headers={"Authorization": "Bearer test"}, trust_env=False) as api,
    ):
        batch = api.post("/ai/batches", json={"prompts": ["hello"], "callback": target}).json()
        status = api.get("/ai/batches", params={"id": batch["id"]}).text
        answer = queues.receive_message(QueueUrl=url, WaitTimeSeconds=20)

    assert [each["Body"] for each in answer["Messages"]] == [status]
