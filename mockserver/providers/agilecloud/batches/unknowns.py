"""What is unknown of AgileCloud, and which requests settle it."""

import json
from collections.abc import Mapping
from typing import Any

from mockserver.api.unknowns import ANY, MISSING, PRESENT, Outcome, Step, Unknown

ENDPOINT = "/v1/chat/completions"
FINAL = frozenset({"completed", "failed", "expired", "cancelled"})
SLUG = "mockserver-verify"
OWN_PROFILE, OPENAI = "--agilecloud-profile agilecloud", "--agilecloud-profile openai"


def _line(custom_id: str, model: str = "gpt-4o-mini", **more: Any) -> str:
    body = {"model": model, "messages": [{"role": "user", "content": "Name a river."}], **more}
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": ENDPOINT, "body": body}) + "\n"


def _upload(*lines: str) -> Step:
    form = {"purpose": "batch", "file": "".join(lines or (_line("a"),))}
    return Step("createFile", form=form, keep={"file": "id"})


def _create(**more: Any) -> Step:
    body = {"input_file_id": "{file}", "endpoint": ENDPOINT, "completion_window": "24h", **more}
    return Step("createBatch", body={name: each for name, each in body.items() if each}, keep={"batch": "id"})


def _poll(keep: Mapping[str, str] = {}) -> Step:
    return Step("retrieveBatch", path={"batch_id": "{batch}"}, until=("status", FINAL), keep=keep)


_CANCEL = Step("cancelBatch", path={"batch_id": "{batch}"})
_PROMPT = Step(
    "createPrompt",
    body={"slug": SLUG, "name": "Made by mockserver verify", "template": "About {{ city }}"},
    may_fail=True,  # an earlier run has made it
)
_DONE = {"status": "completed"}

UNKNOWNS = (
    Unknown(
        "create-status",
        "Which status has the answer to a new batch?",
        (_upload(), _create()),
        (Outcome("200", status=200), Outcome("201", status=201)),
    ),
    Unknown(
        "files",
        "Are there /v1/files, as OpenAI has them?",
        (_upload(),),
        (Outcome("yes", status=200), Outcome("no, 404", status=404)),
    ),
    Unknown(
        "cancel-status",
        "Which status has a batch just after its cancellation?",
        (_upload(), _create(), _CANCEL),
        (
            Outcome("cancelled", OWN_PROFILE, members={"status": "cancelled"}),
            Outcome("cancelling", OPENAI, members={"status": "cancelling"}),
        ),
    ),
    Unknown(
        "cancel-finished",
        "How is the cancellation of a finished batch answered?",
        (_upload("no JSON\n"), _create(), _poll(), _CANCEL),
        (Outcome("with 409", status=409), Outcome("with 400", status=400), Outcome("with 200", status=200)),
    ),
    Unknown(
        "statuses",
        "Does a batch pass through finalizing?",
        (_upload(), _create(), _poll()),
        (
            Outcome("yes", OPENAI, members={**_DONE, "finalizing_at": ANY}),
            Outcome("no", OWN_PROFILE, members=_DONE),
        ),
    ),
    Unknown(
        "error-fields",
        "Which fields has an error?",
        (Step("retrieveBatch", path={"batch_id": "batch_none"}),),
        (
            Outcome("message, type, param and code", members={"error.param": PRESENT, "error.code": PRESENT}),
            Outcome("without param", members={"error.message": ANY, "error.param": MISSING}),
            Outcome("detail", members={"detail": ANY}),
        ),
    ),
    Unknown(
        "unknown-prompt",
        "Does a prompt_slug that does not exist fail its line, or the batch?",
        (_upload(_line("a", prompt_slug="mockserver-no-such-prompt")), _create(), _poll()),
        (
            Outcome("its line", members={**_DONE, "error_file_id": ANY}),
            Outcome("the batch", members={"status": "failed"}),
        ),
    ),
    Unknown(
        "missing-variable",
        "Is a template rejected whose variable has no value?",
        (_PROMPT, Step("renderPrompt", path={"slug": SLUG}, body={"variables": {}})),
        (
            Outcome("yes, with 400", "--missing-variables error", status=400),
            Outcome("no, nothing is written in its place", "--missing-variables blank", status=200),
        ),
    ),
    Unknown(
        "slug-and-messages",
        "Which counts in a line with both, prompt_slug or messages?",
        by_hand="send a live chat with both, whose texts ask for different words, and read the answer",
    ),
    Unknown(
        "draft-version",
        "May a request name a version of a prompt that is not published?",
        (
            _PROMPT,
            Step("createPromptVersion", path={"slug": SLUG}, body={"template": "On {{ city }}"},
                 keep={"version": "version"}),
            Step("renderPrompt", path={"slug": SLUG}, body={"version": "{version}", "variables": {"city": "Oslo"}}),
        ),
        (Outcome("yes", status=200), Outcome("no, with 409", status=409), Outcome("no, with 400", status=400)),
    ),
    Unknown(
        "template-role",
        "Which message does a template of one text become?",
        (_PROMPT, Step("renderPrompt", path={"slug": SLUG}, body={"variables": {"city": "Oslo"}})),
        (
            Outcome("one of the user", members={"messages.0.role": "user"}),
            Outcome("one of the system", members={"messages.0.role": "system"}),
        ),
    ),
    Unknown(
        "window-missing",
        "May completion_window be left out?",
        (_upload(), _create(completion_window=None)),
        (Outcome("yes", status=200), Outcome("no, with 400", status=400)),
    ),
    Unknown(
        "mixed-models",
        "May a batch mix models?",
        (_upload(_line("a"), _line("b", "gpt-4o")), _create(), _poll()),
        (Outcome("yes", members=_DONE), Outcome("no, it fails", members={"status": "failed"})),
    ),
    Unknown(
        "content-type",
        "Which media type has the content of a file?",
        (_upload(), Step("downloadFile", path={"file_id": "{file}"})),
        (
            Outcome("application/octet-stream", status=200, media_type="application/octet-stream"),
            Outcome("application/jsonl", status=200, media_type="application/jsonl"),
        ),
    ),
    Unknown(
        "output-name",
        "Which name has the output file?",
        (_upload(), _create(), _poll({"output": "output_file_id"}), Step("retrieveFile", path={"file_id": "{output}"})),
        (Outcome("BATCH_output.jsonl", status=200, text="_output.jsonl"), Outcome("another one", status=200)),
    ),
    Unknown(
        "batch-usage",
        "Does a completed batch tell its usage?",
        (_upload(), _create(), _poll()),
        (
            Outcome("yes", members={**_DONE, "usage.total_tokens": ANY}),
            Outcome("no", members=_DONE),
        ),
    ),
)  # fmt: skip
