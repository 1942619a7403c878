"""The operations on prompt templates: create, read, update, draft, publish, compare, render and test."""

from collections.abc import Iterable, Mapping
from difflib import unified_diff
from typing import Any

from mockserver.api.call import Call
from mockserver.errors import Reason, Refusal
from mockserver.http import Response
from mockserver.providers.agilecloud.context import leaves_blank
from mockserver.providers.agilecloud.prompts.prompt import (
    AbTest,
    IllegalTransition,
    Prompt,
    PromptVersion,
    VersionStats,
)
from mockserver.providers.agilecloud.prompts.repository import PromptRepository, prompts_of, read_content
from mockserver.providers.agilecloud.prompts.select import (
    prompt_archived,
    prompt_not_found,
    refusal,
    rendered_messages,
    select_numbered,
    version_archived,
)
from mockserver.providers.agilecloud.prompts.template import TemplateError, placeholders_of
from mockserver.sandbox.batches import BYTES_PER_ITEM, LoopBudget

MAX_COMPARED = 1_000
"""The most lines of a version that are compared; a diff of more takes too long."""
DEFAULT_SPLIT = 0.5

_SLUG = ("path", "slug")
_VERSION = ("path", "version")
_DESCRIPTIONS = ("name", "description", "model")
_COMPARED = ("template", "messages", "model_config", "variables")


def prompt_book(call: Call) -> PromptRepository:
    """The prompts that the account sees."""
    sandbox, canned = call.sandbox, call.world.fixtures.section("prompts")
    return PromptRepository(prompts_of(sandbox), call.account.key, canned, born=sandbox.clock.born)


def create_prompt(call: Call) -> Response:
    body, book = call.body, prompt_book(call)
    slug = body["slug"]
    if book.own(slug) is not None:
        raise refusal(Reason.CONFLICT, ("body", "slug"), "prompt_exists", f"Prompt '{slug}' already exists.")
    prompt = Prompt(
        slug=slug,
        name=body.get("name") or slug,
        description=body.get("description"),
        model=body.get("model"),
        created_at=call.now,
    )
    prompt = prompt.drafted(_check_content(body), call.now).published(1, call.now)
    return call.reply(prompt_json(book.put(prompt)))


def list_prompts(call: Call) -> Response:
    prompts = prompt_book(call).all()
    _check_budget(each.current or each.latest for each in prompts)
    return call.reply({"data": [prompt_json(each) for each in prompts], "count": len(prompts)})


def get_prompt(call: Call) -> Response:
    return call.reply(prompt_json(_find(call)))


def update_prompt(call: Call) -> Response:
    changes = {name: call.body[name] for name in _DESCRIPTIONS if call.body.get(name) is not None}
    return call.reply(prompt_json(prompt_book(call).put(_find_open(call).described(call.now, **changes))))


def archive_prompt(call: Call) -> Response:
    prompt_book(call).put(_find(call).archived(call.now))
    return Response(204, source="handler")


def create_prompt_version(call: Call) -> Response:
    prompt = prompt_book(call).put(_find_open(call).drafted(_check_content(call.body), call.now))
    return call.reply(version_json(prompt, prompt.latest))


def list_prompt_versions(call: Call) -> Response:
    prompt = _find(call)
    _check_budget(prompt.versions)
    shown = [version_json(prompt, each) for each in reversed(prompt.versions)]
    return call.reply({"data": shown, "count": len(shown)})


def _check_budget(versions: Iterable[PromptVersion]) -> None:
    """Raises NeedsThread on an event loop when there are many versions to be shown, or long ones."""
    budget = LoopBudget()
    for each in versions:
        texts = [each.template or "", *(message["content"] for message in each.messages or ())]
        budget.spend(sum(map(len, texts)) // BYTES_PER_ITEM)


def publish_prompt_version(call: Call) -> Response:
    prompt = _find_open(call)
    version = _version(prompt, call.arguments["version"], _VERSION)
    try:
        prompt = prompt_book(call).put(prompt.published(version.number, call.now))
    except IllegalTransition as error:
        raise version_archived(prompt, version, _VERSION) from error
    return call.reply(version_json(prompt, prompt.versions[version.number - 1]))


def diff_prompt_versions(call: Call) -> Response:
    prompt = _find(call)
    before, after = (_version(prompt, call.arguments[name], ("query", name)) for name in ("v1", "v2"))
    return call.reply(
        {
            "slug": prompt.slug,
            "v1": before.number,
            "v2": after.number,
            "diff": unified(prompt, before, after),
            "changes": _changes(version_json(prompt, before), version_json(prompt, after)),
        }
    )


def render_prompt(call: Call) -> Response:
    prompt = _find_open(call)
    version = select_numbered(prompt, call.body.get("version"), ("body", "version"))
    messages = rendered_messages(version, call.body.get("variables") or {}, blank=leaves_blank(call))
    text = "\n\n".join(each["content"] for each in messages)
    return call.reply({"rendered": text, "messages": messages, "version": version.number})


def start_ab_test(call: Call) -> Response:
    prompt, body = _find_open(call), call.body
    first, second = (select_numbered(prompt, body[name], ("body", name)) for name in ("version_a", "version_b"))
    if first == second:
        message = "Invalid 'version_b': a test takes two versions."
        raise refusal(Reason.INVALID, ("body", "version_b"), "invalid_value", message)
    split = DEFAULT_SPLIT if body.get("split") is None else body["split"]
    test = AbTest(first.number, second.number, split, started_at=call.now)
    prompt_book(call).put(prompt.with_test(test))
    return call.reply(_test_json(prompt, test))


def get_ab_results(call: Call) -> Response:
    prompt = _find(call)
    test = prompt.ab_test
    if test is None:
        raise refusal(Reason.NOT_FOUND, _SLUG, "ab_test_not_found", f"Prompt '{prompt.slug}' has no A/B test.")
    variants = [
        {"version": number, **test.uses.get(number, VersionStats())._asdict()}
        for number in (test.version_a, test.version_b)
    ]
    return call.reply({**_test_json(prompt, test), "variants": variants})


def prompt_json(prompt: Prompt) -> dict[str, Any]:
    """The prompt object, with the content of its published version."""
    version = prompt.current or prompt.latest
    return {
        "object": "prompt",
        "slug": prompt.slug,
        **{name: getattr(prompt, name) for name in _DESCRIPTIONS},
        **_content_json(version),
        "published_version": prompt.current.number if prompt.current else None,
        "latest_version": prompt.latest.number,
        "created_at": int(prompt.created_at),
        "updated_at": int(prompt.updated_at),
        "archived_at": _seconds(prompt.archived_at),
    }


def version_json(prompt: Prompt, version: PromptVersion) -> dict[str, Any]:
    """The version object."""
    return {
        "object": "prompt.version",
        "slug": prompt.slug,
        "version": version.number,
        "status": version.status,
        **_content_json(version),
        "change_note": version.change_note,
        "created_at": int(version.created_at),
        "published_at": _seconds(version.published_at),
        "archived_at": _seconds(version.archived_at),
    }


def unified(prompt: Prompt, before: PromptVersion, after: PromptVersion) -> str:
    """A diff from one version's content to another's, by line."""
    old, new = _lines(before), _lines(after)
    names = f"{prompt.slug} v{before.number}", f"{prompt.slug} v{after.number}"
    if old == new:
        return ""
    if len(old) + len(new) <= MAX_COMPARED:
        lines = list(unified_diff(old, new, *names, lineterm=""))
    else:
        hunk = f"@@ -1,{len(old)} +1,{len(new)} @@"
        lines = [
            f"--- {names[0]}",
            f"+++ {names[1]}",
            hunk,
            *(f"-{line}" for line in old),
            *(f"+{line}" for line in new),
        ]
    return "\n".join(lines) + "\n"


def _lines(version: PromptVersion) -> list[str]:
    if version.template is not None:
        return version.template.split("\n")
    return [line for each in version.contents for line in (f"[{each['role']}]", *each["content"].split("\n"))]


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"field": field, "before": before[field], "after": after[field]}
        for field in _COMPARED
        if before[field] != after[field]
    ]


def _content_json(version: PromptVersion) -> dict[str, Any]:
    return {
        "template": version.template,
        "messages": None if version.messages is None else list(version.messages),
        "model_config": dict(version.model_config),
        "variables": list(_variables(version)),
    }


def _variables(version: PromptVersion) -> tuple[str, ...]:
    if version.variables is not None:
        return version.variables
    try:
        return placeholders_of([each["content"] for each in version.contents])
    except TemplateError:  # Only a fixture's: requests with an invalid template are rejected.
        return ()


def _test_json(prompt: Prompt, test: AbTest) -> dict[str, Any]:
    return {
        "slug": prompt.slug,
        "version_a": test.version_a,
        "version_b": test.version_b,
        "split": test.split,
        "status": "running",
        "started_at": int(test.started_at),
    }


def _seconds(time: float | None) -> int | None:
    return None if time is None else int(time)


def _find(call: Call) -> Prompt:
    slug = call.arguments["slug"]
    prompt = prompt_book(call).find(slug)
    if prompt is None:
        raise prompt_not_found(slug, _SLUG)
    return prompt


def _find_open(call: Call) -> Prompt:
    """The prompt of the path, which must not be archived."""
    prompt = _find(call)
    if prompt.is_archived:
        raise prompt_archived(prompt.slug, _SLUG)
    return prompt


def _version(prompt: Prompt, number: int, location: tuple[str, str]) -> PromptVersion:
    version = prompt.version(number)
    if version is None:
        message = f"Version {number} of prompt '{prompt.slug}' not found."
        raise refusal(Reason.NOT_FOUND, location, "prompt_version_not_found", message)
    return version


def _check_content(body: Mapping[str, Any]) -> PromptVersion:
    """The version of a body, with valid templates; raises Refusal."""
    content = read_content(body)
    if content.template is None and content.messages is None:
        message = "Missing required parameter: 'messages'."
        raise refusal(Reason.INVALID, ("body", "messages"), "missing_required_parameter", message)
    try:
        names = placeholders_of([each["content"] for each in content.contents])
    except TemplateError as problem:
        raise _template_refused(problem, content) from problem
    return content if content.variables is not None else content._replace(variables=names)


def _template_refused(problem: TemplateError, content: PromptVersion) -> Refusal:
    field = "template" if content.messages is None else "messages"
    return refusal(Reason.INVALID, ("body", field), "invalid_template", f"Invalid '{field}': {problem}")
