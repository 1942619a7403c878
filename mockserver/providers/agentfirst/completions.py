"""Agent First's completion of one prompt: the canned one that matches, else a generated one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from mockserver.api.call import ApiContext
from mockserver.lazy import lazy_module
from mockserver.providers.agentfirst.answer_versions import AnswerVersions
from mockserver.providers.agentfirst.settings import AgentFirstSettings
from mockserver.sandbox.batches import Batch
from mockserver.sandbox.ids import digest
from mockserver.sandbox.sandbox import Sandbox
from mockserver.settings.table import provider_settings

if TYPE_CHECKING:
    from mockserver.providers.agentfirst import pages
else:
    pages = lazy_module("mockserver.providers.agentfirst.pages")

DEFAULT_MODEL = "chatgpt"
TARGETING = ("device", "country", "subdivision", "city", "language", "display")
_TARGETING = frozenset({*TARGETING, *(f"{name} (planned)" for name in TARGETING)})


SLICE = 50
"""The questions that are in memory of an archive that is being read."""


class Question(NamedTuple):
    """One prompt with its parameters, which determine the completion."""

    prompt: str
    model: str
    targeting: Mapping[str, str]
    """Only what was given, under the names without ` (planned)`."""
    edition: bytes
    """The version of a cached completion; empty for the first."""

    def key(self, seed: str) -> bytes:
        """16 bytes that seed a generated completion."""
        targeting = orjson.dumps(self.targeting, option=orjson.OPT_SORT_KEYS)
        return digest(seed.encode(), self.prompt.encode(), self.model.encode(), targeting, self.edition)


def completion_for(question: Question, world: ApiContext) -> dict[str, Any]:
    """The completion object, with the fields of the configured version."""
    own = provider_settings(AgentFirstSettings, world.settings)
    key = question.key(world.settings.seed)
    country = question.targeting.get("country")
    canned = world.fixtures.completion(question.prompt, question.model, country)
    answer = (
        pages.fixture_answer(canned.entry) if canned else pages.generated_answer(key, question.prompt, question.model)
    )
    return pages.completion(
        answer,
        prompt=question.prompt,
        model=question.model,
        targeting=question.targeting,
        version=own.agentfirst_version,
        weight=own.page_weight,
        key=key,
    )


def answer_source(question: Question, world: ApiContext) -> str:
    """The source of the completion: `fixture:<file>#<n>`, or `generated`."""
    canned = world.fixtures.completion(question.prompt, question.model, question.targeting.get("country"))
    return canned.source if canned else "generated"


def questions(batch: Batch, sandbox: Sandbox) -> list[Question]:
    """The batch's prompts in input order. Cached completions are at most a day old; without the cache, each is new."""
    request = batch.request()
    model, targeting = request.get("model") or DEFAULT_MODEL, targeting_of(request)
    asked = [Question(prompt, model, targeting, b"") for prompt in batch.texts()]
    if not _may_be_cached(request):
        return [each._replace(edition=f"{batch.id}/{n}".encode()) for n, each in enumerate(asked)]
    return [each._replace(edition=_version(each, batch, sandbox)) for each in asked]


def read_versions(sandbox: Sandbox, now: float) -> None:
    """Read the batches on which the versions of completions depend now. Call it before a handler changes anything.

    Raises NeedsThread on an event loop when there are many.
    """
    versions = AnswerVersions(sandbox)
    if versions.is_needed(now):
        versions.read(_cached_questions)


def editions(batch: Batch, sandbox: Sandbox) -> list[bytes]:
    """The editions of the batch's questions, in input order, for `questions_in_slices`."""
    return [each.edition for each in questions(batch, sandbox)]


def questions_in_slices(batch: Batch, found: Sequence[bytes]) -> Iterator[Question]:
    """The questions of a batch with their editions, without its sandbox and without keeping all of its texts.

    A client may take long to read what is made of them. The body of the batch is parsed for each slice.
    """
    for at in range(0, batch.size, SLICE):
        request = batch.request()
        model, targeting = request.get("model") or DEFAULT_MODEL, targeting_of(request)
        texts = request[batch.texts_key]
        del request
        texts = texts[at : at + SLICE] if isinstance(texts, list) else [texts]
        for text, edition in zip(texts, found[at : at + SLICE], strict=True):
            yield Question(text, model, targeting, edition)


def targeting_of(request: Mapping[str, Any]) -> dict[str, str]:
    """The targeting parameters of a request, under plain names. The display language defaults to the language."""
    if _TARGETING.isdisjoint(request):  # as in most requests
        return {}
    given = {name: request.get(name) or request.get(f"{name} (planned)") for name in TARGETING}
    given["display"] = given["display"] or given["language"]
    return {name: value for name, value in given.items() if value}


def _may_be_cached(request: Mapping[str, Any]) -> bool:
    # "the age in days … where 0 disables caching": zero is a choice, not an absence.
    expiration = request.get("expiration")
    return expiration is None or expiration > 0


def _version(question: Question, batch: Batch, sandbox: Sandbox) -> bytes:
    number = AnswerVersions(sandbox).version(question.key(""), batch.created, _cached_questions)
    return str(number).encode() if number else b""


def _cached_questions(batch: Batch) -> Iterator[bytes]:
    request = batch.request()
    if _may_be_cached(request):
        model, targeting = request.get("model") or DEFAULT_MODEL, targeting_of(request)
        for prompt in batch.texts():
            yield Question(prompt, model, targeting, b"").key("")
