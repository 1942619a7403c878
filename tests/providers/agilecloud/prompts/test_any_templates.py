"""Any template with any variables ends in a text or a TemplateProblem, the same one each time, and quickly."""

from typing import Any

import jinja2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mockserver.providers.agilecloud.prompts.template import TemplateError, placeholders, render

KINDS = {"syntax", "missing_variable", "unsafe", "too_much"}
WORDS = st.sampled_from(
    [
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "#}",
        "-",
        "for",
        "in",
        "if",
        "elif",
        "else",
        "endif",
        "endfor",
        "set",
        "endset",
        "macro",
        "endmacro",
        "call",
        "endcall",
        "filter",
        "endfilter",
        "with",
        "endwith",
        "recursive",
        "x",
        "y",
        "xs",
        "d",
        "name",
        "range(9999)",
        "range",
        "loop",
        "loop.index",
        "loop(xs)",
        "namespace()",
        "caller()",
        "not",
        "and",
        "or",
        "is",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ".",
        ":",
        "|",
        "~",
        "+",
        "*",
        "**",
        "/",
        "//",
        "%",
        "==",
        "<",
        ">",
        "=",
        "1",
        "0",
        "99999",
        "10**9",
        "1e308",
        "-1",
        "'a'",
        "'ab%9999d'",
        "'\\ud800'",
        "none",
        "true",
        "upper",
        "center",
        "join",
        "tojson",
        "map",
        "list",
        "length",
        "sort",
        "batch",
        "slice",
        "replace",
        "format",
        "round",
        "indent",
        "wordwrap",
        "urlize",
        "striptags",
        "sum",
        "groupby",
        "truncate",
        "default",
        "tojson(4)",
        "center(9999)",
        "join(',')",
        "map('upper')",
        "defined",
        "odd",
        "x.y",
        "x['a']",
        "xs[1:]",
        "x.upper()",
        ".items()",
        ".__class__",
        "raw",
        "endraw",
        "text",
        "é",
        "𝄞",
        "import",
        "include",
        "block",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)
VARIABLES = st.dictionaries(st.sampled_from(["x", "y", "xs", "d", "name"]) | st.text(max_size=5), VALUES, max_size=5)
ATOMS = ["x", "xs", "d", "name", "9", "99999", "2.5", "'ab'", "'%99d'", "[x, xs]", "{'k': x}", "range(99)"]
OPERATORS = ["+", "-", "*", "/", "//", "%", "**", "~", "==", "<", "in", "and", "or"]
FILTERS = st.sampled_from(sorted(jinja2.filters.FILTERS))
TESTS = st.sampled_from(sorted(name for name in jinja2.tests.TESTS if name.isalpha()))
METHODS = st.sampled_from(sorted(name for name in dir(str) if name[0] != "_"))
EXPRESSIONS = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(OPERATORS), inner),
        st.builds("({}|{})".format, inner, FILTERS),
        st.builds("({}|map('{}')|list)".format, inner, FILTERS),
        st.builds("({}|{}({}))".format, inner, FILTERS, inner),
        st.builds("({} is {})".format, inner, TESTS),
        st.builds("{}.{}({})".format, inner, METHODS, inner),
        st.builds("{}[{}:{}]".format, inner, inner, inner),
    ),
    max_leaves=8,
)
PATIENT = settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])


def end_of(template: str, variables: dict[str, Any]) -> str:
    """The text, or the problem's kind and message."""
    try:
        text = render(template, variables)
    except TemplateError as problem:
        assert problem.kind in KINDS
        assert str(problem)
        return f"{problem.kind}: {problem}"
    text.encode()
    assert len(text) <= 1_000_000
    return text


@PATIENT
@given(st.lists(WORDS, max_size=25).map(" ".join), VARIABLES)
def test_any_template_renders_or_gives_an_error(template: str, variables: dict[str, Any]) -> None:
    assert end_of(template, variables) == end_of(template, variables)


@PATIENT
@given(st.text() | st.text("{}%#'\"|()[]xy \n-"), VARIABLES)
def test_any_text_renders_or_gives_an_error(template: str, variables: dict[str, Any]) -> None:
    assert end_of(template, variables) == end_of(template, variables)


@settings(PATIENT, max_examples=100)
@given(EXPRESSIONS, VARIABLES)
def test_any_expression_in_a_loop_renders_or_gives_an_error(expression: str, variables: dict[str, Any]) -> None:
    values = {"x": 7, "xs": [3, "b", {"k": 1}], "d": {"a": [1]}, "name": "Ann", **variables}
    once = end_of("{{ " + expression + " }}", values)
    many = end_of("{% for i in range(9999) %}{% set y = " + expression + " %}{% endfor %}", values)

    assert many == "" or many.partition(":")[0] in KINDS
    assert isinstance(once, str)


@PATIENT
@given(st.lists(WORDS, max_size=25).map(" ".join))
def test_any_template_has_placeholders_or_a_problem(template: str) -> None:
    try:
        names = placeholders(template)
    except TemplateError as problem:
        names = ()
        assert problem.kind in KINDS - {"missing_variable"}

    assert list(names) == sorted(set(names))
