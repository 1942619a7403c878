"""Renders the inspector's templates. Everything that is inserted is escaped as text."""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from shlex import quote as quote_shell
from typing import Any
from urllib.parse import quote, urlencode

import minijinja
import orjson

from mockserver import __version__

TEMPLATES = Path(__file__).with_name("templates")


def render(template: str, **values: Any) -> bytes:
    """The page as UTF-8."""
    return _environment().render_template(template, **values).encode("utf-8", "replace")


@cache
def _environment() -> minijinja.Environment:
    environment = minijinja.Environment(
        loader=_read_template,
        filters={
            "clock": _clock,
            "columns": _columns,
            "duration": _duration,
            "instant": _instant,
            "json": format_json,
            "part": _part,
            "query": _query,
            "shell": quote_shell,
        },
        auto_escape_callback=lambda _: "html",
        undefined_behavior="strict",
        debug=False,  # an error would quote all values
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.add_global("version", __version__)
    return environment


def _read_template(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def format_json(text: Any) -> str:
    """A JSON text, or a value, indented; any other text as it is."""
    try:
        value = orjson.loads(text) if isinstance(text, str) else text
        return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return str(text)


def _clock(text: Any) -> str:
    """The time of day of an ISO instant, with milliseconds."""
    return str(text)[11:23]


def _columns(rows: Any) -> list[str]:
    """The names that one of the mappings has, in order."""
    return list(dict.fromkeys(name for row in rows.values() for name in row))


def _duration(summary: Any) -> str:
    """How long a response took, in milliseconds: its delay, and the time that the server needed."""
    return f"{1000 * (summary['seconds'] + summary['delay']):.1f} ms"


def _instant(value: Any) -> str:
    """An ISO instant, or Unix seconds, to the second."""
    if isinstance(value, int | float):
        try:
            return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%S")
        except (ValueError, OverflowError):
            return str(value)
    return str(value or "")[:19].replace("T", " ")


def _part(text: Any) -> str:
    """A text as one part of a path."""
    return quote(str(text), safe="")


def _query(values: Any) -> str:
    """The query of a URL; empty values are left out."""
    return urlencode({name: value for name, value in values.items() if value not in {None, ""}})
