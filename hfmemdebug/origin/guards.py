"""What in somebody's code keeps a container below a number: comparisons of its length, and what is cut to a length.

`run` takes this module into somebody else's program: CPython 3.8 and the standard library are all it has.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .emptying import (
    empties,
    empties_wholly,
    has_a_name,
    is_laid_anew,
    is_length,
)
from .numbers_in_code import FUNCTION, called, is_name, key_of
from .pieces import Piece

if TYPE_CHECKING:
    from .emptying import Test

# Where calls have the number of what they give at most.
_PLACE_OF_MOST = {"tail": 0, "head": 0, "nlargest": 0, "nsmallest": 0, "islice": 1, "deque": 1}
_SAME_LENGTH = frozenset(
    {
        "list",
        "sorted",
        "tuple",
        "dict",
        "OrderedDict",
        "set",
        "frozenset",
        "concat",
        "array",
        "asarray",
        "copy",
    }
)
_ROOM = (ast.Lt, ast.LtE, ast.NotEq)
_FULL = (ast.Gt, ast.GtE, ast.Eq)
_INVERTED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
}  # fmt: skip
_TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE, ast.Eq: ast.Eq, ast.NotEq: ast.NotEq,
}  # fmt: skip


@dataclass(frozen=True)
class Guard:
    """A comparison.

    Attributes:
        function: Where it stands.
        line: Its line.
        limit: What the length is compared with.
        measure: What is compared with it where that is not the length.
        takes: Whether it takes something out, and does not only keep more from being put in beside it.
    """

    function: ast.AST
    line: int
    limit: ast.expr
    measure: ast.expr | None = None
    takes: bool = True


def guards_beside(function: ast.AST, piece: Piece, fills: list[ast.stmt | ast.expr]) -> Iterator[Guard]:
    """What bounds what a function fills: in itself, in what it calls, and in what runs all the time beside it.

    Args:
        function: A function, or a module for what stands outside of all.
        piece: The code that it is in.
        fills: The statements of the piece that put something into the container.
    """
    yield from guards(function, piece, fills)
    names = {called(node) for node in _whatever_happens(function) if isinstance(node, ast.Call)}
    beside = {id(each) for each in piece.beside}
    for other in piece.functions:
        if other is not function and (other.name in names or id(other) in beside):
            yield from (guard for guard in guards(other, piece, []) if guard.takes)


def cuts_elsewhere(adds: list[ast.stmt | ast.expr], piece: Piece) -> Iterator[Guard]:
    """``log = last(log + more)``, where what the function of the file returns is cut, whichever way it returns."""
    for statement in adds:
        value = statement.value if isinstance(statement, ast.Assign) else None
        functions = piece.by_name.get(called(value) or "", []) if isinstance(value, ast.Call) else []
        for function in functions:
            returned = [node for node in ast.walk(function) if isinstance(node, ast.Return)]
            limits = [_most_of(node.value) if node.value is not None else None for node in returned]
            if limits and limits[0] is not None and None not in limits:
                yield Guard(function, returned[0].lineno, limits[0])


def _whatever_happens(node: ast.AST) -> Iterator[ast.AST]:
    """What a function does under no condition."""
    waiting = [node]
    while waiting:
        for child in ast.iter_child_nodes(waiting.pop()):
            if not isinstance(child, (ast.If, ast.IfExp, ast.While, ast.ExceptHandler, *FUNCTION)):
                yield child
                waiting.append(child)


def _turns(function: ast.AST, fills: list[ast.stmt | ast.expr]) -> Iterator[Guard]:
    """``ring[step % 1000] = row``: there are no more keys than that."""
    found: list[Guard] = []
    for fill in fills:
        target = fill.targets[0] if isinstance(fill, ast.Assign) else None
        key: ast.AST | None = key_of(target) if isinstance(target, ast.Subscript) else None
        if isinstance(key, ast.Name):
            set_to = [n.value for n in ast.walk(function) if isinstance(n, ast.Assign) and
                      any(is_name(t, key.id) for t in n.targets)]  # fmt: skip
            key = set_to[0] if len(set_to) == 1 else None
        if not (isinstance(key, ast.BinOp) and isinstance(key.op, ast.Mod)) or _is_text(key.left):
            return
        found.append(Guard(function, fill.lineno, key.right, takes=False))
    yield from found


def _is_text(node: ast.expr) -> bool:
    """Whether ``%`` puts something into it."""
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and type(node.value) in (str, bytes)
    )


def guards(function: ast.AST, piece: Piece, fills: list[ast.stmt | ast.expr]) -> Iterator[Guard]:
    """Comparisons of one function that keep more from being put in, or take something out. Arguments as above."""
    is_it, tree = piece.is_it, piece.tree
    measured_as_it = _as_its_class_measures(is_it, tree, function)
    within = {id(each) for each in ast.walk(function)}
    fills = [node for node in fills if id(node) in within]
    yield from _turns(function, fills)
    for node in ast.walk(function):
        for block in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
            if isinstance(block, list):
                yield from cuts(function, block, is_it, fills)
        if not isinstance(node, (ast.If, ast.While)):
            continue
        for comparison in _comparisons(node.test, piece):
            sides = comparison.left, comparison.comparators[0]
            kind: type[ast.cmpop] = type(comparison.ops[0])
            if is_length(sides[1], measured_as_it):
                sides, kind = (sides[1], sides[0]), _TURNED.get(kind, kind)
            if not is_length(sides[0], measured_as_it):
                # ``if step % 1000 == 0:``; where one item comes at each step there are no more than those.
                if kind is ast.Eq and isinstance(sides[0], ast.BinOp) and isinstance(sides[0].op, ast.Mod):
                    if any(empties_wholly(s, is_it) for s in node.body):
                        yield Guard(function, node.lineno, sides[0].right)
                    continue
                # Something else that is measured, and has to go below its limit by what is taken out.
                measured = kind in (ast.Gt, ast.GtE) and (
                    has_a_name(sides[0]) or is_length(sides[0], has_a_name)
                )
                if measured and any(empties(s, is_it, piece.by_name) for s in node.body):
                    yield Guard(function, node.lineno, sides[1], sides[0])
                continue
            inside = {id(each) for statement in node.body for each in ast.walk(statement)}
            has_room = kind in _ROOM and fills and all(id(each) in inside for each in fills)
            leaves = isinstance(node.body[-1], (ast.Return, ast.Raise, ast.Continue, ast.Break))
            leaves = leaves and all(each.lineno > node.lineno for each in fills)
            takes = kind in _FULL and any(empties(s, is_it, piece.by_name) for s in node.body)
            if has_room or takes or (kind in _FULL and leaves):
                yield Guard(function, node.lineno, sides[1], takes=takes)


def cuts(
    function: ast.AST, block: list[ast.stmt], is_it: Test, fills: list[ast.stmt | ast.expr]
) -> Iterator[Guard]:
    """``del history[:-500]`` and ``history = history[-500:]``, wherever something was put in: the last so many stay."""
    inside = {id(each) for statement in block for each in ast.walk(statement)}
    if not all(id(each) in inside for each in fills):
        return
    for statement in block:
        limit: ast.expr | None = None
        if isinstance(statement, ast.Delete) and len(statement.targets) == 1:
            cut = statement.targets[0]
            if isinstance(cut, ast.Subscript) and is_it(cut.value):
                limit = _kept_of(cut, deleted=True)
        elif isinstance(statement, ast.Assign) and any(is_laid_anew(t, is_it) for t in statement.targets):
            value = statement.value
            # Of what is put in nowhere, a slice of something else is another one.
            if fills or any(map(is_it, ast.walk(value))):
                limit = _either_of(value, is_it) if isinstance(value, ast.IfExp) else _most_of(value)
        if limit is not None:
            yield Guard(function, statement.lineno, limit)


def _kept_of(cut: ast.Subscript, *, deleted: bool) -> ast.expr | None:
    """How many items a slice leaves at most: ``[-500:]``, ``[:500]``; what is deleted, ``[:-500]``, ``[500:]``."""
    place = cut.slice
    if not isinstance(place, ast.Slice) or place.step is not None:
        return None
    last, first = (place.upper, place.lower) if deleted else (place.lower, place.upper)
    if first is None and last is not None:
        return _from_the_end(last, cut.value)
    return first if last is None and not isinstance(first, ast.UnaryOp) else None


def _from_the_end(place: ast.expr, cut: ast.expr) -> ast.expr | None:
    """500 of ``-500``, of ``len(history) - 500``, and of ``max(0, len(history) - 500)``."""
    if isinstance(place, ast.UnaryOp) and isinstance(place.op, ast.USub):
        return place.operand
    if isinstance(place, ast.BinOp) and isinstance(place.op, ast.Sub):
        same = is_length(place.left, lambda node: ast.dump(node) == ast.dump(cut))
        return place.right if same else None
    if isinstance(place, ast.Call) and called(place) == "max":
        return next((found for each in place.args if (found := _from_the_end(each, cut)) is not None), None)
    return None


def _either_of(value: ast.IfExp, is_it: Test) -> ast.expr | None:
    """``new if log is None else (log + new)[-500:]``, and ``log[-500:] if len(log) > 600 else log``."""
    measured = any(is_length(node, is_it) for node in ast.walk(value.test))
    for one, other in ((value.body, value.orelse), (value.orelse, value.body)):
        limit = _most_of(one)
        short = (is_it(other) and measured) or not any(map(is_it, ast.walk(other)))
        if limit is not None and short:
            return limit
    return None


def _most_of(value: ast.expr) -> ast.expr | None:
    """How many items there are at most in what an expression makes."""
    if isinstance(value, ast.Subscript):
        return _kept_of(value, deleted=False)
    if isinstance(value, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        # Of each there is one at most.
        return _most_of(value.generators[0].iter) if len(value.generators) == 1 else None
    if not isinstance(value, ast.Call):
        return None
    name = called(value) or ""
    place = _PLACE_OF_MOST.get(name)
    if name in _SAME_LENGTH and len(value.args) == 1:
        return _most_of(value.args[0])
    if place is not None and len(value.args) > place:
        return value.args[place]
    return next((word.value for word in value.keywords if word.arg in ("maxlen", "n")), None)


def _comparisons(test: ast.expr, piece: Piece) -> Iterator[ast.Compare]:
    """The comparisons that must hold together: of what is said with ``or``, none has to."""
    for part in test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) else [test]:
        turned = isinstance(part, ast.UnaryOp) and isinstance(part.op, ast.Not)
        asked: ast.expr = part.operand if isinstance(part, ast.UnaryOp) and turned else part
        asked = _what_it_returns(asked, piece) or asked
        if isinstance(asked, ast.Compare) and len(asked.ops) == 1:
            kind = type(asked.ops[0])
            if turned:
                kind = _INVERTED.get(kind, kind)
            yield ast.Compare(asked.left, [kind()], asked.comparators)


def _what_it_returns(asked: ast.expr, piece: Piece) -> ast.expr | None:
    """What a property, or a function without arguments, says of the container in one expression."""
    if isinstance(asked, ast.Call) and not asked.args and not asked.keywords:
        name = called(asked)
    else:
        name = asked.attr if isinstance(asked, ast.Attribute) else None
    for function in piece.functions:
        if function.name == name and isinstance(function.body[-1], ast.Return):
            others = [s for s in function.body[:-1] if not isinstance(s, ast.Expr)]
            return function.body[-1].value if not others else None
    return None


def _as_its_class_measures(is_it: Test, tree: ast.AST, function: ast.AST) -> Test:
    """The test, and ``self`` where the class around the function says that its length is the container's."""
    if not any(is_length(node, lambda each: isinstance(each, ast.Name)) for node in ast.walk(function)):
        return is_it
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and function in node.body and isinstance(function, FUNCTION):
            for method in node.body:
                if isinstance(method, FUNCTION) and method.name == "__len__" and function.args.args:
                    returned = [r.value for r in ast.walk(method) if isinstance(r, ast.Return)]
                    if returned and all(r is not None and is_length(r, is_it) for r in returned):
                        itself = function.args.args[0].arg
                        return lambda each: is_it(each) or is_name(each, itself)
    return is_it
