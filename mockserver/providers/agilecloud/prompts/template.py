"""Renders prompt templates in Jinja2's language, within bounds of time, memory and output."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from mockserver.lazy import lazy_module
from mockserver.providers.agilecloud.prompts.problems import TemplateError

if TYPE_CHECKING:
    from mockserver.providers.agilecloud.prompts import render_pool, renderer
    from mockserver.providers.agilecloud.prompts.renderer import Reply
else:
    render_pool = lazy_module("mockserver.providers.agilecloud.prompts.render_pool")
    renderer = lazy_module("mockserver.providers.agilecloud.prompts.renderer")

__all__ = ["TemplateError", "placeholders", "placeholders_of", "render", "render_all"]

MAX_TEMPLATE = 1_000_000
"""The most characters of all templates of a request."""
MAX_VARIABLES = 4 * 1024 * 1024
"""The most bytes of the variables, as JSON."""
MAX_SIMPLE = 100_000
"""The most characters of a template with only names, and of its output, that is rendered in this process."""
CACHED_TEMPLATE = 10_000
_NAME = re.compile(r"\{\{\s*[A-Za-z_]\w*\s*\}\}", re.ASCII)
_TAG = re.compile(r"\{[{%#]")


class RenderLimits(NamedTuple):
    """How the templates of many requests share the renderers."""

    is_batch: bool = False
    """Whether other requests have a renderer for themselves."""
    when_costly: Callable[[], None] = lambda: None
    """Called for templates that take more than ordinary ones."""


UNLIMITED = RenderLimits()


def render(template: str, variables: Mapping[str, Any], *, blank: bool = False) -> str:
    """The rendered text; raises TemplateProblem."""
    return render_all([template], variables, blank=blank)[0]


def render_all(
    templates: Sequence[str],
    variables: Mapping[str, Any],
    *,
    blank: bool = False,
    limits: RenderLimits = UNLIMITED,
) -> list[str]:
    """The rendered texts of several templates, which share one limit; raises TemplateProblem.

    A variable without a value is an error, or, with `blank`, an empty text, as in Jinja2 by default.
    """
    _check_length(templates)
    if all(map(_is_plain, templates)):
        return [_with_plain_ends(template) for template in templates]
    return _asked(templates, variables, blank=blank, wants_names=False, limits=limits)


def placeholders(template: str) -> tuple[str, ...]:
    """The variables of a template, sorted; raises TemplateProblem if it is invalid."""
    return placeholders_of([template])


def placeholders_of(templates: Sequence[str]) -> tuple[str, ...]:
    """The variables of several templates; raises TemplateProblem if one is invalid."""
    _check_length(templates)
    if all(map(_is_plain, templates)):
        return ()
    if sum(map(len, templates)) <= CACHED_TEMPLATE:
        return _cached_names(tuple(templates))
    return _names(templates)


def _names(templates: Sequence[str]) -> tuple[str, ...]:
    return tuple(_asked(templates, {}, blank=False, wants_names=True))


_cached_names = lru_cache(maxsize=256)(_names)


def _asked(
    templates: Sequence[str],
    variables: Mapping[str, Any],
    *,
    blank: bool,
    wants_names: bool,
    limits: RenderLimits = UNLIMITED,
) -> list[str]:
    try:
        given = orjson.dumps(variables)
        request = orjson.dumps(
            {
                "templates": [_with_plain_ends(template) for template in templates],
                "variables": given.decode(),
                "blank": blank,
                "wants_names": wants_names,
            }
        )
    except orjson.JSONEncodeError as error:
        message = "The template or a variable is nested too deeply, or holds half of a surrogate pair."
        raise TemplateError("too_much", message) from error
    if len(given) > MAX_VARIABLES:
        raise TemplateError("too_much", f"The variables have more than {MAX_VARIABLES} bytes.")
    reply = _reply(request, is_simple=_is_simple(templates, len(given)), is_batch=limits.is_batch)
    if reply.get("is_costly"):
        limits.when_costly()
    if "kind" in reply:
        raise TemplateError(reply["kind"], reply["message"], variable=reply.get("variable", ""))
    return reply["texts"]


def _reply(request: bytes, *, is_simple: bool, is_batch: bool) -> "Reply":
    if is_simple:
        return renderer.answer(orjson.loads(request))
    reply: Reply = orjson.loads(render_pool.ask(request, is_batch=is_batch))
    return reply


def _check_length(templates: Sequence[str]) -> None:
    if sum(map(len, templates)) > MAX_TEMPLATE:
        raise TemplateError("too_much", f"The template has more than {MAX_TEMPLATE} characters.")


def _is_plain(template: str) -> bool:
    return "{" not in template


def _is_simple(templates: Sequence[str], given: int) -> bool:
    """Whether the templates contain only names in braces, each of which outputs at most all variables."""
    if sum(map(len, templates)) > MAX_SIMPLE:
        return False
    count = 0
    for template in templates:
        rest, found = _NAME.subn("", template)
        count += found
        if _TAG.search(rest) or "{{" in rest:
            return False
    return count * given <= MAX_SIMPLE


def _with_plain_ends(template: str) -> str:
    """The template with `\n` as line ends, and without a last one, as Jinja2 reads it."""
    text = re.sub(r"\r\n?", "\n", template)
    return text.removesuffix("\n")
