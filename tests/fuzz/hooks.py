"""What Schemathesis cannot read from the document: two formats, rules across fields, and which ids exist."""

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
BATCHES, CONVERSATIONS = json.loads(os.environ["FUZZ_IDS"])
"""The ids that exist when the run begins."""
SANDBOX_KEY = os.environ["FUZZ_SANDBOX_KEY"]

_given = {*BATCHES, *CONVERSATIONS}
_countries = sorted(country.alpha_2 for country in pycountry.countries)
_languages = sorted(language.alpha_2 for language in pycountry.languages if hasattr(language, "alpha_2"))

# Formats of our own: the document's descriptions explain them in words.
schemathesis.openapi.format("iso-3166-1-alpha-2", strategies.sampled_from(_countries))
schemathesis.openapi.format("language", strategies.sampled_from([*_languages, "English", "french"]))


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Have a request that is meant to be good keep the rules that the document states in words only."""
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    rule = _RULES.get(case.operation.definition.raw["operationId"])
    if rule is not None:
        rule(case)


@schemathesis.hook
def after_call(context: HookContext, case: Case[Any], response: Response) -> None:
    """Remember which ids were given out: a stateful run goes on with them."""
    if response.status_code == 202 and "id" in (given := response.json()):
        _given.add(given["id"])


def _keep_batch_rules(case: Case[Any]) -> None:
    if isinstance(case.body, dict):
        _keep_places(case.body)


def _keep_question_rules(case: Case[Any]) -> None:
    query = case.query
    # "where `id` is given, every other argument is ignored": so the id has to be a good one.
    if "id" in query:
        query["id"] = _existing(query["id"], CONVERSATIONS)
    # "A request with neither [prompt nor id] is refused with 422".
    elif "prompt" not in query:
        query["prompt"] = "best basketball shoes for 2026"
    # "`callback` needs `mode=async`; one without the other is refused with 422".
    if "callback" in query:
        query["mode"] = "async"
    _keep_places(query)


def _keep_batch_id(case: Case[Any]) -> None:
    # "An id that is unknown, belongs to another account or names a single conversation is refused with 422."
    case.query["id"] = _existing(case.query["id"], BATCHES)


def _keep_conversation_id(case: Case[Any]) -> None:
    # "An id that is unknown, belongs to another account or names a batch is refused with 422."
    case.query["id"] = _existing(case.query["id"], CONVERSATIONS)


def _keep_archive(case: Case[Any]) -> None:
    # An unknown archive is 404, which Schemathesis takes for an answer; half of the requests shall find theirs.
    if _draw(case.path_parameters["id"], (True, False)):
        case.path_parameters |= {"sandbox": SANDBOX_KEY, "id": _existing(case.path_parameters["id"], BATCHES)}


_RULES = {
    "queueBatch": _keep_batch_rules,
    "askModel": _keep_question_rules,
    "getBatchStatus": _keep_batch_id,
    "getCompletion": _keep_conversation_id,
    "getArchive": _keep_archive,
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
