"""Draw mutants: small changes of a module's source, made by Cosmic Ray's operators at seeded places."""

import ast
import difflib
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

# Only replacements that a person could have typed: `a + b` for `a - b`, but not `a << b`, which every test notices.
PLAUSIBLE = re.compile(
    r"core/(?:"
    r"AddNot|ReplaceTrueWithFalse|ReplaceFalseWithTrue|ReplaceAndWithOr|ReplaceOrWithAnd|ReplaceBreakWithContinue"
    r"|ReplaceContinueWithBreak|ExceptionReplacer|NumberReplacer|RemoveDecorator|ZeroIterationForLoop"
    r"|ReplaceComparisonOperator_(?:Lt_LtE|Lt_Gt|LtE_Lt|LtE_GtE|Gt_GtE|Gt_Lt|GtE_Gt|GtE_LtE|Eq_NotEq|NotEq_Eq"
    r"|Is_IsNot|IsNot_Is)"
    r"|ReplaceBinaryOperator_(?:Add_Sub|Sub_Add|Mul_Div|Mul_Add|Div_Mul|FloorDiv_Div|FloorDiv_Mul|Mod_Add|Pow_Mul"
    r"|LShift_RShift|RShift_LShift|BitOr_BitAnd|BitAnd_BitOr)"
    r"|ReplaceUnaryOperator_(?:Delete_Not|Delete_USub|Delete_Invert|USub_UAdd|UAdd_USub)"
    r")"
)


class Mutant(NamedTuple):
    """One change of one module."""

    path: str
    """Of the module, relative to the checkout."""
    line: int
    operator: str
    source: str
    """The whole module after the change."""
    diff: str


class _Site(NamedTuple):
    line: int
    column: int
    operator: str
    occurrence: int


class MinMax:
    """Replaces `min` by `max` and `max` by `min` where they are called; as Cosmic Ray's operators are made."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        """Yield the place of a name that can be replaced."""
        if node.type in ("power", "atom_expr") and getattr(node.children[0], "value", "") in ("min", "max"):
            yield node.children[0].start_pos, node.children[0].end_pos

    def mutate(self, node: Any, index: int) -> Any:  # noqa: ARG002  the interface of an operator
        """Replace the name in place."""
        node.children[0].value = {"min": "max", "max": "min"}[node.children[0].value]
        return node


def find_operators() -> dict[str, Any]:
    """The operators to draw from, by name."""
    found = {name: get_operator(name)() for name in operator_names() if PLAUSIBLE.fullmatch(name)}
    return {**found, "own/MinMax": MinMax()}


def draw(paths: Sequence[Path], root: Path, *, seed: int, count: int) -> list[Mutant]:
    """`count` different mutants (fewer if there are not so many); modules weigh by their length.

    At a place where several operators apply, each is as likely as the other, so that a place with many operators is
    not drawn more often.
    """
    chance = random.Random(seed)
    operators = find_operators()
    sources = {path: path.read_text(encoding="utf-8") for path in paths}
    left = {path: len(source.splitlines()) for path, source in sources.items()}
    places: dict[Path, list[list[_Site]]] = {}
    mutants: list[Mutant] = []
    while left and len(mutants) < count:
        path = chance.choices(list(left), weights=list(left.values()))[0]
        if path not in places:
            places[path] = _shuffled_places(sources[path], operators, chance)
        if not places[path]:
            del left[path]
            continue
        site = chance.choice(places[path].pop())
        mutant = _mutant(str(path.relative_to(root)), sources[path], site, operators)
        if mutant is not None:
            mutants.append(mutant)
    return mutants


def _shuffled_places(source: str, operators: Mapping[str, Any], chance: random.Random) -> list[list[_Site]]:
    grouped: dict[tuple[int, int], list[_Site]] = {}
    for site in _sites(source, operators):
        grouped.setdefault((site.line, site.column), []).append(site)
    places = [grouped[place] for place in sorted(grouped)]
    chance.shuffle(places)
    return places


def _sites(source: str, operators: Mapping[str, Any]) -> Iterator[_Site]:
    annotations = list(_annotation_ranges(ast.parse(source)))
    counts = dict.fromkeys(operators, 0)
    for node in ast_nodes(get_ast(source)):
        for name, operator in operators.items():
            for (line, column), _ in operator.mutation_positions(node):
                if not any(start <= (line, column) < end for start, end in annotations):
                    yield _Site(line, column, name, counts[name])
                counts[name] += 1


def _annotation_ranges(tree: ast.AST) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Where types are written: a change there is seen by a type checker, not by a test. Columns are close enough."""
    for node in ast.walk(tree):
        kinds: Iterable[ast.expr | None] = ()
        if isinstance(node, ast.AnnAssign | ast.arg):
            kinds = (node.annotation,)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            kinds = (node.returns,)
        for each in kinds:
            if each is not None and each.end_lineno is not None and each.end_col_offset is not None:
                yield (each.lineno, each.col_offset), (each.end_lineno, each.end_col_offset)


def _mutant(path: str, source: str, site: _Site, operators: Mapping[str, Any]) -> Mutant | None:
    """None if the change gives no other, valid program."""
    try:
        changed = mutate_code(source, operators[site.operator], site.occurrence)
    except AttributeError:  # cosmic-ray 8.7 cannot replace a dotted name in `except (socket.timeout, ssl.SSLError)`
        return None
    try:
        if changed is None or ast.dump(ast.parse(changed)) == ast.dump(ast.parse(source)):
            return None
    except SyntaxError:
        return None
    lines = difflib.unified_diff(source.splitlines(), changed.splitlines(), path, path, lineterm="", n=2)
    return Mutant(path, site.line, site.operator.rpartition("/")[2], changed, "\n".join(lines))
