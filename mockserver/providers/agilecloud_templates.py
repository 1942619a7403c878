"""Renders prompt templates: Jinja2 in its sandbox, bounded in time and output whatever the template says."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from mockserver.providers.agilecloud_problems import TemplateProblem

__all__ = ["TemplateProblem", "placeholders", "placeholders_of", "render", "render_all"]

MAX_TEMPLATE = 1_000_000
"""Characters of a template."""


def render(template: str, variables: Mapping[str, Any], *, blank: bool = False) -> str:
    """The text a template gives with these variables; raises TemplateProblem."""
    return render_all([template], variables, blank=blank)[0]


def render_all(templates: Sequence[str], variables: Mapping[str, Any], *, blank: bool = False) -> list[str]:
    """The texts that several templates give, which together may cost what one may; raises TemplateProblem.

    A variable without a value is a problem, or, with `blank`, an empty text, as Jinja2 has it by default.
    """
    _check_length(templates)
    if all(map(_is_plain, templates)):
        return [_plain(template) for template in templates]
    from mockserver.providers import agilecloud_jinja as jinja  # noqa: PLC0415  most servers never render

    try:
        return jinja.run(templates, variables, blank=blank)
    except Exception as error:  # A template may do what it likes; whatever comes of it is its author's to mend.
        raise jinja.explained(error) from error


def placeholders(template: str) -> tuple[str, ...]:
    """The variables a template needs, in alphabetical order; raises TemplateProblem when it cannot be read."""
    return placeholders_of([template])


def placeholders_of(templates: Sequence[str]) -> tuple[str, ...]:
    """The variables that several templates need; raises TemplateProblem when one cannot be read."""
    _check_length(templates)
    if all(map(_is_plain, templates)):
        return ()
    from mockserver.providers import agilecloud_jinja as jinja  # noqa: PLC0415  most servers never render

    try:
        return tuple(sorted(jinja.free_names(templates)))
    except Exception as error:  # As above: whatever Jinja says of a template is for its author.
        raise jinja.explained(error) from error


def _check_length(templates: Sequence[str]) -> None:
    if sum(map(len, templates)) > MAX_TEMPLATE:
        raise TemplateProblem("too_much", f"The template has more than {MAX_TEMPLATE} characters.")


def _is_plain(template: str) -> bool:
    return "{" not in template


def _plain(template: str) -> str:
    """What Jinja makes of a text without tags: line ends become `\\n`, and a last one goes."""
    return re.sub(r"\r\n?", "\n", template).removesuffix("\n")
