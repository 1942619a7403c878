"""Regular expressions and flags wait for their first use."""

import re

import pytest

from mockserver.cli import _parser
from mockserver.command_line import Command
from mockserver.lazy import lazy_pattern


def test_a_lazy_pattern_matches_as_the_compiled_one_does() -> None:
    lazy, compiled = lazy_pattern("a+", re.IGNORECASE), re.compile("a+", re.IGNORECASE)

    for _ in range(2):
        assert lazy.sub("", "xAay") == compiled.sub("", "xAay")
    assert (lazy.pattern, lazy.flags) == (compiled.pattern, compiled.flags)
    assert lazy_pattern(rb"a+").findall(b"xaay") == [b"aa"]


def test_a_lazy_pattern_is_compiled_when_it_is_first_used() -> None:
    pattern = lazy_pattern("(")

    with pytest.raises(re.error):
        pattern.fullmatch("")


def test_only_the_command_that_is_run_has_its_flags() -> None:
    parser = _parser()
    commands = parser.get_default("commands")

    parser.parse_args(["serve", "--port", "0"])

    waiting = [name for name, each in commands.items() if isinstance(each, Command) and each.flags is not None]
    assert "serve" not in waiting
    assert waiting == [name for name in commands if name != "serve"]


def test_help_shows_the_flags_of_a_command_that_was_not_run() -> None:
    assert "--port-file" in _parser().get_default("commands")["serve"].format_help()
