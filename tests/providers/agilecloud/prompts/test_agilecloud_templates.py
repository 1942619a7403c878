"""Templates render as Jinja2 renders them, and what stands in the way is said."""

from typing import Any

import jinja2
import pytest
from effort import effort_within

from mockserver.providers.agilecloud.prompts.template import TemplateError, placeholders, render, render_all

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
    "{{ 'x' ~ 1 ~ name ~ none }} {{ [1] + [n] }} {{ [1, n] }}",
    "{{ users|map(attribute='n')|join(', ') }} {{ users|selectattr('a', 'gt', 3)|map(attribute='n')|first }}",
    "{{ users|map(attribute='a')|sum }} {{ users|map(attribute='a')|max }}",
    "{{ users|sort(attribute='a', reverse=true) }}",
    "{{ xs|select('odd')|list|length }} {{ [3, 1, 2]|sort }} {{ [1, 1, 2]|unique|list }}",
    "{{ xs|batch(300)|list|length }}",
    "{% for g, items in users|groupby('n') %}{{ g }}{{ items|length }}{% endfor %} {{ [1, 2, 3]|slice(2)|list }}",
    "{{ d|tojson(indent=2) }} {{ 'a<b>'|e }} {{ '<b>x</b>'|striptags }} {{ d|pprint }}",
    "{{ name|upper|lower|title|center(9) }} {{ ' x '|trim }} {{ 'a,b'|replace(',', ';') }} {{ 'a\nb'|indent(2) }}",
    "{{ text|truncate(20) }} {{ 2.567|round(1) }} {{ '7'|int + 1 }}",
    "{{ '%(weight)s %(context)s'|format(weight=1, context=2) }}",
    "{{ 'a %s b %03d'|format('x', 3) }}",
    "{{ name.upper() }} {{ 'a,b'.split(',')|join('-') }} {{ name.replace('n', 'm') }} {{ ', '.join(['a', 'b']) }}",
    "{{ d.keys()|join }} {{ d.get('a') }} {{ d.get('z', 1) }} {{ [1, 2, 1].count(1) }}",
    "{{ ' x'.strip() }} {{ 'Ab'.isalpha() }}",
    "{% macro hi(x, y=2) %}[{{ x }}{{ y }}]{% endmacro %}{{ hi(1) }}{{ hi(1, name) }}{{ hi(x=2) }}",
    "{% macro box() %}<{{ caller(1) }}>{% endmacro %}{% call(x) box() %}x{{ x }}{% endcall %}",
    "{% filter upper %}abc{{ name }}{% endfilter %}{% set b %}{{ name }}{% endset %}{{ b|lower }}",
    "{% with a=1, b=2 %}{{ a + b }}{% endwith %} {{ 1 if n else 2 }}{% set a, b = 3, 4 %}{{ a }}{{ b }}",
    "{% set s = namespace(t=0) %}{% for x in xs %}{% set s.t = s.t + x %}{% endfor %}{{ s.t }}",
    "{% set j = joiner(', ') %}{% for x in 'ab' %}{{ j() }}{{ x }}{% endfor %}",
    "{{ xs is iterable }} {{ n is odd }} {{ n is divisibleby 5 }}",
    "{{ name is string }} {{ n is number }} {{ n is in xs }}",
    "  {%- if n -%}  tight  {%- endif -%}  ",
]


@pytest.mark.parametrize("template", ORDINARY)
def test_common_templates_render_as_in_jinja2(template: str) -> None:
    plain = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(template).render(ANN)

    assert render(template, ANN) == plain


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("a\nb {{ name", "Line 2: unexpected end of input"),
        ("{% if %}", "Line 1: unexpected end of block"),
        ("{% endfor %}", "Line 1: unknown statement endfor"),
        ("\n\n{{ 'x'|no_such_filter }}", "Line 3: filter no_such_filter is unknown"),
        ("{{ xs|random }}", "Line 1: filter random is unknown"),
        ("\n{{ 1 // 0 }}", "Line 2: unable to calculate 1 // 0"),
        ("{{ name|replace }}", "Line 1: missing argument"),
        ("{% macro f() %}{% endmacro %}\n{{ f(1) }}", "Line 2: too many arguments"),
        ("{{ 1 + name }}", "Line 1: tried to use + operator on unsupported types number and string"),
        ("{{ " + "9" * 5000 + " }}", "Line 1: invalid integer"),
        (r"{{ '\ud800' }}", "Line 1: bad string escape"),
    ],
)
def test_an_invalid_template_is_reported_with_its_line(template: str, message: str) -> None:
    with pytest.raises(TemplateError) as problem:
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
        "{{ city[1:] }}",
        "{{ 'a' ~ city }}",
        "{% if city %}{% endif %}",
        "{% for x in city %}{% endfor %}",
    ],
)
def test_a_missing_variable_is_named(template: str) -> None:
    with pytest.raises(TemplateError) as problem:
        render(template, ANN)

    assert (problem.value.kind, problem.value.variable) == ("missing_variable", "city")
    assert str(problem.value) == "Missing variable: 'city'."


def test_a_missing_member_is_named_with_its_object() -> None:
    with pytest.raises(TemplateError, match=r"Line 1: 'd\.z' is undefined") as problem:
        render("{{ d.z }}", ANN)

    assert (problem.value.kind, problem.value.variable) == ("missing_variable", "")


@pytest.mark.parametrize("template", ["Dear {{ city }}!", "Dear {% if city %}x{% endif %}{{ city|upper }}!"])
def test_a_missing_variable_may_be_blank_as_by_jinja_s_default(template: str) -> None:
    assert render(template, ANN, blank=True) == "Dear !"
    assert render_all([template], {}, blank=True) == ["Dear !"]
    with pytest.raises(TemplateError, match="Missing variable: 'city'"):
        render(template, ANN)


def test_several_templates_share_one_budget() -> None:
    loop = "{% for a in range(90000) %}{% endfor %}"

    assert render_all([loop, "b"], {}) == ["", "b"]
    with pytest.raises(TemplateError, match="too much"):
        render_all([loop] * 50, {})
    with pytest.raises(TemplateError, match="more than 1000000 characters"):
        render_all(["a" * 600_000] * 2, {})
    with pytest.raises(TemplateError, match="more than 1000000 characters"):
        render_all(["{{ a }}"] * 2, {"a": "a" * 600_000})


@pytest.mark.parametrize("template", ["a" * 1_000_000, "{% if true %}" + "a" * (1_000_000 - 24) + "{% endif %}"])
def test_a_template_has_at_most_a_million_characters(template: str) -> None:
    assert len(template) == 1_000_000
    assert render(template, {}).startswith("aaa")
    with pytest.raises(TemplateError, match="The template has more than 1000000 characters"):
        render(template + "a", {})


@pytest.mark.parametrize("template", ["{{ a }}", "{{ a|trim }}"])
def test_a_rendered_text_has_at_most_a_million_characters(template: str) -> None:
    assert render(template, {"a": "a" * 1_000_000}) == "a" * 1_000_000
    with pytest.raises(TemplateError, match="The rendered text has more than 1000000 characters"):
        render(template, {"a": "a" * 1_000_001})


def test_variables_have_at_most_four_mebibytes() -> None:
    room = 4 * 1024 * 1024 - len('{"a":"","b":1}')

    assert render("{{ b }}", {"a": "a" * room, "b": 1}) == "1"
    with pytest.raises(TemplateError, match="The variables have more than 4194304 bytes"):
        render("{{ b }}", {"a": "a" * (room + 1), "b": 1})


def test_large_variables_are_refused() -> None:
    with pytest.raises(TemplateError, match="The variables have more than"):
        render("{{ a }}", {"a": "a" * 5_000_000})


def test_one_template_cannot_change_the_variables_of_the_next() -> None:
    assert render_all(["{% if xs.append(9) %}{% endif %}a", "{{ xs }}{# #}"], {"xs": [1]}) == ["a", "[1]"]


def test_a_template_that_ends_its_process_does_not_affect_the_next() -> None:
    for _ in range(3):
        with pytest.raises(TemplateError, match="too much"):
            render("{% set s = namespace() %}{% set s.x = s %}{{ s }}", {})
        assert render("{% if a %}{{ a|upper }}{% endif %}", {"a": "x"}) == "X"


def test_variables_may_shadow_built_in_names() -> None:
    assert render("{{ range }}{{ dict }}{% if 1 %}{% endif %}", {"range": 1, "dict": 2}) == "12"


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


@pytest.mark.parametrize(
    "template",
    ["{{ a", "{% include 'a' %}", "{{ a|no_such_filter }}", "{% for %}", "{{ (" * 500, "a" * 1_000_001, "\ud800{{"],
)
def test_an_invalid_template_has_no_placeholders(template: str) -> None:
    with pytest.raises(TemplateError):
        placeholders(template)


def test_a_small_template_is_compiled_once() -> None:
    template, variables = "Summarize for {{ name|default('all') }}: {{ text }}", {"name": "Ann", "text": "tide"}
    render(template, variables)
    with effort_within(1_000):
        assert render(template, variables)
