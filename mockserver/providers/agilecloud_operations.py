"""What the nodes of a bounded template do: look, compare, join and show values, each for its price."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from jinja2 import StrictUndefined, Undefined, pass_context
from jinja2.runtime import Context, LoopContext
from jinja2.utils import missing

from mockserver.providers.agilecloud_budget import MAX_RANGE, Budget, Cost, format_cost, power_cost, product_cost
from mockserver.providers.agilecloud_problems import TemplateProblem


class PaidContext(Context):
    """The variables of one rendering, and its budget."""

    budget: Budget


class BlankVariable(Undefined):
    """An empty text, for a name without a value. Its message, where more is asked of it, is for the author."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint or self._undefined_obj is not missing:
            return super()._undefined_message
        return f"Missing variable: {self._undefined_name!r}."


class MissingVariable(BlankVariable, StrictUndefined):
    """A problem, for a name without a value."""

    __slots__ = ()


def budget_of(context: Context) -> Budget:
    return context.budget  # type: ignore[attr-defined, no-any-return]  # every context here is a PaidContext


def weighed(budget: Budget, value: Any, *, patient: bool = False) -> int:
    if isinstance(value, Undefined) or (patient and not isinstance(value, (str, int, float, list, tuple, dict, range))):
        return 1
    return budget.weigh(value)


def settled(budget: Budget, result: Any) -> Any:
    """A result, paid for and at hand: what would be made bit by bit is made now, and marked text is plain text."""
    if isinstance(result, str):
        budget.weigh(result)
        return result if type(result) is str else str.__str__(result)
    if isinstance(result, (Iterator, type({}.items()), type({}.keys()), type({}.values()))) and not isinstance(
        result, LoopContext
    ):
        result = _listed(budget, result)
    if isinstance(result, (int, float, list, tuple, dict, range)):
        budget.weigh(result)
    return result


def _listed(budget: Budget, items: Iterable[Any]) -> list[Any]:
    found = []
    for each in items:
        budget.spend(1)
        found.append(each)
    return found


def check_opaque(value: object) -> None:
    """Only data may be shown, compared, or put into lists; not macros, loops, functions."""
    if isinstance(value, Undefined):
        str(value)  # Raises, with the name that is missing.
    raise TemplateProblem("unsafe", f"Not allowed in a template: a {type(value).__name__!r} is no data.")


def bounded_range(*args: int) -> range:
    found = range(*args)
    if found[MAX_RANGE : MAX_RANGE + 1]:
        raise TemplateProblem("too_much", f"A range has more than {MAX_RANGE} numbers.")
    return found


@pass_context
def _spend(context: Context, steps: int) -> bool:
    budget_of(context).spend(steps)
    return True


@pass_context
def each_of(context: Context, items: Any) -> Any:
    """What a loop goes through."""
    budget_of(context).spend(1)
    if isinstance(items, (str, list, tuple, dict, range, Undefined)):
        return items
    raise TemplateProblem("unsafe", f"A loop goes through lists and objects, not a {type(items).__name__!r}.")


@pass_context
def _made(context: Context, value: Any) -> Any:
    budget_of(context).weigh(value)
    return value


@pass_context
def _shown(context: Context, value: Any) -> str:
    if not isinstance(value, (str, Undefined)):
        budget_of(context).weigh(value)
    text = str(value)
    budget_of(context).weigh(text)
    return text


@pass_context
def _concat(context: Context, values: list[Any]) -> str:
    return "".join(_shown(context, each) for each in values)


@pass_context
def _item(context: Context, value: Any, key: Any) -> Any:
    weighed(budget_of(context), key)
    return context.environment.getitem(value, key)


@pass_context
def _slice(context: Context, value: Any, start: Any, stop: Any, step: Any) -> Any:
    weighed(budget_of(context), value)
    return context.environment.getitem(value, slice(start, stop, step))


@pass_context
def _compare(context: Context, values: list[Any], operators: tuple[str, ...]) -> bool:
    for each in values:
        weighed(budget_of(context), each, patient=True)
    pairs = zip(operators, values, values[1:], strict=False)
    return all(_COMPARISONS[operator](left, right) for operator, left, right in pairs)


OPERATIONS: Mapping[str, Callable[..., Any]] = {
    "#spend": _spend,
    "#each": each_of,
    "#made": _made,
    "#shown": _shown,
    "#concat": _concat,
    "#item": _item,
    "#slice": _slice,
    "#compare": _compare,
}
"""What the nodes of a bounded tree stand for; no template can write such a name after a `|`."""

_COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "eq": lambda left, right: left == right,
    "ne": lambda left, right: left != right,
    "lt": lambda left, right: left < right,
    "lteq": lambda left, right: left <= right,
    "gt": lambda left, right: left > right,
    "gteq": lambda left, right: left >= right,
    "in": lambda left, right: left in right,
    "notin": lambda left, right: left not in right,
}

BINOP_COSTS: Mapping[str, Cost] = {
    "*": product_cost,
    "**": lambda _, left, right: power_cost(left, right),
    "%": lambda weight, left, right: (
        format_cost(weight, left, *(right if isinstance(right, tuple) else (right,))) if isinstance(left, str) else 1
    ),
}
