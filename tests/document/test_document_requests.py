"""What AgileCloud's schemas accept and refuse: files, batches, their lines, chats, embeddings and prompts."""

import orjson
import pytest
from document import Json, Node, component, operations

BATCH = {"input_file_id": "file-abc123", "endpoint": "/v1/chat/completions"}
TOOL = {"type": "function", "function": {"name": "f"}}
USER = {"role": "user", "content": "?"}
CHAT = {"model": "gpt-4o-mini", "messages": [USER]}
TEMPLATE = {"model": "gpt-4o-mini", "prompt_slug": "summarize"}
EMBEDDING = {"model": "bge-large-en-v1.5", "input": "?"}
FILE = {"file": "", "purpose": "batch"}
PROMPT = {"slug": "summarize", "template": "{{ text }}"}
LINE = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": CHAT}
ANSWER = {"status_code": 200, "request_id": "req_1", "body": {}}
ANSWERED = {"id": "batch_req_1", "custom_id": "1", "response": ANSWER, "error": None}
LATE = {"code": "batch_expired", "message": "Too late"}

REFUSED = [
    ("CreateBatchRequest", BATCH, {"endpoint": "/v1/invalid/endpoint"}),
    ("CreateBatchRequest", BATCH, {"endpoint": None}),
    ("CreateBatchRequest", BATCH, {"completion_window": "48h"}),
    ("CreateBatchRequest", BATCH, {"input_file_id": "wrong-id"}),
    ("CreateBatchRequest", BATCH, {"metadata": {"tags": ["a"]}}),
    ("CreateBatchRequest", BATCH, {"metadata": {"k" * 65: "v"}}),
    ("CreateBatchRequest", BATCH, {"metadata": {"k": "v" * 513}}),
    ("CreateBatchRequest", BATCH, {"metadata": {str(n): "" for n in range(17)}}),
    ("CreateBatchRequest", BATCH, {"output_expires_after": {"anchor": "created_at"}}),
    ("CreateBatchRequest", BATCH, {"output_expires_after": {"anchor": "created_at", "seconds": 3599}}),
    ("CreateBatchRequest", BATCH, {"output_expires_after": {"anchor": "created_at", "seconds": 2592001}}),
    ("CreateBatchRequest", BATCH, {"output_expires_after": {"anchor": "now", "seconds": 3600}}),
    ("CreateFileRequest", FILE, {"purpose": "batch_output"}),
    ("CreateFileRequest", FILE, {"expires_after[seconds]": 3600}),
    ("CreateFileRequest", FILE, {"expires_after[anchor]": "created_at"}),
    ("CreateFileRequest", FILE, {"expires_after[anchor]": "created_at", "expires_after[seconds]": 3599}),
    ("ChatCompletionRequest", CHAT, {"model": None}),
    ("ChatCompletionRequest", CHAT, {"messages": []}),
    ("ChatCompletionRequest", CHAT, {"messages": None}),
    ("ChatCompletionRequest", CHAT, {"messages": None, "prompt_slug": None}),
    ("ChatCompletionRequest", CHAT, {"messages": [{"role": "robot", "content": "?"}]}),
    ("ChatCompletionRequest", CHAT, {"messages": [{"role": "user"}]}),
    ("ChatCompletionRequest", CHAT, {"messages": [{"role": "user", "content": None}]}),
    ("ChatCompletionRequest", CHAT, {"messages": [{"role": "user", "content": [{"text": "?"}]}]}),
    ("ChatCompletionRequest", CHAT, {"messages": [{"role": "tool", "content": "?"}]}),
    ("ChatCompletionRequest", CHAT, {"messages": [USER, {"role": "assistant"}]}),
    ("ChatCompletionRequest", CHAT, {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
    ("ChatCompletionRequest", CHAT, {"tool_choice": {"type": "function", "function": {"name": "f"}}}),
    ("ChatCompletionRequest", CHAT, {"n": 0}),
    ("ChatCompletionRequest", CHAT, {"n": 129}),
    ("ChatCompletionRequest", CHAT, {"stop": ["a", "b", "c", "d", "e"]}),
    ("ChatCompletionRequest", CHAT, {"temperature": 2.1}),
    ("ChatCompletionRequest", CHAT, {"presence_penalty": -2.1}),
    ("ChatCompletionRequest", CHAT, {"max_tokens": 0}),
    ("ChatCompletionRequest", CHAT, {"stream": "true"}),
    ("ChatCompletionRequest", CHAT, {"response_format": {"type": "xml"}}),
    ("ChatCompletionRequest", CHAT, {"response_format": {"type": "json_schema"}}),
    ("ChatCompletionRequest", CHAT, {"response_format": {"type": "json_schema", "json_schema": None}}),
    ("ChatCompletionRequest", TEMPLATE, {"prompt_version": 0}),
    ("ChatCompletionRequest", TEMPLATE, {"variables": ["text"]}),
    ("EmbeddingRequest", EMBEDDING, {"input": ""}),
    ("EmbeddingRequest", EMBEDDING, {"input": []}),
    ("EmbeddingRequest", EMBEDDING, {"input": None}),
    ("EmbeddingRequest", EMBEDDING, {"input": ["a", 1]}),
    ("EmbeddingRequest", EMBEDDING, {"input": ["?"] * 2049}),
    ("EmbeddingRequest", EMBEDDING, {"encoding_format": "hex"}),
    ("EmbeddingRequest", EMBEDDING, {"dimensions": 0}),
    ("PromptRequest", PROMPT, {"template": None}),
    ("PromptRequest", PROMPT, {"messages": [USER]}),
    ("PromptRequest", PROMPT, {"slug": "two words"}),
    ("PromptRequest", PROMPT, {"model_config": {"temperature": 3}}),
    ("PromptVersionRequest", {}, {}),
    ("PromptVersionRequest", {}, {"template": "a", "messages": [USER]}),
    ("AbTestRequest", {"version_a": 1, "version_b": 2}, {"split": 1.1}),
    ("BatchRequestLine", LINE, {"custom_id": 1}),
    ("BatchRequestLine", LINE, {"method": "GET"}),
    ("BatchRequestLine", LINE, {"body": {"messages": [USER]}}),
    ("BatchRequestLine", LINE, {"body": {"model": "gpt-4o-mini"}}),
    ("BatchRequestLine", LINE, {"body": {"model": "gpt-4o-mini", "prompt_slug": None}}),
    ("BatchRequestLine", LINE, {"body": {**CHAT, "stream": True}}),
    ("BatchRequestLine", LINE, {"body": "?"}),
    ("BatchResponseLine", ANSWERED, {"response": None}),
    ("BatchResponseLine", ANSWERED, {"error": LATE}),
    ("BatchResponseLine", ANSWERED, {"response": {"status_code": 200}}),
]
ACCEPTED = [
    ("CreateBatchRequest", BATCH, {"completion_window": "24h"}),
    ("CreateBatchRequest", BATCH, {"completion_window": None, "metadata": None, "output_expires_after": None}),
    ("CreateBatchRequest", BATCH, {"metadata": {}}),
    ("CreateBatchRequest", BATCH, {"metadata": {f"{n:064}": "v" * 512 for n in range(16)}}),
    ("CreateBatchRequest", BATCH, {"output_expires_after": {"anchor": "created_at", "seconds": 2592000}}),
    ("CreateBatchRequest", BATCH, {"newer": "fields are ignored"}),
    ("CreateFileRequest", FILE, {"expires_after[anchor]": "created_at", "expires_after[seconds]": 3600}),
    ("ChatCompletionRequest", CHAT, {"newer": {"fields": "are ignored"}}),
    ("ChatCompletionRequest", CHAT, {"messages": [{"role": "developer", "content": "."}, USER]}),
    ("ChatCompletionRequest", CHAT, {"messages": [USER, {"role": "assistant", "refusal": "No."}]}),
    ("ChatCompletionRequest", CHAT, {"messages": [{"role": "tool", "content": "?", "tool_call_id": "call_1"}]}),
    (
        "ChatCompletionRequest",
        CHAT,
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a"}}]}]},
    ),
    ("ChatCompletionRequest", CHAT, {"stop": "."}),
    ("ChatCompletionRequest", CHAT, {"stop": ["a", "b", "c", "d"]}),
    ("ChatCompletionRequest", CHAT, {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}}),
    ("ChatCompletionRequest", CHAT, {"response_format": {"type": "text", "json_schema": None}}),
    ("ChatCompletionRequest", CHAT, {"prompt_slug": "summarize"}),
    ("ChatCompletionRequest", TEMPLATE, {"messages": None, "prompt_version": None, "variables": None}),
    ("EmbeddingRequest", EMBEDDING, {"input": ["?"] * 2048}),
    ("EmbeddingRequest", EMBEDDING, {"input": [[1, 2], [3]]}),
    ("EmbeddingRequest", EMBEDDING, {"input": list(range(8000))}),
    ("PromptRequest", PROMPT, {"messages": None, "model_config": None, "variables": None}),
    ("PromptRequest", {"slug": "s"}, {"messages": [USER], "model_config": {"newer": True}}),
    ("PromptVersionRequest", {}, {"template": None, "messages": [USER]}),
    ("BatchRequestLine", LINE, {"body": TEMPLATE}),
    ("BatchRequestLine", LINE, {"body": {**CHAT, "stream": False}}),
    # Judged when the request is carried out, not while the batch is validating.
    ("BatchRequestLine", LINE, {"body": {**CHAT, "temperature": 9}}),
    ("BatchRequestLine", LINE, {"url": "/v1/embeddings", "body": EMBEDDING}),
    ("BatchResponseLine", ANSWERED, {}),
    ("BatchResponseLine", ANSWERED, {"response": None, "error": LATE}),
]


def shown(value: Json) -> str:
    return str(value)[:60]


@pytest.mark.parametrize(("name", "given", "change"), REFUSED, ids=shown)
def test_a_value_beyond_a_limit_is_invalid(name: str, given: Json, change: Json) -> None:
    assert not component("schemas", name).accepts({**given, **change})


@pytest.mark.parametrize(("name", "given", "change"), ACCEPTED, ids=shown)
def test_a_value_within_the_limits_is_valid(name: str, given: Json, change: Json) -> None:
    assert component("schemas", name).accepts({**given, **change})


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("CreateBatchRequest", BATCH),
        ("ChatCompletionRequest", CHAT),
        ("EmbeddingRequest", EMBEDDING),
        ("PromptRequest", PROMPT),
        ("PromptVersionRequest", {"template": "?"}),
        ("PromptChange", {}),
        ("RenderRequest", {}),
        ("AbTestRequest", {"version_a": 1, "version_b": 2}),
    ],
)
def test_every_optional_field_may_be_null(name: str, given: Json) -> None:
    schema = component("schemas", name)
    required = schema.value.get("required", [])
    nulls = {key: None for key in schema.value["properties"] if key not in required}

    assert nulls
    assert schema.accepts({**nulls, **given})


@pytest.mark.parametrize("name", ["BatchRequestLine", "BatchResponseLine"])
def test_a_line_of_a_file_has_examples_that_fit_it(name: str) -> None:
    schema = component("schemas", name)

    assert schema.value["examples"]
    assert [example for example in schema.value["examples"] if not schema.accepts(example)] == []


def test_the_example_of_an_input_file_holds_lines_that_fit_their_schema() -> None:
    form = operations()["createFile"].child("requestBody", "content", "multipart/form-data")
    schema = form.child("schema", "properties", "file", "x-mock-line")
    lines = form.child("examples", "batchInput").value["value"]["file"].splitlines()

    assert schema.place == ("components", "schemas", "BatchRequestLine")
    assert [schema.accepts(orjson.loads(line)) for line in lines] == [True, True]


@pytest.mark.parametrize(("name", "count"), [("output", 1), ("errors", 2)])
def test_the_examples_of_output_files_hold_lines_that_fit_their_schema(name: str, count: int) -> None:
    content = operations()["downloadFile"].child("responses", "200", "content", "application/octet-stream")
    schema = content.child("schema", "x-mock-line")
    lines = content.child("examples", name).value["value"].splitlines()

    assert schema.place == ("components", "schemas", "BatchResponseLine")
    assert [schema.accepts(orjson.loads(line)) for line in lines] == [True] * count


def test_the_example_of_a_stream_holds_events_that_fit_their_schema_and_ends() -> None:
    content = operations()["createChatCompletion"].child("responses", "200", "content", "text/event-stream")
    schema: Node = content.child("schema", "x-mock-event")
    *events, last, rest = content.child("examples", "answer").value["value"].split("\n\n")

    assert schema.place == ("components", "schemas", "ChatCompletionChunk")
    assert [schema.accepts(orjson.loads(event.removeprefix("data: "))) for event in events] == [True] * 4
    assert (last, rest) == ("data: [DONE]", "")
