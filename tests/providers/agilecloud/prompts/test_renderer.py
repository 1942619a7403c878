"""What the process that renders templates answers, asked in this process."""

from io import BytesIO
from typing import Any

import orjson
import pytest

from mockserver.providers.agilecloud.prompts import renderer
from mockserver.providers.agilecloud.prompts.problems import TOO_MUCH
from mockserver.providers.agilecloud.prompts.renderer import answer, read_message, write_message


def reply_to(*templates: str, blank: bool = False, wants_names: bool = False, **variables: Any) -> dict[str, Any]:
    return {
        **answer(
            {
                "templates": list(templates),
                "variables": orjson.dumps(variables).decode(),
                "blank": blank,
                "wants_names": wants_names,
            }
        )
    }


def test_the_limits() -> None:
    assert (renderer.CPU_SECONDS, renderer.MEMORY, renderer.MAX_OUTPUT) == (0.5, 536_870_912, 1_000_000)
    assert (renderer.FUEL, renderer.ORDINARY_FUEL, renderer.LEAST_FUEL) == (1_000_000, 50_000, 10_000)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("Hi {{ name }}!", "Hi Ann!"),
        ("{{ all | join('-') }}", "1-2"),
        ("{{ name | center(7) }}|", "  Ann  |"),
        ("{{ 'a b c d e f' | truncate(6, false, '..', 0) }}", "a b.."),
        ("{{ 'abcdefghij' | truncate(6, true, '...', 0) }}", "abc..."),
        ("{{ 'abcdefghij' | truncate(5) }}", "abcdefghij"),
        ("{{ 'abcdefghijk' | truncate(5) }}", "ab..."),
        ("{{ ('x' * 260) | truncate | length }}", "260"),
        ("{{ ('x' * 261) | truncate | length }}", "255"),
        ("{{ ('x y' * 261) | truncate(9, leeway=0) }}", "x yx..."),
    ],
)
def test_a_template_is_rendered(template: str, text: str) -> None:
    assert reply_to(template, name="Ann", all=[1, 2]) == {"texts": [text]}


def test_each_template_gets_the_variables_as_they_were_sent() -> None:
    assert reply_to("{{ a }}", "{{ a.b }}", a={"b": 1})["texts"][1] == "1"


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("{{ b }} {{ a.c }} {{ b }}", ["a", "b"]),
        ("{% set a = 1 %}{{ a }}{{ range(3) }}", []),
        ("{% for x in xs %}{{ x }}{{ loop.index }}{% endfor %}", ["xs"]),
    ],
)
def test_the_names_of_variables_are_sorted_and_without_those_that_are_set(template: str, names: list[str]) -> None:
    assert reply_to(template, wants_names=True) == {"texts": names}
    assert reply_to(template, "{{ z }}", wants_names=True) == {"texts": sorted([*names, "z"])}


@pytest.mark.parametrize("wants_names", [True, False])
@pytest.mark.parametrize(
    ("template", "kind", "message"),
    [
        ("{{ a", "syntax", "Line 1: "),
        ("\n{{ 1 | nope }}", "syntax", "Line 2: "),
        ("{{ 1 is nope }}", "syntax", "Line 1: "),
        ("\n{% include 'x' %}", "unsafe", "Line 2: Not allowed in a template: another template."),
    ],
)
def test_an_invalid_template_is_told_with_its_line(template: str, kind: str, message: str, wants_names: bool) -> None:
    found = reply_to(template, wants_names=wants_names)

    assert found["kind"] == kind
    assert found["message"].startswith(message)


@pytest.mark.parametrize(
    ("template", "variable"),
    [
        ("{{ missing }}", "missing"),
        ("{{ a }} {{ missing }}", "missing"),
        ("{{ other.x }}", "other"),
        ("{{ missing[1:2] }}", "missing"),
        ("{% for x in missing %}{% endfor %}", "missing"),
    ],
)
def test_a_variable_without_a_value_is_named(template: str, variable: str) -> None:
    assert reply_to(template, a=1) == {
        "kind": "missing_variable",
        "message": f"Missing variable: '{variable}'.",
        "variable": variable,
    }


def test_a_part_of_a_variable_that_is_missing_is_told() -> None:
    assert reply_to("\n{{ a.b.c }}", a={}) == {
        "kind": "missing_variable",
        "message": "Line 2: '.b.c' is undefined.",
        "variable": "",
    }


def test_a_variable_without_a_value_may_be_blank() -> None:
    assert reply_to("[{{ missing }}]", blank=True) == {"texts": ["[]"]}


def loop(count: int) -> str:
    return f"{{% for x in range({count}) %}}{{{{ x }}}}{{% endfor %}}"


def test_what_takes_more_steps_than_an_ordinary_template_is_costly() -> None:
    cheap, costly = reply_to(loop(5_000)), reply_to(loop(20_000))

    assert "is_costly" not in cheap
    assert costly["is_costly"] is True
    assert len(costly["texts"]) == 1


def test_what_takes_too_many_steps_is_too_much() -> None:
    nested = "{% for x in range(9999) %}{% for y in range(9999) %}{% endfor %}{% endfor %}"

    assert reply_to(nested) == {"kind": "too_much", "message": TOO_MUCH, "is_costly": True}


def test_the_steps_are_those_of_all_templates_but_ten_thousand_for_each() -> None:
    assert "texts" in reply_to(loop(1_000), *["x"] * 400)
    assert reply_to(loop(3_000), *["x"] * 400)["kind"] == "too_much"


def test_a_million_characters_are_the_most() -> None:
    half, message = "{{ 'x' * 500000 }}", "The rendered text has more than 1000000 characters."

    assert len("".join(reply_to(half, half)["texts"])) == 1_000_000
    assert reply_to(half, half, "x")["message"] == message
    assert reply_to(half, half, "x")["kind"] == "too_much"


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b"\0\0\0\0\0\0\0\2ab", b"ab"),
        (b"\0\0\0\0\0\0\1\0" + b"x" * 256 + b"more", b"x" * 256),
        (b"\0\0\0\0\0\0\0\3ab", b""),
        (b"\0\0\2ab", b""),
        (b"", b""),
    ],
)
def test_a_message_is_its_length_and_its_bytes(sent: bytes, message: bytes) -> None:
    assert read_message(BytesIO(sent)) == message
    if message:
        stream = BytesIO()
        write_message(stream, message)
        assert sent.startswith(stream.getvalue())
        assert read_message(BytesIO(stream.getvalue())) == message
