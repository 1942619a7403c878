"""A server of other people behind the proxy: moto's SQS, with Amazon's own client."""

from collections.abc import Iterator
from pathlib import Path

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer
from proxies import Servers

KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def test_amazons_client_works_through_the_proxy_and_its_keys_are_in_no_recording(
    servers: Servers, moto: str, tmp_path: Path
) -> None:
    proxy = servers.proxy(moto, record=tmp_path)
    queues = boto3.client(
        "sqs", endpoint_url=proxy.url, region_name="eu-west-1", aws_access_key_id=KEY, aws_secret_access_key=SECRET
    )

    queues.create_queue(QueueName="jobs")
    url = f"{proxy.url}/123456789012/jobs"
    queues.send_message(QueueUrl=url, MessageBody="one")
    [message] = queues.receive_message(QueueUrl=url)["Messages"]
    seen = httpx.get(f"{proxy.url}/__admin/requests", params={"sandbox": "default"}).json()["requests"]
    queues.close()
    proxy.stop()

    assert message["Body"] == "one"
    assert {each["violations"][0]["code"] for each in seen} == {"no-operation"}
    written = b"".join(each.read_bytes() for each in tmp_path.rglob("*") if each.is_file())
    assert b"jobs" in written
    assert KEY.encode() not in written and b"AWS4-HMAC-SHA256 Credential" not in written
