"""A statement about named quantities, "d_ff == 4 * d_model": read from a claim, checked before anything runs, evaluated exactly.

The language: numbers, texts, names of quantities; + - * / // ** and brackets; == != < <= > >= (chains too); and, or, not; abs, round, min,
max. Numbers are fractions, "0.1" being a tenth: nothing is rounded but by `round`, which takes halves to the even neighbour. Nothing else
of Python can be said in it, and it reaches nothing but the quantities that it is given.
"""

import ast
import operator
from collections.abc import Callable, Collection, Mapping
from fractions import Fraction
from itertools import pairwise
from typing import Any

from interp.core.errors import ClaimError

Quantity = int | str | bool
LARGEST_POWER = 10
DRAWS = 200
TRIES = 10
_FUNCTIONS: dict[str, Callable[..., Any]] = {"abs": abs, "round": round, "min": min, "max": max}
_ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}
_COMPARISONS: dict[type, Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


class Expression:
    """A statement, checked; call it with the quantities.

    Args:
        text: the statement.
        known: names of all quantities there are.
    Raises: ClaimError for what is not of the language, naming it, or a name that is none, listing those that are.

    Example:
        >>> statement = Expression("d_ff == 4 * d_model", ["d_ff", "d_model"])
        >>> statement({"d_ff": 3072, "d_model": 768}), statement({"d_ff": 11008, "d_model": 4096})
        (True, False)
        >>> sorted(statement.names)
        ['d_ff', 'd_model']
    """

    def __init__(self, text: str, known: Collection[str]):
        self.text = text
        try:
            self._root = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError) as error:
            raise ClaimError(f"{text!r} is no statement ({error}); expected one such as 'd_ff == 4 * d_model'") from error
        self.names: frozenset[str] = frozenset(self._names(self._root, known))

    def __call__(self, quantities: Mapping[str, Quantity]) -> bool:
        """Whether it is true of these quantities.

        Raises: ClaimError for a division by zero, a text where a number belongs, or a result that is neither true nor false.
        """
        found = self._value(self._root, quantities)
        if not isinstance(found, bool):
            raise ClaimError(f"{self.text!r} gives {found}; expected something true or false: a comparison")
        return found

    def sides(self, quantities: Mapping[str, Quantity]) -> tuple[float, ...]:
        """The numbers on both sides of a single comparison; () where it is something else."""
        root = self._root
        if not isinstance(root, ast.Compare) or len(root.ops) != 1:
            return ()
        found = [self._value(side, quantities) for side in (root.left, root.comparators[0])]
        return tuple(float(side) for side in found) if all(isinstance(side, int | Fraction) for side in found) else ()

    def _names(self, node: ast.AST, known: Collection[str]) -> set[str]:
        """The names below a node, each part of which must be of the language."""
        if isinstance(node, ast.Name):
            if node.id not in known:
                raise ClaimError(f"{self.text!r}: there is no quantity {node.id!r}; expected some of {', '.join(known)}")
            return {node.id}
        parts = self._parts(node)
        if parts is None:
            raise ClaimError(
                f"{self.text!r}: {ast.unparse(node)!r} cannot be said here; expected numbers, texts, quantities, + - * / // **, "
                f"comparisons, and, or, not, {', '.join(_FUNCTIONS)}"
            )
        return set().union(*(self._names(part, known) for part in parts))

    def _parts(self, node: ast.AST) -> list[ast.expr] | None:
        """What stands below a node; None for one that is not of the language."""
        match node:
            case ast.Constant(value=int() | float() | str()):
                return []
            case ast.BoolOp(values=values):
                return values
            case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
                return [operand]
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC or isinstance(op, ast.Pow):
                return [left, right]
            case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in _COMPARISONS for op in ops):
                return [left, *others]
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS and args:
                return args
        return None

    def _value(self, node: ast.expr, quantities: Mapping[str, Quantity]) -> Any:
        try:
            return self._evaluated(node, quantities)
        except (TypeError, ZeroDivisionError, OverflowError) as error:
            raise ClaimError(f"{self.text!r}: {ast.unparse(node)} cannot be computed ({error})") from error

    def _evaluated(self, node: ast.expr, quantities: Mapping[str, Quantity]) -> Any:
        def value(part: ast.expr) -> Any:
            return self._evaluated(part, quantities)

        match node:
            case ast.Constant(value=constant):
                return _exact(constant)
            case ast.Name(id=name):
                return _exact(quantities[name])
            case ast.BoolOp(op=op, values=values):
                return (all if isinstance(op, ast.And) else any)(bool(value(part)) for part in values)
            case ast.UnaryOp(op=op, operand=operand):
                return not value(operand) if isinstance(op, ast.Not) else -value(operand)
            case ast.BinOp(left=left, op=op, right=right):
                return _power(value(left), value(right)) if isinstance(op, ast.Pow) else _ARITHMETIC[type(op)](value(left), value(right))
            case ast.Compare(left=left, ops=ops, comparators=others):
                terms = [value(left), *map(value, others)]
                return all(bool(_COMPARISONS[type(op)](*pair)) for op, pair in zip(ops, pairwise(terms), strict=True))
            case ast.Call(func=ast.Name(id=name), args=args):
                return _called(name, [value(part) for part in args])
        raise AssertionError(f"{ast.dump(node)} was let in")


def _exact(value: Any) -> Any:
    """A number as the fraction that is written, anything else as it is."""
    return value if isinstance(value, bool | str) else Fraction(str(value))


def _power(base: Any, exponent: Any) -> Any:
    if isinstance(exponent, str) or exponent != int(exponent) or abs(exponent) > LARGEST_POWER:
        raise ClaimError(f"the power {exponent} came; expected a whole one from -{LARGEST_POWER} to {LARGEST_POWER}")
    return base ** int(exponent)


def _called(name: str, values: list[Any]) -> Any:
    """A function's value; how many places to round to is a whole number."""
    if name == "round" and len(values) == 2:
        return round(values[0], int(values[1]))
    return _FUNCTIONS[name](*values)


def truths(statement: Expression, draw: Callable[[], Mapping[str, Quantity]], where: Expression | None = None) -> list[bool]:
    """Whether a statement is true of drawn quantities: if of all, it says nothing. Draws of which `where` is not true are passed over, as
    are those that lack a quantity or with which something cannot be computed; it stops at `DRAWS`, or when `TRIES` for each are spent.

    Example:
        >>> all(truths(Expression("d_ff > 0", ["d_ff"]), lambda: {"d_ff": 5}))
        True
        >>> truths(Expression("d_ff > 0", ["d_ff"]), lambda: {"d_ff": 5}, where=Expression("d_ff == 6", ["d_ff"]))
        []
    """
    names = statement.names | (where.names if where else frozenset())
    found: list[bool] = []
    for _ in range(DRAWS * TRIES):
        drawn = draw()
        if names <= drawn.keys():
            try:
                found += [statement(drawn)] if where is None or where(drawn) else []
            except ClaimError:
                continue
        if len(found) == DRAWS:
            break
    return found
