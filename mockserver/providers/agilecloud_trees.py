"""Rewrites a template's syntax tree so that whatever costs time or memory goes through a filter that pays for it."""

from collections.abc import Iterator

from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from jinja2.visitor import NodeTransformer

from mockserver.providers.agilecloud_budget import CHARACTERS
from mockserver.providers.agilecloud_problems import TemplateProblem

MAX_WORDS = 15_000
"""Words and signs in the tags of a template."""
MAX_BRACKETS = 25
"""Brackets inside one another."""
MAX_NESTING = 50
"""Levels of a template's syntax tree."""

_KNOWN = (
    nodes.Template,
    nodes.Output,
    nodes.For,
    nodes.If,
    nodes.Macro,
    nodes.CallBlock,
    nodes.FilterBlock,
    nodes.With,
    nodes.Assign,
    nodes.AssignBlock,
    nodes.NSRef,
    nodes.Expr,
    nodes.Helper,
)
"""What a template may consist of. It stands alone: nothing is imported, included or extended."""


class Reader(Extension):
    """Counts a template's words as they are read, before anything is built from them."""

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        open_brackets = 0
        for count, token in enumerate(stream):
            open_brackets += token.type in {"lparen", "lbracket", "lbrace"}
            open_brackets -= token.type in {"rparen", "rbracket", "rbrace"}
            if count > MAX_WORDS:
                raise TemplateProblem("too_much", f"The template has more than {MAX_WORDS} words and signs.")
            if open_brackets > MAX_BRACKETS:
                raise _nested(token.lineno)
            yield token


def bounded_tree(tree: nodes.Template) -> nodes.Template:
    """The same template, which now pays for what it does; raises TemplateProblem for what no prompt may contain."""
    level: list[nodes.Node] = [tree]
    for _ in range(MAX_NESTING):
        for node in level:
            _check_known(node)
        level = [child for node in level for child in node.iter_child_nodes()]
    if level:
        raise _nested(level[0].lineno)
    _Rewriter().visit(tree)
    assert tree.environment is not None
    tree.set_environment(tree.environment)
    return tree


def _nested(line: int) -> TemplateProblem:
    return TemplateProblem("too_much", f"Line {line}: the template is nested too deeply.")


def _check_known(node: nodes.Node) -> None:
    if not isinstance(node, _KNOWN):
        raise TemplateProblem("unsafe", f"Line {node.lineno or 1}: a prompt has no {type(node).__name__.lower()!r}.")


def _weight(node: nodes.Node) -> int:
    """The steps it takes to go through a node once."""
    own = 1 + len(node.data) // CHARACTERS if isinstance(node, nodes.TemplateData) else 1
    return own + sum(_weight(child) for child in node.iter_child_nodes())


def _paid(name: str, node: nodes.Node, *args: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(node, name, list(args), [], None, None, lineno=node.lineno)


def _spending(node: nodes.Node, weight: int) -> nodes.Filter:
    return _paid("#spend", nodes.Const(weight, lineno=node.lineno))


class _Rewriter(NodeTransformer):
    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802  the visitor finds it by this name
        weight = sum(map(_weight, node.body))
        test_weight = _weight(node.test) if node.test else 0
        self.generic_visit(node)
        node.iter = _paid("#each", node.iter)
        node.body.insert(0, nodes.ExprStmt(_spending(node, weight), lineno=node.lineno))
        if node.test:
            node.test = nodes.And(_spending(node, 1 + test_weight), node.test, lineno=node.lineno)
        return node

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:  # noqa: N802  Jinja calls it by the node's class
        return self._paying_body(node)

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.Node:  # noqa: N802  Jinja calls it by the node's class
        return self._paying_body(node)

    def visit_Output(self, node: nodes.Output) -> nodes.Node:  # noqa: N802  Jinja calls it by the node's class
        self.generic_visit(node)
        node.nodes = [each if isinstance(each, nodes.TemplateData) else _paid("#shown", each) for each in node.nodes]
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802  Jinja calls it by the node's class
        self.generic_visit(node)
        values = nodes.List([node.expr, *(each.expr for each in node.ops)], lineno=node.lineno)
        return _paid("#compare", values, nodes.Const(tuple(each.op for each in node.ops), lineno=node.lineno))

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802  Jinja calls it by the node's class
        self.generic_visit(node)
        return _paid("#concat", nodes.List(node.nodes, lineno=node.lineno))

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802  Jinja calls it by the node's class
        self.generic_visit(node)
        arg = node.arg
        if isinstance(arg, nodes.Slice):
            nothing = nodes.Const(None, lineno=node.lineno)
            return _paid("#slice", node.node, arg.start or nothing, arg.stop or nothing, arg.step or nothing)
        return node if isinstance(arg, nodes.Const) else _paid("#item", node.node, arg)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:  # noqa: N802  Jinja calls it by the node's class
        return self._paid_whole(node)

    def visit_List(self, node: nodes.List) -> nodes.Node:  # noqa: N802  Jinja calls it by the node's class
        return self._paid_whole(node)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802  Jinja calls it by the node's class
        if node.ctx == "load":
            return self._paid_whole(node)
        return node

    def _paid_whole(self, node: nodes.Expr) -> nodes.Node:
        self.generic_visit(node)
        return _paid("#made", node)

    def _paying_body(self, node: nodes.Macro | nodes.CallBlock) -> nodes.Node:
        weight = sum(map(_weight, node.body))
        self.generic_visit(node)
        node.body.insert(0, nodes.ExprStmt(_spending(node, weight), lineno=node.lineno))
        return node
