"""Jinja's sandbox with every loop, operator, filter and call paid for from a budget of steps."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import BuiltinMethodType, MethodType
from typing import Any, NamedTuple

from jinja2 import Template, TemplateSyntaxError, Undefined, UndefinedError, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.meta import find_undeclared_variables
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS
from jinja2.utils import Cycler, Joiner, Namespace

from mockserver.providers.agilecloud_budget import (
    CHARACTERS,
    FILTER_COSTS,
    MAX_CALLS,
    METHODS,
    Budget,
    Cost,
)
from mockserver.providers.agilecloud_operations import (
    BINOP_COSTS,
    OPERATIONS,
    BlankVariable,
    MissingVariable,
    PaidContext,
    bounded_range,
    budget_of,
    check_opaque,
    each_of,
    settled,
    weighed,
)
from mockserver.providers.agilecloud_problems import TemplateProblem
from mockserver.providers.agilecloud_trees import MAX_WORDS, Reader, bounded_tree

MAX_OUTPUT = 1_000_000
"""Characters of a rendered text."""
MAX_LEXED = 2 * MAX_WORDS
"""Of several templates together, where white space counts, too."""

_UNFIT = {"attr", "random"}
"""Filters left out: the one reaches for attributes, the other's answer would be another every time."""
_TESTS: Mapping[str, Any] = TESTS
_PATIENT = {"default", "d"}
"""Filters that take whatever there is."""
_OF_THE_COMPILER = {"_loop_vars", "_block_vars"}
"""Arguments that no template wrote."""


class _Environment(ImmutableSandboxedEnvironment):
    """Compiles templates into code that pays for what it does."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})
    context_class = PaidContext

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        return super()._generate(bounded_tree(source), *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        budget = budget_of(context)
        weight = weighed(budget, left) + weighed(budget, right)
        cost = BINOP_COSTS.get(operator)
        budget.spend(1 + (cost(weight, left, right) if cost else weight))
        return settled(budget, super().call_binop(context, operator, left, right))

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        budget = budget_of(context)
        named = {name: each for name, each in kwargs.items() if name not in _OF_THE_COMPILER}
        weight = sum(weighed(budget, each, patient=True) for each in (*args, *named.values()))
        budget.spend(5 + weight)
        if isinstance(obj, BuiltinMethodType):
            budget.spend(_method_cost(obj)(weighed(budget, obj.__self__), obj.__self__, *args, **named))
        elif not _is_callable(obj):
            raise TemplateProblem("unsafe", f"A template may not call {getattr(obj, '__name__', 'this value')!r}.")
        if isinstance(obj, LoopContext):
            args = (each_of(context, args[0]), *args[1:])
        if budget.calls >= MAX_CALLS:
            raise TemplateProblem("too_much", f"Macros or loops call themselves deeper than {MAX_CALLS} times.")
        budget.calls += 1
        result = super().call(context, obj, *args, **kwargs)
        budget.calls -= 1
        return settled(budget, result)


class Ready(NamedTuple):
    """A template that can run, and how many words and signs it has."""

    template: Template
    words: int


@lru_cache(maxsize=256)
def compiled(source: str, *, blank: bool = False) -> Ready:
    """The template, ready to run."""
    if sum(map(source.count, ("{{", "{%", "{#"))) > MAX_WORDS:
        raise TemplateProblem("too_much", f"The template has more than {MAX_WORDS} tags.")
    environment = _environment(blank=blank)
    return Ready(environment.from_string(source), sum(1 for _ in environment.lex(source)))


def run(sources: Sequence[str], variables: Mapping[str, Any], *, blank: bool = False) -> list[str]:
    """The texts that templates give; all draw on one budget. With `blank`, a variable without a value is empty.

    Raises TemplateProblem, or what Jinja raises, which `explained` understands.
    """
    budget = Budget(check_opaque)
    return [_rendered(ready.template, variables, budget) for ready in _all_compiled(sources, blank=blank)]


def free_names(sources: Sequence[str]) -> set[str]:
    """The names the templates do not give a value to."""
    _all_compiled(sources)  # Judges what parsing alone lets pass.
    return {name for source in sources for name in find_undeclared_variables(_environment().parse(source))}


def _all_compiled(sources: Sequence[str], *, blank: bool = False) -> list[Ready]:
    """All templates, ready to run; together they are no larger than one may be."""
    ready, words = [], 0
    for source in sources:
        ready.append(compiled(source, blank=blank))
        words += ready[-1].words
        if words > MAX_LEXED:
            raise TemplateProblem("too_much", f"The templates have more than {MAX_WORDS} words and signs together.")
    return ready


def _rendered(template: Template, variables: Mapping[str, Any], budget: Budget) -> str:
    context = template.new_context(dict(variables))
    assert isinstance(context, PaidContext)
    context.budget = budget
    pieces, size = [], 0
    for piece in template.root_render_func(context):
        size += len(piece)
        if size > MAX_OUTPUT:
            raise TemplateProblem("too_much", f"The rendered text has more than {MAX_OUTPUT} characters.")
        pieces.append(piece)
    budget.spend(size // CHARACTERS)
    text = "".join(pieces)
    text.encode()  # Half a surrogate pair would break the JSON that the text goes into.
    return text


def explained(error: Exception) -> TemplateProblem:  # noqa: PLR0911  one line for each kind
    """What an error means to the template's author."""
    match error:
        case TemplateProblem():
            return error
        case TemplateSyntaxError():
            return TemplateProblem("syntax", f"Line {error.lineno}: {error.message}")
        case UndefinedError():
            name = re.fullmatch(r"Missing variable: '(\w+)'\.", str(error))
            return TemplateProblem("missing_variable", str(error), variable=name[1] if name else "")
        case SecurityError():
            return TemplateProblem("unsafe", f"Not allowed in a template: {error}")
        case RecursionError() | MemoryError() | OverflowError():
            return TemplateProblem("too_much", "The template is nested too deeply, or its numbers are too large.")
        case UnicodeEncodeError():
            return TemplateProblem("syntax", "The rendered text holds half of a surrogate pair.")
        case SyntaxError():
            return TemplateProblem("syntax", f"The template cannot be compiled: {error.msg}.")
    # Python speaks of functions that no template knows.
    message = re.sub(r"^\S+\(\) ", "A call is wrong: ", str(error)) or type(error).__name__
    return TemplateProblem("syntax", f"{_line(error)}{message}")


def _line(error: Exception) -> str:
    """Where in the template an error arose, as far as its traceback tells."""
    step, line = error.__traceback__, ""
    while step is not None:
        template = step.tb_frame.f_globals.get("__jinja_template__")
        if template is not None:
            line = f"Line {template.get_corresponding_lineno(step.tb_lineno)}: "
        step = step.tb_next
    return line


@lru_cache(maxsize=2)
def _environment(*, blank: bool = False) -> _Environment:
    undefined = BlankVariable if blank else MissingVariable
    environment = _Environment(undefined=undefined, optimized=False, cache_size=0, extensions=[Reader])
    environment.filters = {
        name: _paid(filter_, FILTER_COSTS.get(name), patient=name in _PATIENT)
        for name, filter_ in FILTERS.items()
        if name not in _UNFIT
    }
    environment.filters |= OPERATIONS
    environment.tests = {name: _paid(test, None, patient=True) for name, test in _TESTS.items()}
    environment.globals["range"] = bounded_range
    del environment.globals["lipsum"]
    return environment


def _paid(function: Callable[..., Any], cost: Cost | None, *, patient: bool) -> Callable[..., Any]:
    """A filter or test that pays for its arguments, for what it does and for its result."""
    wanted = getattr(getattr(function, "jinja_pass_arg", None), "name", "")

    @pass_context
    def paid(context: Context, /, *args: Any, **kwargs: Any) -> Any:
        budget = budget_of(context)
        weight = 0
        for each in args:
            weight += weighed(budget, each, patient=patient)
        for each in kwargs.values():
            weight += weighed(budget, each, patient=patient)
        budget.spend(4 + weight + (cost(weight, *args, **kwargs) if cost else 0))
        if wanted:
            args = (_passed(context, wanted), *args)
        return settled(budget, function(*args, **kwargs))

    return paid


def _passed(context: Context, wanted: str) -> Any:
    match wanted:
        case "environment":
            return context.environment
        case "eval_context":
            return context.eval_ctx
    return context


def _method_cost(method: BuiltinMethodType) -> Cost:
    owner = method.__self__
    cost = next((costs.get(method.__name__) for kind, costs in METHODS.items() if isinstance(owner, kind)), None)
    if cost is None:
        raise TemplateProblem("unsafe", f"A template may not call {method.__name__!r}.")
    return cost


def _is_callable(obj: Any) -> bool:
    if isinstance(obj, MethodType):
        return isinstance(obj.__self__, (Cycler, LoopContext))
    if isinstance(obj, (Macro, LoopContext, Joiner, Undefined)):
        return True
    return any(obj is each for each in (bounded_range, dict, Namespace, Cycler, Joiner))
