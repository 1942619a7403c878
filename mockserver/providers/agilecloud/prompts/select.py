"""Replaces the prompt named in a request by its messages."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from mockserver.errors import Reason, Refusal, Violation
from mockserver.providers.agilecloud.prompts.prompt import Prompt, PromptVersion, ab_version
from mockserver.providers.agilecloud.prompts.template import UNLIMITED, RenderLimits, TemplateError, render_all

FindPrompt = Callable[[str], Prompt | None]

_OF_THE_PROMPT = ("prompt_slug", "prompt_version", "variables")
_NOT_CONFIG = {*_OF_THE_PROMPT, "messages", "stream"}
"""Settings that a version cannot set for a request."""
_EXCLUSIVE = (("max_tokens", "max_completion_tokens"), ("max_completion_tokens", "max_tokens"))
"""Two names of one setting: a body that has the first overrides the second."""
_KINDS = {
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "a string",
    list: "an array",
    dict: "an object",
}


class SelectedVersion(NamedTuple):
    """The version for a request."""

    prompt: Prompt
    version: PromptVersion
    is_tested: bool
    """Whether a version test selected it, so that its use counts; see PromptRepository.count."""


def resolve(body: Mapping[str, Any], prompts: FindPrompt, key: bytes = b"") -> dict[str, Any]:
    """The body with messages in place of a named prompt, or unchanged. Raises Refusal.

    `key` identifies the request; a version test selects by it.
    """
    chosen = select_version(body, prompts, key)
    return dict(body) if chosen is None else apply_prompt(body, chosen)


def select_version(body: Mapping[str, Any], prompts: FindPrompt, key: bytes = b"") -> SelectedVersion | None:
    """The version that a request names, or its default; None if it names no prompt. Raises Refusal."""
    slug = body.get("prompt_slug")
    if slug is None:
        return None
    if not isinstance(slug, str):
        raise _wrong_type("prompt_slug", "a string", slug)
    prompt = prompts(slug)
    if prompt is None:
        raise prompt_not_found(slug, ("body", "prompt_slug"))
    if prompt.is_archived:
        raise prompt_archived(slug, ("body", "prompt_slug"))
    number = _number(body)
    drawn = ab_version(prompt, key) if number is None else None
    version = select_numbered(prompt, drawn if number is None else number, ("body", "prompt_version"))
    return SelectedVersion(prompt, version, is_tested=drawn is not None)


def select_numbered(prompt: Prompt, number: int | None, location: tuple[str | int, ...]) -> PromptVersion:
    """The version with that number, else the published one; raises Refusal if there is none, or it is archived."""
    version = prompt.current if number is None else prompt.version(number)
    if version is None and number is None:
        message = f"Prompt '{prompt.slug}' has no published version."
        raise refusal(Reason.NOT_FOUND, location, "prompt_version_not_found", message)
    if version is None:
        message = f"Version {number} of prompt '{prompt.slug}' not found."
        raise refusal(Reason.NOT_FOUND, location, "prompt_version_not_found", message)
    if version.is_archived:
        raise version_archived(prompt, version, location)
    return version


def apply_prompt(
    body: Mapping[str, Any], chosen: SelectedVersion, *, blank: bool = False, limits: RenderLimits = UNLIMITED
) -> dict[str, Any]:
    """The body with the version's messages, and its settings where the body has none.

    `blank` leaves variables without a value empty; otherwise they are rejected.
    """
    variables = body.get("variables")
    if not isinstance(variables, (Mapping, type(None))):
        raise _wrong_type("variables", "an object", variables)
    settings = {name: value for name, value in chosen.version.model_config.items() if name not in _NOT_CONFIG}
    if chosen.prompt.model is not None:
        settings.setdefault("model", chosen.prompt.model)
    for one, other in _EXCLUSIVE:
        if body.get(one) is not None:
            settings.pop(other, None)
    # "Body-level fields like temperature override the prompt's model config"; null leaves a field unset.
    own = {
        name: value
        for name, value in body.items()
        if name not in _OF_THE_PROMPT and _message_text(name, value, settings)
    }
    messages = rendered_messages(chosen.version, variables or {}, blank=blank, limits=limits)
    return {**settings, **own, "messages": messages}


def rendered_messages(
    version: PromptVersion, variables: Mapping[str, Any], *, blank: bool = False, limits: RenderLimits = UNLIMITED
) -> list[dict[str, Any]]:
    """The version's messages, rendered with the variables; raises Refusal."""
    messages = version.contents
    try:
        texts = render_all([each["content"] for each in messages], variables, blank=blank, limits=limits)
    except TemplateError as problem:
        raise rendering_refused(problem, version) from problem
    return [{**message, "content": text} for message, text in zip(messages, texts, strict=True)]


def rendering_refused(problem: TemplateError, version: PromptVersion) -> Refusal:
    """Why a template could not be rendered: because of a variable, or of the template."""
    if problem.kind == "missing_variable":
        location = ("body", "variables", *([problem.variable] if problem.variable else ()))
        return refusal(Reason.INVALID, location, "missing_variable", str(problem))
    field = "template" if version.messages is None else "messages"
    return refusal(Reason.INVALID, ("body", "variables"), "invalid_template", f"Invalid '{field}': {problem}")


def prompt_not_found(slug: str, location: tuple[str | int, ...]) -> Refusal:
    return refusal(Reason.NOT_FOUND, location, "prompt_not_found", f"Prompt '{slug}' not found.")


def prompt_archived(slug: str, location: tuple[str | int, ...]) -> Refusal:
    return refusal(Reason.CONFLICT, location, "prompt_archived", f"Prompt '{slug}' is archived.")


def version_archived(prompt: Prompt, version: PromptVersion, location: tuple[str | int, ...]) -> Refusal:
    message = f"Version {version.number} of prompt '{prompt.slug}' is archived."
    return refusal(Reason.CONFLICT, location, "version_archived", message)


def refusal(reason: Reason, location: Sequence[str | int], code: str, message: str) -> Refusal:
    """A rejection with one violation, whose code and message are sent to the client."""
    return Refusal(reason, message, violations=[Violation(tuple(location), code, message)])


def _number(body: Mapping[str, Any]) -> int | None:
    number = body.get("prompt_version")
    if number is None:
        return None
    is_whole = isinstance(number, int) or (isinstance(number, float) and number.is_integer())
    if isinstance(number, bool) or not is_whole:
        raise _wrong_type("prompt_version", "an integer", number)
    return int(number)


def _message_text(name: str, value: Any, settings: Mapping[str, Any]) -> bool:
    return value is not None or name not in settings


def _wrong_type(field: str, wanted: str, value: Any) -> Refusal:
    message = f"Invalid type for '{field}': expected {wanted}, but got {_KINDS.get(type(value), 'null')} instead."
    return refusal(Reason.INVALID, ("body", field), "invalid_type", message)
