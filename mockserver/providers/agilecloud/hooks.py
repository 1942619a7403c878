"""AgileCloud: an OpenAI-compatible API with batches, files, prompt templates and live calls."""

from mockserver.api.provider import LazyFunction, Provider
from mockserver.errors import Reason, Refusal
from mockserver.http import FAULT_SOURCE, Request, Response
from mockserver.openapi.document import Operation
from mockserver.openapi.requests import read_token
from mockserver.providers.agilecloud.client_rules import CLIENT_RULES
from mockserver.providers.agilecloud.rate_limit import BUCKETS, Bucket, counted, limit_headers
from mockserver.providers.agilecloud.request_ids import request_id
from mockserver.redaction import account_key
from mockserver.sandbox.accounts import Account
from mockserver.sandbox.sandbox import Sandbox
from mockserver.settings.table import Settings

CHOSEN = frozenset({"stub", FAULT_SOURCE})
"""Sources of responses whose headers somebody has chosen for a test."""
RETRY_AFTER = 1
"""Seconds: what a client is told to wait when it asks too often."""

CHAT = "/v1/chat/completions"
PROMPTS = "/api/v1/prompts"
_COSTLY = (b"json_schema", b"tool_choice", b"prompt_slug")


def check_rate_limit(operation: Operation, sandbox: Sandbox, account: Account, now: float, settings: Settings) -> None:  # noqa: ARG001  as the provider calls it
    """Count a request; turn away an account that asks more often than the setting `rate_limit` says."""
    buckets = sandbox.collection(BUCKETS, Bucket)
    bucket = counted(buckets.get(account.key), settings.rate_limit, now)
    if bucket is None:
        raise Refusal(Reason.RATE_LIMITED, headers=(("Retry-After", str(RETRY_AFTER)),))
    buckets.put(account.key, bucket)


def add_headers(request: Request, sandbox: Sandbox, response: Response, settings: Settings) -> Response:
    """The response with the request's id, and with what is left of the account's requests and tokens."""
    bucket = sandbox.collection(BUCKETS, Bucket).get(account_key(read_token(request) or ""))
    headers = limit_headers(bucket, settings.rate_limit, sandbox.clock.now(), response.status)
    if response.headers and response.source in CHOSEN:  # what a stub says of limits is meant
        given = {name.lower() for name, _ in response.headers}
        headers = tuple(each for each in headers if each[0].lower() not in given)
    return response.with_headers(("X-Request-ID", request_id(request, sandbox)), *headers)


def is_costly(request: Request) -> bool:
    """Whether a client's own schema or template is to be filled in. A name may be written with escapes."""
    path, body = request.path, request.body
    if path != CHAT:
        return path.startswith(PROMPTS)
    # One character is found much faster than a word.
    return (b"_" in body and any(word in body for word in _COSTLY)) or (b"\\" in body and b"\\u00" in body)


api = Provider(
    "agilecloud",
    tag="AgileCloud",
    word=LazyFunction("mockserver.providers.agilecloud.errors", "format_error"),
    prefixes=("/v1", "/api/v1"),
    lost=LazyFunction("mockserver.providers.agilecloud.errors", "unknown_path"),
    # "Revoked keys → 401 at once": who may not ask is never told 403, which speaks of the tier.
    statuses={
        Reason.FORBIDDEN: (401,),
        Reason.INVALID: (400,),
        **dict.fromkeys((Reason.UNSUPPORTED_MEDIA_TYPE, Reason.UNSUPPORTED_CODING), (400,)),
    },
    guard=check_rate_limit,
    dress=add_headers,
    report=LazyFunction("mockserver.providers.agilecloud.usage", "report"),
    collections=LazyFunction("mockserver.providers.agilecloud.collections", "collection_types"),
    dated=("agilecloud.jobs", "agilecloud.files"),
    judge=LazyFunction("mockserver.providers.agilecloud.snapshot", "snapshot_problems"),
    listings={
        "batches": LazyFunction("mockserver.providers.agilecloud.batches.operations", "batch_rows"),
        "files": LazyFunction("mockserver.providers.agilecloud.files", "file_rows"),
    },
    # Two thousand inputs of an embedding are six million numbers.
    slow=("/v1/batches", "/v1/files", "/v1/embeddings"),
    costly=is_costly,
    guidance=CLIENT_RULES,
    prompts=LazyFunction("mockserver.providers.agilecloud.chat.operations", "prompts"),
    defaults={
        "listFiles": {"limit": 10_000, "order": "desc"},
        "createBatch": {"completion_window": "24h"},
        "listBatches": {"limit": 20},
        # Most of a chat's settings change no answer.
        "createChatCompletion": {
            "n": 1,
            "stream": False,
            "temperature": 1,
            "top_p": 1,
            "presence_penalty": 0,
            "frequency_penalty": 0,
        },
        "createEmbedding": {"encoding_format": "float"},
        "startAbTest": {"split": 0.5},
    },
)

# Most users need one API of two: the handlers' modules are imported when they are first needed.
api.handles_later(
    "mockserver.providers.agilecloud.chat.operations",
    createChatCompletion="create_chat_completion",
    createEmbedding="create_embedding",
    listModels="list_models",
    retrieveModel="retrieve_model",
)
api.handles_later(
    "mockserver.providers.agilecloud.files",
    createFile="create_file",
    retrieveFile="retrieve_file",
    deleteFile="delete_file",
    downloadFile="download_file",
)
api.handles_later(
    "mockserver.providers.agilecloud.batches.operations",
    createBatch="create_batch",
    retrieveBatch="retrieve_batch",
    listFiles="list_files",
    listBatches="list_batches",
    cancelBatch="cancel_batch",
)
api.handles_later(
    "mockserver.providers.agilecloud.prompts.operations",
    createPrompt="create_prompt",
    listPrompts="list_prompts",
    getPrompt="get_prompt",
    updatePrompt="update_prompt",
    archivePrompt="archive_prompt",
    createPromptVersion="create_prompt_version",
    listPromptVersions="list_prompt_versions",
    publishPromptVersion="publish_prompt_version",
    diffPromptVersions="diff_prompt_versions",
    renderPrompt="render_prompt",
    startAbTest="start_ab_test",
    getAbResults="get_ab_results",
)
