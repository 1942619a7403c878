"""What is unknown of Agent First, and which requests settle it."""

from collections.abc import Mapping
from typing import Any

from mockserver.api.unknowns import MISSING, NO_CREDENTIAL, OTHER, PRESENT, Outcome, Step, Unknown

NO_SUCH = "00000000-0000-4000-8000-000000000000"
PROMPT = "Name a river."
APRIL, JULY = "--agentfirst-version 2026-04", "--agentfirst-version 2026-07"
_ASK = Step("askModel", query={"prompt": PROMPT})
_REJECTED = Outcome("rejected with 422", status=422)
_ACCEPTED = Outcome("accepted", status=202)


def _queue(*prompts: str, keep: Mapping[str, str] = {}, **more: Any) -> Step:
    return Step("queueBatch", body={"prompts": list(prompts or (PROMPT,)), **more}, keep=keep)


UNKNOWNS = (
    Unknown(
        "not-ready-status",
        "Which status has GET /ai/completions while the completion is made?",
        (
            Step("askModel", query={"prompt": PROMPT, "mode": "async"}, keep={"id": "id"}),
            Step("getCompletion", query={"id": "{id}"}),
        ),
        (
            Outcome("202", APRIL, status=202),
            Outcome("200", JULY, status=200, members={"status": PRESENT}),
            Outcome("it was ready at once; repeat it with a longer prompt", status=200),
        ),
    ),
    Unknown(
        "completion-fields",
        "Which fields has a completion?",
        (_ASK,),
        (
            Outcome("those of April 2026 (promptHtml, completionHtml, ...)", APRIL, members={"promptHtml": PRESENT}),
            Outcome("those of July 2026 (query, completion, sources, ...)", JULY, members={"query": PRESENT}),
        ),
    ),
    Unknown(
        "unset-targeting",
        "Is targeting that was not asked for null in a completion, or left out?",
        (_ASK,),
        (
            Outcome("null", APRIL, status=200, members={"country": PRESENT}),
            Outcome("left out", JULY, status=200, members={"country": MISSING}),
        ),
    ),
    Unknown(
        "unknown-id",
        "How is an unknown id rejected?",
        (Step("getBatchStatus", query={"id": NO_SUCH}),),
        (Outcome("with 422", status=422), Outcome("with 404", status=404)),
    ),
    Unknown(
        "id-of-the-other-kind",
        "How does GET /ai/completions answer for the id of a batch?",
        (_queue(keep={"id": "id"}), Step("getCompletion", query={"id": "{id}"})),
        (Outcome("with 422", status=422), Outcome("with 404", status=404)),
    ),
    Unknown(
        "id-of-another-account",
        "How does an account's id answer to another account?",
        (_queue(keep={"id": "id"}), Step("getBatchStatus", query={"id": "{id}"}, credential=OTHER)),
        (
            Outcome("as an unknown id, with 422", status=422),
            Outcome("with 404", status=404),
            Outcome("with 403", status=403),
            Outcome("it is readable", status=200),
        ),
    ),
    Unknown(
        "other-scheme",
        "How is an Authorization header rejected that holds no bearer token?",
        (Step("getUser", headers={"Authorization": "Basic eDp5"}, credential=NO_CREDENTIAL),),
        (Outcome("with 403", status=403), Outcome("with 401", status=401)),
    ),
    Unknown(
        "malformed-json",
        "How is a body rejected that is not JSON?",
        (Step("queueBatch", body="{"),),
        (Outcome("with 422", status=422), Outcome("with 400", status=400)),
    ),
    Unknown(
        "check-order",
        "Is a missing credential told before a missing argument?",
        (Step("getBatchStatus", credential=NO_CREDENTIAL),),
        (Outcome("yes, with 401", status=401), Outcome("no, with 422", status=422)),
    ),
    Unknown(
        "balance-below-price",
        "Is a batch accepted that costs more than the balance?",
        (Step("getUser", keep={"credits": "0.credits"}), _queue("Name a river.", "Name a lake.")),
        (Outcome("yes", status=202), Outcome("no, with 402", status=402)),
        needs=("credits", 1, 9),
    ),
    Unknown(
        "empty-prompt",
        "Is an empty prompt accepted?",
        (_queue(""),),
        (_REJECTED, _ACCEPTED._replace(setting="--empty-prompts")),
    ),
    Unknown(
        "unknown-keys",
        "Are unknown keys of a body ignored?",
        (_queue(surprise=1),),
        (Outcome("yes", status=202), Outcome("no, with 422", "--strict", status=422)),
    ),
    Unknown("raw-format", "Is the format raw accepted?", (_queue(format="raw"),), (_REJECTED, _ACCEPTED)),
    Unknown(
        "city-without-country",
        "Is a city accepted without its country?",
        (_queue(city="Oslo"),),
        (_REJECTED, _ACCEPTED),
    ),
    Unknown(
        "null-for-unset",
        "Does null stand for an optional key that is not set?",
        (_queue(expiration=None),),
        (Outcome("yes", status=202), Outcome("no, with 422", "--strict", status=422)),
    ),
    Unknown(
        "error-texts",
        "Has an error whose text is not documented the text of the sandbox?",
        (_queue(city="Oslo"),),
        (Outcome("yes", status=422, text="City must be accompanied by country"), Outcome("another one", status=422)),
    ),
    Unknown(
        "archive-format",
        "Which format has the archive behind a batch's url?",
        by_hand="run a batch, then `curl -s URL | head -c 2`: `PK` is a ZIP; `unzip -l` lists its members",
    ),
    Unknown(
        "failed-prompts-in-archives",
        "What stands in an archive for a failed prompt?",
        by_hand="open the archive of a batch whose `failed` is not 0; `mockserver proxy --record` keeps it",
    ),
    Unknown(
        "failed-batches",
        "When is a whole batch failed?",
        by_hand="look for a batch whose `failed` is not 0, and read its `status`",
    ),
    Unknown(
        "callback-payload",
        "What does a callback send?",
        by_hand="queue a batch with `callback` set to a public receiver of yours, and compare what it gets with "
        "`sandbox.callbacks()`",
    ),
    Unknown(
        "lifetime",
        "How long do ids and archives live?",
        by_hand="keep an id, and ask again with `mockserver verify --fixtures RECORDING` after days and weeks",
    ),
)
