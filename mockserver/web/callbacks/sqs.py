"""Makes one attempt to deliver a callback to an SQS queue, at the configured endpoint only."""

import os
import re
from typing import Any, NamedTuple

from mockserver.sandbox.callbacks import State
from mockserver.web.callbacks.policy import DeliveryPolicy, DeliveryResult, classify_status

DEFAULT_REGION = "us-east-1"
_ARN = re.compile(r"arn:[^:]+:sqs:([^:]+):([^:]+):([^:/]+)")
_URL = re.compile(
    r"https?://(?:sqs\.([a-z0-9-]+)|([a-z0-9-]+)\.queue|queue)\.amazonaws\.com(?:\.cn)?(?::\d+)?/([^/?#]+)/([^/?#]+)"
)
_PATH = re.compile(r"/([^/?#]+)/([^/?#]+)")
_IGNORED_ERRORS = (None, None, None, None)
"""A variable of botocore's session that no environment variable and no file sets."""


class Queue(NamedTuple):
    """A queue, from its ARN or URL."""

    region: str
    account: str
    name: str


def read_queue(target: str, endpoint: str) -> Queue | None:
    """The queue of an ARN, a URL of AWS or a URL of the endpoint; None if the target is no queue."""
    if found := _ARN.fullmatch(target):
        return Queue(*found.groups())
    target, endpoint = _normalise_name(target), _normalise_name(endpoint)
    if found := _URL.fullmatch(target):
        return Queue(found[1] or found[2] or DEFAULT_REGION, found[3], found[4])
    if endpoint and target.startswith(endpoint) and (found := _PATH.fullmatch(target[len(endpoint) :])):
        return Queue(DEFAULT_REGION, found[1], found[2])
    return None


def _normalise_name(url: str) -> str:
    """A URL with scheme and authority in lower case, which are case-insensitive (RFC 3986, 6.2.2.1)."""
    scheme, mark, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{mark}{authority}".lower() + slash + path


def enqueue(queue: Queue, payload: bytes, id_: str, rules: DeliveryPolicy) -> DeliveryResult:
    """Send the payload as a message; returns the result."""
    if not rules.endpoint:
        return DeliveryResult(State.REFUSED, error="no endpoint: --sqs-endpoint says where queues are")
    try:
        import boto3  # noqa: PLC0415  an extra, and half a second
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  as boto3 above
    except ImportError:
        return DeliveryResult(State.REFUSED, error="boto3 is missing: pip install 'batch-mockserver[sqs]'")
    message = {"QueueUrl": f"{rules.endpoint}/{queue.account}/{queue.name}", "MessageBody": payload.decode()}
    if queue.name.endswith(".fifo"):
        message |= {"MessageGroupId": "mockserver", "MessageDeduplicationId": id_}
    try:
        client = _client(boto3, queue.region, rules)
        try:
            client.send_message(**message)
        finally:
            client.close()
    except ClientError as error:
        return classify_status(error.response["ResponseMetadata"]["HTTPStatusCode"], str(error)[:400])
    except (BotoCoreError, ValueError) as error:
        return DeliveryResult(State.RETRYING, error=str(error)[:400])
    return DeliveryResult(State.DELIVERED, 200)


def _client(boto3: Any, region: str, rules: DeliveryPolicy) -> Any:
    """A client with invalid credentials. This machine's credentials and proxies are not used."""
    from botocore.config import Config  # noqa: PLC0415  as boto3 above
    from botocore.session import Session  # noqa: PLC0415  as boto3 above

    nothing = (None, None, os.devnull, None)
    core = Session(session_vars={"profile": _IGNORED_ERRORS, "config_file": nothing, "credentials_file": nothing})
    session = boto3.Session(
        aws_access_key_id="mock",
        aws_secret_access_key="mock",  # noqa: S106  a word, not a secret
        region_name=region,
        botocore_session=core,
    )
    config = Config(
        connect_timeout=rules.timeout, read_timeout=rules.timeout, retries={"total_max_attempts": 1}, proxies={}
    )
    return session.client("sqs", endpoint_url=rules.endpoint, config=config)
