"""Expressions: the text form of predicates, as `--where` takes it and tasks store it.

    peak_bit_rate < 5_000_000 and video_range == 'PQ' and not 'av01' in codecs

The grammar is a small part of Python's: comparisons of a name with a number or a text, `in`, `and`, `or`, `not` and
parentheses. Python's own parser reads it, an explicit list of node types is turned into predicates, and everything else
is refused; nothing is ever evaluated.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Mapping
from typing import Final

from hlsdl.errors import UsageError
from hlsdl.planning.key_paths import KeyPath
from hlsdl.planning.predicates import (
    ATTRIBUTES,
    CONTAINS,
    IS_IN,
    NAMES_HINT,
    Comparison,
    Predicate,
    Value,
    Values,
    all_of,
    any_of,
)

LONGEST_EXPRESSION: Final = 1000
"""Characters."""
DEEPEST_EXPRESSION: Final = 32
"""Levels of `and`, `or` and `not` inside one another."""
MOST_TERMS: Final = 200
"""Names, values and operations together."""
LONGEST_SHOWN: Final = 40
"""Characters of a name that a message repeats."""

GRAMMAR_HINT = "an expression compares names with numbers and texts: `height <= 1080 and 'hvc1' in codecs`"

_OPERATORS: Mapping[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
_ALLOWED: tuple[type[ast.AST], ...] = (
    ast.BoolOp,
    ast.And,
    ast.Or,
    ast.UnaryOp,
    ast.Not,
    ast.UAdd,
    ast.USub,
    ast.Compare,
    *_OPERATORS,
    ast.In,
    ast.NotIn,
    ast.Name,
    ast.Subscript,
    ast.Load,
    ast.Constant,
    ast.List,
    ast.Tuple,
    ast.Set,
)
"""Every type of node that may stand in an expression; where each of them may, the functions below say."""
_MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def parse_expression(text: str) -> Predicate:
    """The predicate that an expression means.

    Raises:
        UsageError: it is no expression of the grammar, names an unknown attribute, compares what cannot be compared, or
            is over a limit.
    """
    if len(text) > LONGEST_EXPRESSION:
        raise UsageError(f"the expression has more than {LONGEST_EXPRESSION} characters", hint=GRAMMAR_HINT)
    tree = _tree(text.strip())
    nodes = list(ast.walk(tree))
    for node in nodes:
        if not isinstance(node, _ALLOWED):
            raise _refused(node)
    if sum(isinstance(node, ast.expr) for node in nodes) > MOST_TERMS:
        raise UsageError(f"the expression has more than {MOST_TERMS} terms", hint=GRAMMAR_HINT)
    return _predicate(tree, 1)


def _tree(text: str) -> ast.expr:
    try:
        with warnings.catch_warnings():
            # Python warns of texts that it will refuse one day (`'\d'`, `1and 2`); they are refused today.
            warnings.simplefilter("error")
            return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError, Warning) as error:
        reason = error.msg if isinstance(error, SyntaxError) and error.msg else "it cannot be read"
        raise UsageError(f"not an expression: {reason}", hint=GRAMMAR_HINT) from None


def _predicate(node: ast.expr, depth: int) -> Predicate:
    if depth > DEEPEST_EXPRESSION:
        raise UsageError(f"the expression is nested more than {DEEPEST_EXPRESSION} deep", hint=GRAMMAR_HINT)
    if isinstance(node, ast.BoolOp):
        join: Callable[..., Predicate] = all_of if isinstance(node.op, ast.And) else any_of
        return join([_predicate(part, depth + 1) for part in node.values])
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return ~_predicate(node.operand, depth + 1)
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        return all_of(_comparison(*three) for three in zip(sides, node.ops, sides[1:], strict=False))
    return _path(node).predicate()


def _comparison(left: ast.expr, operator: ast.cmpop, right: ast.expr) -> Predicate:
    if isinstance(operator, ast.In | ast.NotIn):
        found = _membership(left, right)
        return ~found if isinstance(operator, ast.NotIn) else found
    symbol = _OPERATORS[type(operator)]
    if _is_path(right) and not _is_path(left):
        left, right, symbol = right, left, _MIRRORED[symbol]
    path = _path(left)
    return Comparison(path.name, symbol, _value(right), path.option)


def _membership(left: ast.expr, right: ast.expr) -> Predicate:
    if isinstance(right, ast.List | ast.Tuple | ast.Set):
        path = _path(left)
        values: Values = tuple(_value(one) for one in right.elts)
        return Comparison(path.name, IS_IN, values, path.option)
    path = _path(right)
    return Comparison(path.name, CONTAINS, _value(left), path.option)


def _is_path(node: ast.expr) -> bool:
    return isinstance(node, ast.Name | ast.Subscript)


def _path(node: ast.expr) -> KeyPath:
    """A name, or `name['option id']` for an attribute of one audio option."""
    if isinstance(node, ast.Name):
        if node.id not in ATTRIBUTES:
            raise UsageError(f"there is no attribute `{node.id[:LONGEST_SHOWN]}` of a variant", hint=NAMES_HINT)
        return KeyPath(node.id)
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and isinstance(node.slice, ast.Constant):
        option = node.slice.value
        if isinstance(option, str):
            return _path(node.value).of(option)
    if isinstance(node, ast.Constant):
        raise UsageError("a comparison needs the name of an attribute on one side", hint=NAMES_HINT)
    raise _refused(node)


def _value(node: ast.expr) -> Value:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float | str):  # bool is an int
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        number = _value(node.operand) if isinstance(node.operand, ast.Constant) else None
        if isinstance(number, int | float) and not isinstance(number, bool):
            return -number if isinstance(node.op, ast.USub) else number
    if _is_path(node):
        raise UsageError("one side of a comparison must be a number or a text", hint="texts stand in quotes")
    raise _refused(node)


def _refused(node: ast.AST) -> UsageError:
    """Say what kind of thing stood there; its text may be anything and is not repeated."""
    return UsageError(f"an expression cannot have {_KINDS.get(type(node), 'this')} in it", hint=GRAMMAR_HINT)


_KINDS: Mapping[type[ast.AST], str] = {
    ast.Is: "`is`",
    ast.IsNot: "`is`",
    ast.Call: "a call",
    ast.Attribute: "a dot",
    ast.Lambda: "a `lambda`",
    ast.ListComp: "a comprehension",
    ast.SetComp: "a comprehension",
    ast.DictComp: "a comprehension",
    ast.GeneratorExp: "a comprehension",
    ast.IfExp: "an `if`",
    ast.NamedExpr: "an assignment",
    ast.JoinedStr: "an f-string",
    ast.BinOp: "arithmetic",
    ast.UnaryOp: "arithmetic",
    ast.Invert: "arithmetic",
    ast.Await: "`await`",
    ast.Yield: "`yield`",
    ast.Starred: "`*`",
    ast.Dict: "a dictionary",
    ast.Subscript: "an index that is not the text of an audio option",
}
