"""Templates render as Jinja2 renders them, and what stands in the way is said."""

from typing import Any

import jinja2
import pytest
from effort import effort_within

from mockserver.providers.agilecloud_templates import TemplateProblem, placeholders, render, render_all

ANN: dict[str, Any] = {
    "name": "Ann",
    "n": 5,
    "xs": list(range(1000)),
    "text": "lorem ipsum " * 8000,
    "d": {"a": 1, "b": [1, 2, {"c": 3}]},
    "users": [{"n": "x", "a": 3}, {"n": "y", "a": 4}],
    "deep": [[["a"]], "b"],
    "flag": False,
    "nothing": None,
}

ORDINARY = [
    "no tags at all",
    "line\r\nend\rs\n\n",
    "a { brace } and a 100 % sign",
    "Hello {{ name }}!",
    "Hello {{ name }}!\n",
    "{# silence #}{% raw %}{{ raw }}{% endraw %}",
    "{% for x in xs[:3] %}{{ loop.index }}/{{ loop.length }}:{{ x }}{{ ', ' if not loop.last }}{% else %}-{% endfor %}",
    "{% for x in [] %}{% else %}none{% endfor %}{% for x in xs if x > 996 %}{{ loop.index }}{{ x }}{% endfor %}",
    "{% for x in 'abc' %}{{ loop.cycle('-', '+') }}{{ x }}{{ loop.changed(x) }}{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{% for k in d %}{{ k }}{% endfor %}",
    "{% for x in deep recursive %}<{% if x is string %}{{ x }}{% else %}{{ loop(x) }}{% endif %}>{% endfor %}",
    "{% for x in range(3) %}{% for y in range(2) %}{{ loop.index }}{% endfor %}{{ loop.index }}{% endfor %}",
    "{% if n > 3 and name == 'Ann' %}yes{% elif flag %}maybe{% else %}no{% endif %}",
    "{{ 1 < n <= 5 < 9 }} {{ 3 in xs }} {{ 'z' not in name }} {{ n != 5 }} {{ not flag or missing }}",
    "{{ missing|default('none') }} {{ missing is defined }} {{ nothing is none }} {{ flag|default('x', true) }}",
    "{{ d.b[2].c }} {{ d['a'] }} {{ d.b[n - 3].c }} {{ name[0] }} {{ name[::-1] }} {{ xs[1:9:3] }}",
    "{{ n + 1 }} {{ n - 1 }} {{ n * 2 }} {{ n / 2 }} {{ n // 2 }} {{ n % 2 }} {{ n ** 2 }} {{ -n }} {{ 'a' * 3 }}",
    "{{ 'x' ~ 1 ~ name ~ none }} {{ [1] + [n] }} {{ (1, name) }} {{ {'k': [n]} }}",
    "{{ users|map(attribute='n')|join(', ') }} {{ users|selectattr('a', 'gt', 3)|map(attribute='n')|first }}",
    "{{ users|sum(attribute='a') }} {{ users|map(attribute='a')|max }} {{ users|sort(attribute='a', reverse=true) }}",
    "{{ xs|select('odd')|list|length }} {{ [3, 1, 2]|sort }} {{ [1, 1, 2]|unique|list }} {{ "
    "xs|batch(300)|list|length }}",
    "{% for g, items in users|groupby('n') %}{{ g }}{{ items|length }}{% endfor %} {{ [1, 2, 3]|slice(2)|list }}",
    "{{ d|tojson }} {{ d|tojson(indent=2) }} {{ d|dictsort }} {{ 'a<b>'|e }} {{ '<b>x</b>'|striptags }} {{ d|pprint }}",
    "{{ name|upper|lower|title|center(9) }} {{ ' x '|trim }} {{ 'a,b'|replace(',', ';') }} {{ 'a\nb'|indent(2) }}",
    "{{ text|truncate(20) }} {{ text|wordcount }} {{ 'a b c'|wordwrap(2) }} {{ 2.567|round(1) }} {{ '7'|int + 1 }}",
    "{{ '%(weight)s %(context)s'|format(weight=1, context=2) }}{{ '%(a)s%(a)s' % {'a': 1} }}",
    "{{ 'a %s b %03d'|format('x', 3) }} {{ 'x: %s' % name }} {{ '%5.1f|%-4s|' % (1.25, 'a') }} {{ "
    "'see a.com'|urlize }}",
    "{{ name.upper() }} {{ 'a,b'.split(',') }} {{ name.replace('n', 'm') }} {{ 'a'.zfill(3) }} {{ "
    "', '.join(['a', 'b']) }}",
    "{{ d.keys()|list }} {{ d.get('a') }} {{ d.get('z', 1) }} {{ [1, 2, 1].count(1) }} {{ ' "
    "x'.strip() }} {{ 'Ab'.isalpha() }}",
    "{% macro hi(x, y=2) %}[{{ x }}{{ y }}{{ varargs }}]{% endmacro %}{{ hi(1) }}{{ hi(1, name, 3) }}{{ hi(x=2) }}",
    "{% macro box() %}<{{ caller(1) }}>{% endmacro %}{% call(x) box() %}x{{ x }}{% endcall %}",
    "{% filter upper %}abc{{ name }}{% endfilter %}{% set b %}{{ name }}{% endset %}{{ b|lower }}",
    "{% with a=1, b=2 %}{{ a + b }}{% endwith %} {{ 1 if n else 2 }}{% set a, b = 3, 4 %}{{ a }}{{ b }}",
    "{% set s = namespace(t=0) %}{% for x in xs %}{% set s.t = s.t + x %}{% endfor %}{{ s.t }}",
    "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}",
    "{% set j = joiner(', ') %}{% for x in 'ab' %}{{ j() }}{{ x }}{% endfor %} {{ dict(a=1) }}",
    "{{ xs is iterable }} {{ n is odd }} {{ n is divisibleby 5 }} {{ name is string }} {{ n is "
    "number }} {{ n is in xs }}",
    "  {%- if n -%}  tight  {%- endif -%}  ",
]


@pytest.mark.parametrize("template", ORDINARY)
def test_what_prompts_need_renders_as_in_jinja(template: str) -> None:
    plain = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(template).render(ANN)

    assert render(template, ANN) == plain


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("a\nb {{ name", "Line 2: unexpected end of template"),
        ("{% if %}", "Line 1: Expected an expression"),
        ("{% endfor %}", "Line 1: Encountered unknown tag 'endfor'"),
        ("\n\n{{ 'x'|no_such_filter }}", "Line 3: No filter named 'no_such_filter'."),
        ("{{ xs|random }}", "Line 1: No filter named 'random'."),
        ("{{ name|attr('upper') }}", "Line 1: No filter named 'attr'."),
        ("\n{{ 1 / 0 }}", "Line 2: division by zero"),
        ("{{ name|replace }}", "Line 1: A call is wrong: missing 2 required positional arguments"),
        ("{% macro f() %}{% endmacro %}\n{{ f(1) }}", "takes not more than 0 argument(s)"),
        ("{% for x in d %}" * 30 + "{% endfor %}" * 30, "cannot be compiled: too many statically nested blocks."),
        ("{{ 1 + name }}", "Line 1: unsupported operand"),
        ("{{ " + "9" * 5000 + " }}", "Exceeds the limit"),
        ("{{ xs|sum(start=[]) }}", "Line 1: sum adds numbers only"),
        (r"{{ '\ud800' }}", "half of a surrogate pair"),
    ],
)
def test_what_cannot_be_read_or_done_is_said_with_its_line(template: str, message: str) -> None:
    with pytest.raises(TemplateProblem) as problem:
        render(template, ANN)

    assert problem.value.kind == "syntax"
    assert message in str(problem.value)


@pytest.mark.parametrize(
    "template",
    [
        "{{ city }}",
        "{{ city|upper }}",
        "{{ city.name }}",
        "{{ city + 1 }}",
        "{{ city == 1 }}",
        "{{ city() }}",
        "{{ [city] }}",
        "{{ city[1:] }}",
        "{{ 'a' ~ city }}",
        "{% if city %}{% endif %}",
        "{% for x in city %}{% endfor %}",
    ],
)
def test_a_missing_variable_is_named(template: str) -> None:
    with pytest.raises(TemplateProblem) as problem:
        render(template, ANN)

    assert (problem.value.kind, problem.value.variable) == ("missing_variable", "city")
    assert str(problem.value) == "Missing variable: 'city'."


def test_a_missing_member_is_named_with_what_lacks_it() -> None:
    with pytest.raises(TemplateProblem, match="'dict object' has no attribute 'z'") as problem:
        render("{{ d.z }}", ANN)

    assert (problem.value.kind, problem.value.variable) == ("missing_variable", "")


def test_several_templates_share_one_budget() -> None:
    loop = "{% for a in range(90000) %}{% endfor %}"

    assert render_all([loop, "b"], {}) == ["", "b"]
    with pytest.raises(TemplateProblem, match="too much"):
        render_all([loop] * 50, {})
    with pytest.raises(TemplateProblem, match="together"):
        render_all([f"{{{{ a }}}}{n}" * 2000 for n in range(9)], {"a": 1})
    with pytest.raises(TemplateProblem, match="more than 1000000 characters"):
        render_all(["a" * 600_000] * 2, {})


def test_variables_may_stand_before_the_names_of_the_language() -> None:
    assert render("{{ range }}{{ dict }}", {"range": 1, "dict": 2}) == "12"


def test_a_template_leaves_the_variables_as_they_are() -> None:
    variables: dict[str, Any] = {"xs": [3, 1], "d": {"a": 1}}
    render("{% set xs = xs|sort %}{% set d = 1 %}{{ xs }}", variables)

    assert variables == {"xs": [3, 1], "d": {"a": 1}}


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("no tags", ()),
        ("{{ b }}{{ a.c }}{{ b }}", ("a", "b")),
        ("{% for x in xs %}{{ x }}{{ loop.index }}{{ y }}{% endfor %}{{ range(2) }}", ("xs", "y")),
        ("{% set a = b %}{{ a }}{% macro m(c) %}{{ c }}{{ d|default(1) }}{% endmacro %}", ("b", "d")),
        ("{{ '{{ a }}' }}{% raw %}{{ b }}{% endraw %}", ()),
    ],
)
def test_placeholders_are_the_names_without_a_value(template: str, names: tuple[str, ...]) -> None:
    assert placeholders(template) == names


@pytest.mark.parametrize("template", ["{{ a", "{% include 'a' %}", "{{ a }}" * 20_000, "{{ a|no_such_filter }}"])
def test_a_template_without_sense_has_no_placeholders(template: str) -> None:
    with pytest.raises(TemplateProblem):
        placeholders(template)


def test_a_small_template_is_compiled_once() -> None:
    template, variables = "Summarize for {{ name|default('all') }}: {{ text }}", {"name": "Ann", "text": "tide"}
    render(template, variables)
    with effort_within(1_000):
        assert render(template, variables)
