"""What Schemathesis cannot read from the document: formats, rules across fields, and which ids exist."""

import json
import os
from collections.abc import Sequence
from typing import Any, TypeVar
from zlib import crc32

import pycountry
import schemathesis
from hypothesis import strategies
from schemathesis import Case, GenerationMode, HookContext, Response

T = TypeVar("T")
DEVICES = ("iPhone 15 Pro", "pixel 7", "iPad (gen 11) landscape")
CHAT_MODELS = ("gpt-4o-mini", "qwen-2.5-3b", "LLAMA-3.1-70b-instruct")
VECTOR_MODELS = ("text-embedding-3-small", "bge-large-en-v1.5")
LINE = (
    '{"custom_id": "one", "method": "POST", "url": "/v1/chat/completions", '
    '"body": {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Name a river."}]}}\n'
)
FIXTURES = ("summarize", "translate", "support-reply")
PROMPTS = ("summarize", "plain", "tested")
"""Prompts that are never archived."""
SCHEMA = {
    "type": "object",
    "properties": {"sea": {"type": "string"}},
    "required": ["sea"],
    "additionalProperties": False,
}
MOST_DIMENSIONS = 1024
"""Of the vectors that each of the models makes."""
KNOWN = json.loads(os.environ["FUZZ_IDS"])
"""The ids that exist when the run begins, by what they are of."""

_given = {each for ids in KNOWN.values() if isinstance(ids, list) for each in ids}
_countries = sorted(country.alpha_2 for country in pycountry.countries)
_languages = sorted(language.alpha_2 for language in pycountry.languages if hasattr(language, "alpha_2"))

# Formats of our own: the document's descriptions explain them in words.
schemathesis.openapi.format("iso-3166-1-alpha-2", strategies.sampled_from(_countries))
schemathesis.openapi.format("language", strategies.sampled_from([*_languages, "English", "french"]))


@schemathesis.hook
def before_load_schema(context: HookContext, raw_schema: dict[str, Any]) -> None:
    """Say in Schemathesis's terms what the document says in words or in extensions of ours."""
    paths = raw_schema["paths"]
    # OpenAPI 3.1 gives a stream one schema, that of its text; Schemathesis holds it against each event. So it gets the
    # schema of an event: "each a `ChatCompletionChunk`, the last one `[DONE]`".
    answer = paths["/v1/chat/completions"]["post"]["responses"]["200"]
    stream = answer["content"]["text/event-stream"]
    chunk = {"contentMediaType": "application/json", "contentSchema": stream["schema"]["x-mock-event"]}
    data = {"type": "string", "if": {"const": "[DONE]"}, "else": chunk}
    stream["schema"] = {"type": "object", "required": ["data"], "properties": {"data": data}}
    # Schemathesis cannot make values of schemas with `dependentSchemas`; what these say, `_keep_chat` keeps.
    del raw_schema["components"]["schemas"]["ChatCompletionRequest"]["dependentSchemas"]
    chat = paths["/v1/chat/completions"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    chat.pop("dependentSchemas", None)  # with --strict the schema stands here itself
    # A file for a batch is refused unless its name ends in `.jsonl`; left to itself, Schemathesis calls it `file`.
    form = paths["/v1/files"]["post"]["requestBody"]["content"]["multipart/form-data"]
    name = {"schema": {"type": "string"}, "example": 'form-data; name="file"; filename="lines.jsonl"'}
    form["encoding"] = {"file": {"headers": {"Content-Disposition": name}}}


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Have a request that is meant to be good keep the rules that the document states in words only."""
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    _keep_path(case)
    rule = _RULES.get(case.operation.definition.raw["operationId"])
    if rule is not None:
        rule(case)


@schemathesis.hook
def after_call(context: HookContext, case: Case[Any], response: Response) -> None:
    """Remember which ids were given out: a stateful run goes on with them."""
    if case.method == "POST" and response.status_code in {200, 201, 202} and _is_json(response):
        given = response.json()
        _given.update(given[name] for name in ("id", "slug") if name in given)


def _is_json(response: Response) -> bool:
    return response.headers.get("content-type") == ["application/json"]


def _keep_path(case: Case[Any]) -> None:
    for name, kind in _PATHS.items():
        if name in case.path_parameters:
            keep = _keep_expendable if case.method == "DELETE" else _keep_existing
            case.path_parameters[name] = keep(case.path_parameters[name], kind)


def _keep_existing(id_: str, kind: str) -> str:
    # The prompts of the fixtures are everybody's, which would look as if Grace saw what is Ada's.
    known: list[str] = KNOWN[kind]
    if id_ in FIXTURES:
        return _draw(id_, known)
    # An unknown id in a path is 404, which Schemathesis takes for an answer; most requests shall find something.
    return _existing(id_, known) if _draw(id_, (True, True, False)) else id_


def _keep_expendable(id_: str, kind: str) -> str:
    # What other requests are sent to find is not deleted.
    expendable: list[str] = KNOWN[f"expendable_{kind}"]
    return _draw(id_, expendable) if id_ in KNOWN[kind] or id_ in FIXTURES else _existing(id_, expendable)


def _keep_batch_rules(case: Case[Any]) -> None:
    if isinstance(case.body, dict):
        _keep_places(case.body)


def _keep_question_rules(case: Case[Any]) -> None:
    query = case.query
    # "where `id` is given, every other argument is ignored": so the id has to be a good one.
    if "id" in query:
        query["id"] = _existing(query["id"], KNOWN["conversations"])
    # "A request with neither [prompt nor id] is refused with 422".
    elif "prompt" not in query:
        query["prompt"] = "best basketball shoes for 2026"
    # "`callback` needs `mode=async`; one without the other is refused with 422".
    if "callback" in query:
        query["mode"] = "async"
    _keep_places(query)


def _keep_queued_id(case: Case[Any]) -> None:
    # "An id that is unknown, belongs to another account or names a single conversation is refused with 422."
    case.query["id"] = _existing(case.query["id"], KNOWN["queued"])


def _keep_conversation_id(case: Case[Any]) -> None:
    # "An id that is unknown, belongs to another account or names a batch is refused with 422."
    case.query["id"] = _existing(case.query["id"], KNOWN["conversations"])


def _keep_archive(case: Case[Any]) -> None:
    # An unknown archive is 404, which Schemathesis takes for an answer; most requests shall find theirs.
    if _draw(case.path_parameters["id"], (True, True, False)):
        id_ = _existing(case.path_parameters["id"], KNOWN["queued"])
        case.path_parameters |= {"sandbox": KNOWN["sandbox"], "id": id_}


def _keep_upload(case: Case[Any]) -> None:
    body = _object(case)
    # A file for a batch that is empty is refused at once; whatever else stands in it, the batch will find out.
    # The document says in words that it is UTF-8.
    content = body.get("file")
    is_text = isinstance(content, str | bytes) and content.isascii() and bool(content)
    if body.get("purpose") == "batch" and (not is_text or _draw(str(body), (True, False))):
        body["file"] = LINE


def _keep_file_place(case: Case[Any]) -> None:
    # "The id behind which the page starts": there is no page behind an id that does not exist.
    if "after" in case.query:
        case.query["after"] = _existing(case.query["after"], KNOWN["files"])


def _keep_batch_place(case: Case[Any]) -> None:
    if "after" in case.query:
        case.query["after"] = _existing(case.query["after"], KNOWN["batches"])


def _keep_input(case: Case[Any]) -> None:
    body = _object(case)
    # "Whether the file exists […] is found out while the batch is `validating`": half of the batches shall find theirs.
    if _draw(str(body), (True, False)):
        body["input_file_id"] = _existing(body["input_file_id"], KNOWN["files"])


def _keep_chat(case: Case[Any]) -> None:
    body = _object(case)
    # "Which model answers; a name that `GET /v1/models` lists", and one that chats.
    body["model"] = _draw(str(body.get("model")), CHAT_MODELS)
    # A schema that is none, or that nothing fits, is refused.
    form = body.get("response_format") or {}
    if form.get("type") == "json_schema":
        form["json_schema"]["schema"] = SCHEMA
    # What must stand together, as `dependentSchemas` says.
    for field, other in _NEEDS.items():
        if not body.get(other):
            body.pop(field, None)
    if body.get("max_completion_tokens") is not None:
        body.pop("max_tokens", None)
    # "`tool_choice` names tools in `tools`".
    if body.get("tool_choice") is not None:
        body["tool_choice"] = _draw(str(body["tool_choice"]), ("none", "auto", "required"))
    # "A strict schema closes each object", and a function's parameters are an object's.
    for tool in body.get("tools") or ():
        if (tool.get("function") or {}).get("parameters") is not None:
            tool["function"]["parameters"] = SCHEMA
    if isinstance(body.get("messages"), list):
        # "The messages after an assistant's `tool_calls` answer each of them": here is no call, and no answer.
        messages = [each for each in body["messages"] if each["role"] != "tool"]
        said = [{**each, "content": "."} if each.pop("tool_calls", None) else each for each in messages]
        # "`json_object` needs a message that holds the word JSON".
        body["messages"] = [*said, {"role": "user", "content": "As JSON, please."}]
    if form.get("type") == "json_object" and (body.get("prompt_slug") or not body.get("messages")):
        del body["response_format"]  # a prompt's messages take the place of these
    # What a template's placeholders stand for has to be given.
    if body.get("prompt_slug") is not None:
        body["prompt_slug"] = _draw(body["prompt_slug"], PROMPTS)
        # A version that is archived is refused, and publishing another archives it.
        body.pop("prompt_version", None)
        body["variables"] = {**(body.get("variables") or {}), "text": "The tide comes twice a day."}


def _keep_vectors(case: Case[Any]) -> None:
    body = _object(case)
    # "Which model embeds; a name that `GET /v1/models` lists", and one that embeds.
    body["model"] = _draw(body["model"], VECTOR_MODELS)
    # "As long as the model makes them", and no longer.
    if body.get("dimensions") is not None:
        body["dimensions"] = min(body["dimensions"], MOST_DIMENSIONS)


def _keep_rendering(case: Case[Any]) -> None:
    body = _object(case)
    # "Every variable that the template uses without a default has to be given".
    body["variables"] = {**(body.get("variables") or {}), "text": "The tide comes twice a day."}


def _keep_test(case: Case[Any]) -> None:
    body = _object(case)
    # "The two versions": one version is not tried against itself.
    body |= {"version_a": 1, "version_b": 2}


def _object(case: Case[Any]) -> dict[str, Any]:
    assert isinstance(case.body, dict)
    return case.body


_NEEDS = {
    "top_logprobs": "logprobs",
    "stream_options": "stream",
    "tool_choice": "tools",
    "parallel_tool_calls": "tools",
    "function_call": "functions",
}
_PATHS = {"file_id": "files", "batch_id": "batches", "slug": "prompts"}
_RULES = {
    "queueBatch": _keep_batch_rules,
    "askModel": _keep_question_rules,
    "getBatchStatus": _keep_queued_id,
    "getCompletion": _keep_conversation_id,
    "getArchive": _keep_archive,
    "createFile": _keep_upload,
    "listFiles": _keep_file_place,
    "listBatches": _keep_batch_place,
    "createBatch": _keep_input,
    "createChatCompletion": _keep_chat,
    "createEmbedding": _keep_vectors,
    "renderPrompt": _keep_rendering,
    "startAbTest": _keep_test,
}


def _keep_places(given: dict[str, Any]) -> None:
    # "a name that `GET /ai/devices` lists, in upper or lower case".
    if given.get("device") is not None:
        given["device"] = _draw(given["device"], DEVICES)
    # "`subdivision` and `city` are refused with 422 unless `country` comes with them".
    if (given.get("subdivision") or given.get("city")) and not given.get("country"):
        given["country"] = "US"
    # "The state, province or the like within `country`": Liechtenstein has no Tennessee, and some have none at all.
    if given.get("subdivision"):
        if parts := _subdivisions(given["country"]):
            given["subdivision"] = _draw(given["subdivision"], parts)
        else:
            del given["subdivision"]


def _subdivisions(country: str) -> list[str]:
    found = pycountry.subdivisions.get(country_code=country.upper()) or ()
    return sorted(each.code.partition("-")[2] for each in found if each.parent_code is None)


def _existing(id_: str, known: Sequence[str]) -> str:
    """The id if it was given out, else one that was: no schema can say which ids those are."""
    return id_ if id_ in _given else _draw(id_, known)


def _draw(text: str, values: Sequence[T]) -> T:
    """One of the values, the same one for the same text."""
    return values[crc32(text.encode("utf-8", "surrogatepass")) % len(values)]
