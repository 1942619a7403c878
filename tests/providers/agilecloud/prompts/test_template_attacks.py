"""Templates that would hang, flood or escape are refused in time, whatever way they choose."""

import resource
from typing import Any

import pytest
from effort import effort_within

from mockserver.providers.agilecloud.prompts.template import TemplateError, render

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


SIBLINGS = [
    "{{ xs * 100000000 }}",
    "{% set a = 'ab' %}" + "{% set a = a ~ a %}" * 40 + "{{ a|length }}",
    "{% set a = [1] %}" + "{% set a = a + a %}" * 40 + "{{ a }}",
    "{% macro f(x) %}{{ f(x ~ x) }}{% endmacro %}{{ f('ab') }}",
    "{% set s = namespace(x='a') %}{% for i in range(60) %}{% set s.x %}{{ s.x }}{{ s.x }}{% endset %}{% endfor %}",
    "{% set s = namespace(x=[1]) %}{% for i in range(60) %}{% set s.x = [s.x, s.x] %}{% endfor %}{{ s.x }}",
    "{% set s = namespace(x=[1]) %}{% for i in range(60) %}{% set s.x = [s.x, s.x] %}{% endfor %}{{ s.x|tojson }}",
    "{% set s = namespace(x=1) %}{% for i in range(60) %}{% set s.x = {'a': s.x, 'b': s.x} %}{% endfor %}{{ s.x }}",
    "{% set s = namespace() %}{% set s.x = s %}{{ s }}",
    "{{ '{:>1000000000}'.format(1) }}",
    "{{ big|center(1000000000) }}",
    "{{ big|truncate(1, true, big * 1000)|length }}" * 50,
    "{% for a in range(20000) %}{% set x = range(99999)|sort|reverse|unique|list %}{% endfor %}",
]


@pytest.mark.parametrize("template", [*ATTACKS, *SIBLINGS], ids=lambda template: template[:60])
def test_templates_that_take_too_much_time_or_memory_end_in_time(template: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with effort_within(MOST_CALLS):
        try:
            text = render(template, VARIABLES)
        except TemplateError as problem:
            assert problem.kind in {"too_much", "syntax", "missing_variable"}
        else:
            assert len(text) <= 1_000_000

    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 200_000_000


REFUSED = [
    "{{ [1] * 10**9 }}",
    "{{ xs|join(big) }}",
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{{ " + "(" * 20_000 + ")" * 20_000 + " }}",
    "{% for a in range(99999) %}{% set x = big|urlencode %}{% endfor %}",
    "{{ big }}{{ name }}",
    "x" * 1_000_001,
    *SIBLINGS[:10],
]


@pytest.mark.parametrize("template", REFUSED, ids=lambda template: template[:60])
def test_templates_that_do_too_much_are_rejected_with_that_message(template: str) -> None:
    with pytest.raises(TemplateError) as problem:
        render(template, VARIABLES)

    assert problem.value.kind == "too_much"


HEAVY_BUT_BOUNDED = [
    "{{ ('<!---->' * 2800)|striptags|length }}",
    "{{ xs|pprint|length }}{{ big|length }}",
    "{{ big|upper|length }}",
    "{% for a in range(50000) %}{{ a }},{% endfor %}",
]


@pytest.mark.parametrize("template", HEAVY_BUT_BOUNDED)
def test_heavy_templates_within_the_bounds_render(template: str) -> None:
    with effort_within(MOST_CALLS):
        assert render(template, VARIABLES)


UNSAFE = [
    "{{ ''.__class__.__mro__ }}",
    "{{ name['__class__'].__base__ }}",
    "{{ cycler.__init__.__globals__ }}",
    "{{ self.__init__.__globals__ }}",
    "{{ d.__class__() }}",
    "{{ d.__getattribute__('__class__').__subclasses__() }}",
    "{{ xs.__reduce_ex__(2) }}",
    "{{ d|attr('__class__') }}",
    "{{ '{0.__class__}'.format(d) }}",
    "{{ 'a'.encode() }}",
    "{{ 1() }}",
    "{{ name.upper }}",
    "{% include 'a' %}",
    "{% include '/etc/passwd' %}",
    "{% extends 'a' %}",
    "{% import 'a' as b %}",
    "{% from 'a' import b %}",
]


@pytest.mark.parametrize("template", UNSAFE)
def test_templates_that_reach_outside_their_variables_are_rejected(template: str) -> None:
    with pytest.raises(TemplateError) as problem:
        render(template, VARIABLES)

    assert problem.value.kind in {"unsafe", "missing_variable", "syntax"}
    assert "0x" not in str(problem.value)
