"""Templates that would hang, flood or escape are refused in time, whatever way they choose."""

from typing import Any

import pytest
from effort import effort_within

from mockserver.providers.agilecloud_templates import TemplateProblem, render

MOST_CALLS = 10_000_000
"""Calls and returns that an attack may cost; the dearest costs 6.4 million, which is half a second."""

VARIABLES: dict[str, Any] = {
    "name": "Ann",
    "xs": list(range(1000)),
    "text": "lorem ipsum " * 8000,
    "big": "a" * 1_000_000,
    "d": {"a": 1, "b": [1, 2, {"c": 3}]},
}

ATTACKS = [
    "{{ 'a' * 10**9 }}",
    "{{ 10**9 * 'a' }}",
    "{{ [1] * 10**9 }}",
    "{{ 10**(10**10) }}",
    "{{ 2**4000 * 2**4000 }}",
    "{{ xs|join(big) }}",
    "{{ big.join(text) }}",
    "{{ 'a'|center(1000000000) }}",
    "{{ 'a'.center(1000000000) }}",
    "{{ 'a'.ljust(1000000000) }}",
    "{{ 'a'.zfill(1000000000) }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '%.1000000000f' % 1 }}",
    "{{ '%*d' % (1000000000, 1) }}",
    "{{ '%(a)1000000000d' % {'a': 1} }}",
    "{{ '%((a)b)1000000000d'|format(**{'(a)b': 1}) }}",
    "{{ '%1000000000d'|format(1) }}",
    "{{ ('%(a)s' * 1000) % {'a': big} }}",
    "{{ ('%(a)s' * 1000)|format(a=big) }}",
    "{{ ('%s' * 1000) % ((big,) * 1000) }}",
    "{{ text|urlize(rel=text) }}",
    "{{ [1]|batch(9999, big)|list|length }}",
    "{{ xs|map('default', big, true)|list|map('replace', 'a', big)|list }}",
    "{{ '%*d'|format(1000000000, 1) }}",
    "{{ 'a'|indent(1000000000, true) }}",
    "{{ text|replace(' ', '\n')|indent(1000, true) }}",
    "{{ [1]|batch(1000000000, 'x') }}",
    "{{ [1]|slice(1000000000)|list }}",
    "{{ 1.5|round(1000000000, 'floor') }}",
    "{{ d|tojson(indent=1000000000) }}",
    "{{ big|replace('a', 'aaaaaaaaaaaaaaaaaaaa') }}",
    "{{ big.replace('', text) }}",
    "{{ big|wordwrap(1) }}",
    "{{ big|urlize }}",
    "{{ big|striptags }}",
    "{{ big.split('a') }}",
    "{{ big|list }}",
    "{{ xs|map(attribute=big)|list }}",
    "{{ big.rfind('b' ~ big[:500000]) }}",
    "{{ big.strip('b' * 100000 ~ 'a') }}",
    "{{ range(10**18) }}",
    "{{ range(10**30)|length }}",
    "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor "
    "%}{% endfor %}{% endfor %}",
    "{% for a in range(99999) %}{% for b in range(99999) if false %}{% endfor %}{% endfor %}",
    "{% for a in xs recursive %}{{ loop(xs) }}{% endfor %}",
    "{% for a in range(9) recursive %}{{ loop(range(9)) if loop.depth < 9 }}{% endfor %}",
    "{% for a in range(99999) %}{% set x = big|upper %}{% endfor %}",
    "{% for a in range(99999) %}{% set x = big|urlencode %}{% endfor %}",
    "{% for a in range(99999) %}{% set x = big[1:] %}{% endfor %}",
    "{% for a in range(99999) %}{% if big ~ 'a' == big ~ 'b' %}{% endif %}{% endfor %}",
    "{% for a in range(99999) %}{% if xs == [] ~ xs %}{% endif %}{% set b = xs + xs %}{% endfor %}",
    "{% for a in range(99999) %}{{ loop.changed(xs, a) }}{% endfor %}",
    "{% for a in range(99999) %}{{ 'x' * 20 }}{% endfor %}",
    "{% for a in range(99999) %}" + "x" * 1000 + "{% endfor %}",
    "{% macro m() %}{% for a in range(99999) %}" + "x" * 1000 + "{% endfor %}{% endmacro %}{% set x = m() %}",
    "{% set s = namespace(x='a') %}{% for i in range(60) %}{% set s.x = s.x ~ s.x %}{% endfor %}{{ s.x|length }}",
    "{% set s = namespace(x='a') %}{% for i in range(60) %}{% set s.x = s.x + s.x %}{% endfor %}{{ s.x|length }}",
    "{% set s = namespace(x='a') %}{% for i in range(60) %}{% set s.x = '%s%s' % (s.x, s.x) %}{% endfor %}",
    "{% set s = namespace(x='a') %}{% for i in range(60) %}{% set s.x = s.x|replace('a', 'aa') %}{% endfor %}",
    "{% set s = namespace(x=[1]) %}{% for i in range(60) %}{% set s.x = [s.x, s.x] %}{% endfor %}",
    "{% set s = namespace(x=(1,)) %}{% for i in range(60) %}{% set s.x = (s.x, s.x) %}{% endfor %}{{ {s.x: 1} }}",
    "{% set s = namespace(x=1) %}{% for i in range(60) %}{% set s.x = dict(a=s.x, b=s.x) %}{% endfor %}",
    "{% set s = namespace(x=[1]) %}{% for i in range(60) %}{% set s.x = s.x|batch(1)|list + s.x %}{% endfor %}",
    "{% set s = namespace(x=2) %}{% for i in range(99) %}{% set s.x = s.x * s.x %}{% endfor %}",
    "{% set s = namespace(x=[]) %}{% for i in range(999) %}{% set s.x = [s.x] %}{% endfor %}{{ s.x }}",
    "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(25) }}",
    "{% macro f() %}{% call f() %}{{ caller() }}{% endcall %}{% endmacro %}{{ f() }}",
    "{{ a }}" * 20_000,
    "{##}" * 200_000,
    "{{ a" + " + a" * 9_000 + " }}",
    "{{ a" + " + a" * 60 + " }}",
    "{{ " + "(" * 20_000 + ")" * 20_000 + " }}",
    "{{ " + "not " * 20_000 + "1 }}",
    "{% if a %}" * 20_000,
    "{{ " + "1 if a else " * 5_000 + "1 }}",
    "x" * 1_000_001,
    "{{ big }}{{ name }}",
]


@pytest.mark.parametrize("template", ATTACKS, ids=lambda template: template[:60])
def test_what_would_take_too_much_time_or_memory_is_refused_at_once(template: str) -> None:
    with effort_within(MOST_CALLS), pytest.raises(TemplateProblem) as problem:
        render(template, VARIABLES)

    assert problem.value.kind == "too_much"


HEAVY_BUT_BOUNDED = [
    "{{ ('(' * 19000)|urlize|length }}",
    "{{ ('http://a.b ' * 1700)|urlize|length }}",
    "{{ ('a@' * 9999)|urlize|length }}",
    "{{ ('<!---->' * 2800)|striptags|length }}",
    "{{ ('<' * 19999)|striptags|length }}",
    "{{ ('a' * 19999)|wordwrap(1)|length }}",
    "{{ xs|pprint|length }}{{ big|length }}",
    "{{ big|upper|length }}",
    "{% for a in range(50000) %}{{ a }},{% endfor %}",
]


@pytest.mark.parametrize("template", HEAVY_BUT_BOUNDED)
def test_what_is_merely_heavy_renders(template: str) -> None:
    with effort_within(MOST_CALLS):
        assert render(template, VARIABLES)


UNSAFE = [
    "{{ ''.__class__.__mro__ }}",
    "{{ name['__class__'].__base__ }}",
    "{{ xs|map(attribute='__class__')|list }}",
    "{{ cycler.__init__.__globals__ }}",
    "{{ self.__init__.__globals__ }}",
    "{{ xs.append(1) }}",
    "{{ d.update({'a': 2}) }}",
    "{{ '{0.__class__}'.format(name) }}",
    "{{ '{:>1000000000}'.format(1) }}",
    "{{ 'a'.encode() }}",
    "{{ 1() }}",
    "{{ name.upper }}",
    "{{ range }}",
    "{{ [range] }}",
    "{% macro f() %}{% endmacro %}{{ f|string }}",
    "{% set s = namespace() %}{% set s.x = s %}{{ s }}",
    "{% for x in namespace() %}{% endfor %}",
    "{% include 'a' %}",
    "{% extends 'a' %}",
    "{% import 'a' as b %}",
    "{% from 'a' import b %}",
    "{% block a %}{{ self.a() }}{% endblock %}",
    "{% autoescape true %}{% endautoescape %}",
]


@pytest.mark.parametrize("template", UNSAFE)
def test_what_reaches_outside_the_data_is_unsafe(template: str) -> None:
    with pytest.raises(TemplateProblem) as problem:
        render(template, VARIABLES)

    assert problem.value.kind == "unsafe"
    assert "0x" not in str(problem.value)
