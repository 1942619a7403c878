"""AgileCloud's provider: its hooks and the registration of its handlers."""

from typing import TYPE_CHECKING

from mockserver.api.call import Call
from mockserver.api.provider import Provider
from mockserver.errors import Reason, Refusal
from mockserver.http import FAULT_SOURCE, Request, Response
from mockserver.lazy import lazy_function, lazy_module
from mockserver.openapi.document import Operation
from mockserver.openapi.security import read_token
from mockserver.providers.agilecloud.client_rules import CLIENT_RULES
from mockserver.providers.agilecloud.rate_limit import BUCKETS, Bucket, counted, limit_headers
from mockserver.providers.agilecloud.request_ids import request_id
from mockserver.providers.agilecloud.settings import AgileCloudSettings
from mockserver.redaction import account_key
from mockserver.sandbox.accounts import Account
from mockserver.sandbox.sandbox import Sandbox
from mockserver.settings.table import Settings, provider_settings

# Most users need one API of two, so start-up imports none of the handlers.
if TYPE_CHECKING:
    from mockserver.providers.agilecloud import collections, errors, files, read_back, upgrade, usage
    from mockserver.providers.agilecloud.batches import operations as batches
    from mockserver.providers.agilecloud.batches import reads as batch_reads
    from mockserver.providers.agilecloud.batches import unknowns
    from mockserver.providers.agilecloud.chat import operations as chat
    from mockserver.providers.agilecloud.prompts import operations as prompts
else:
    errors = lazy_module("mockserver.providers.agilecloud.errors")
    usage = lazy_module("mockserver.providers.agilecloud.usage")
    collections = lazy_module("mockserver.providers.agilecloud.collections")
    read_back = lazy_module("mockserver.providers.agilecloud.read_back")
    upgrade = lazy_module("mockserver.providers.agilecloud.upgrade")
    batches = lazy_module("mockserver.providers.agilecloud.batches.operations")
    batch_reads = lazy_module("mockserver.providers.agilecloud.batches.reads")
    files = lazy_module("mockserver.providers.agilecloud.files")
    unknowns = lazy_module("mockserver.providers.agilecloud.batches.unknowns")
    chat = lazy_module("mockserver.providers.agilecloud.chat.operations")
    prompts = lazy_module("mockserver.providers.agilecloud.prompts.operations")

CHOSEN = frozenset({"stub", FAULT_SOURCE})
"""Sources of responses whose headers a test has set."""
RETRY_AFTER = 1
"""The seconds of `Retry-After` when the rate limit is exceeded."""

CHAT = "/v1/chat/completions"
PROMPTS = "/api/v1/prompts"


def check_rate_limit(_: Operation, sandbox: Sandbox, account: Account, now: float, settings: Settings) -> None:
    """Counts a request; raises Refusal for an account over the setting `rate_limit`."""
    buckets, limit = sandbox.collection(BUCKETS, Bucket), provider_settings(AgileCloudSettings, settings).rate_limit
    bucket = counted(buckets.get(account.key), limit, now)
    if bucket is None:
        raise Refusal(Reason.RATE_LIMITED, headers=(("Retry-After", str(RETRY_AFTER)),))
    buckets.put(account.key, bucket)


def add_headers(
    request: Request, sandbox: Sandbox, response: Response, settings: Settings, call: Call | None
) -> Response:
    """The response with the request's id, and the account's remaining requests and tokens."""
    if call is not None and call.optional_account is not None:
        now, canonical_body, account = call.now, call.canonical, call.optional_account.key
    else:
        now, canonical_body, account = sandbox.clock.now(), b"", account_key(read_token(request) or "")
    bucket = sandbox.collection(BUCKETS, Bucket).get(account)
    limit = provider_settings(AgileCloudSettings, settings).rate_limit
    headers = limit_headers(bucket, limit, now, response.status)
    if response.headers and response.source in CHOSEN:  # a stub's own limit headers have precedence
        given = {name.lower() for name, _ in response.headers}
        headers = tuple(each for each in headers if each[0].lower() not in given)
    return response.with_headers(("X-Request-ID", request_id(request, sandbox, canonical_body)), *headers)


def is_costly(request: Request) -> bool:
    """Whether the request has a schema or template of the client, or asks for several choices or log probabilities.

    Names may be written with JSON escapes.
    """
    path, body = request.path, request.body
    if path != CHAT:
        return path.startswith(PROMPTS)
    find = body.find  # much faster than `in` for a short body
    if find(b'"n"') >= 0 or find(b"logprobs") >= 0:
        return True
    # Searching a single character is much faster than searching a word.
    if find(b"_") >= 0 and (find(b"json_schema") >= 0 or find(b"tool_choice") >= 0 or find(b"prompt_slug") >= 0):
        return True
    return find(b"\\") >= 0 and find(b"\\u00") >= 0


api = Provider(
    "agilecloud",
    tag="AgileCloud",
    format_error=lazy_function(lambda: errors.format_error),
    prefixes=("/v1", "/api/v1"),
    unknown_path_response=lazy_function(lambda: errors.unknown_path),
    # "Revoked keys → 401 at once": an unauthorised account never gets the 403, which is about the tier.
    statuses={
        Reason.FORBIDDEN: (401,),
        Reason.INVALID: (400,),
        **dict.fromkeys((Reason.UNSUPPORTED_MEDIA_TYPE, Reason.UNSUPPORTED_CODING), (400,)),
    },
    admission=check_rate_limit,
    add_headers=add_headers,
    usage_report=lazy_function(lambda: usage.report),
    collections=lazy_function(lambda: collections.collection_types),
    dated=("agilecloud.jobs", "agilecloud.files"),
    read_back=lazy_function(lambda: read_back.read_back),
    upgrade_collections=lazy_function(lambda: upgrade.upgrade_collections),
    listings={
        "batches": lazy_function(lambda: batches.batch_rows),
        "files": lazy_function(lambda: files.file_rows),
    },
    find_batch_reads=lambda: batch_reads.BATCH_READS,
    # Two thousand inputs of an embedding are six million numbers.
    threaded_prefixes=("/v1/batches", "/v1/files", "/v1/embeddings"),
    costly=is_costly,
    client_rules=CLIENT_RULES,
    unknowns=lambda: unknowns.UNKNOWNS,
    prompts=lazy_function(lambda: chat.prompts),
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

api.handles_lazily(
    createChatCompletion=lambda: chat.create_chat_completion,
    createEmbedding=lambda: chat.create_embedding,
    listModels=lambda: chat.list_models,
    retrieveModel=lambda: chat.retrieve_model,
    createFile=lambda: files.create_file,
    retrieveFile=lambda: files.retrieve_file,
    deleteFile=lambda: files.delete_file,
    downloadFile=lambda: files.download_file,
    createBatch=lambda: batches.create_batch,
    retrieveBatch=lambda: batches.retrieve_batch,
    listFiles=lambda: batches.list_files,
    listBatches=lambda: batches.list_batches,
    cancelBatch=lambda: batches.cancel_batch,
    createPrompt=lambda: prompts.create_prompt,
    listPrompts=lambda: prompts.list_prompts,
    getPrompt=lambda: prompts.get_prompt,
    updatePrompt=lambda: prompts.update_prompt,
    archivePrompt=lambda: prompts.archive_prompt,
    createPromptVersion=lambda: prompts.create_prompt_version,
    listPromptVersions=lambda: prompts.list_prompt_versions,
    publishPromptVersion=lambda: prompts.publish_prompt_version,
    diffPromptVersions=lambda: prompts.diff_prompt_versions,
    renderPrompt=lambda: prompts.render_prompt,
    startAbTest=lambda: prompts.start_ab_test,
    getAbResults=lambda: prompts.get_ab_results,
)
