"""Bounds that code sets itself: ``if len(cache) > 5000: cache.popitem()``, as a deque has its maxlen.

A container that is below such a bound grows as a leak does, and is none. Only a bound whose number is known counts,
and only while it is not reached: what has grown past it is not kept by it.

`run` takes this module into somebody else's program: CPython 3.8 and the standard library are all it has.
"""

from __future__ import annotations

import ast
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .containers import size_of
from .emptying import (
    empties,
    empties_wholly,
    has_a_name,
    is_laid_anew,
    is_length,
)
from .named import ARRAYS
from .numbers_in_code import (
    FUNCTION,
    attribute,
    called,
    functions_in,
    is_name,
    number,
    owners_of,
    plain,
    value_of,
    value_of_label,
)
from .paths import RootPath
from .pieces import Piece, file_of, pieces_of
from .sites import filling, is_library
from .source import tree_of

if TYPE_CHECKING:
    from .emptying import Test

# Where calls have the number of what they give at most.
_PLACE_OF_MOST = {"tail": 0, "head": 0, "nlargest": 0, "nsmallest": 0, "islice": 1, "deque": 1}
# What classes call the number of their entries: queues and cachetools, Jinja and SQLAlchemy, boltons.
_LIMITS = frozenset({"maxsize", "max_size", "capacity", "max_entries", "max_items"})
_SAME_LENGTH = frozenset({"list", "sorted", "tuple", "concat", "array", "asarray", "copy"})
_WITH_A_LENGTH = (*ARRAYS, "pandas")
_FILLING_CALLS = frozenset({"heappush", "insort", "insort_left", "insort_right"})
# An attribute of what a module has a name for, at any depth.
_ATTRIBUTE = re.compile(r"`(\w+)\.[^`]*`$")
_ROOM = (ast.Lt, ast.LtE, ast.NotEq)
_FULL = (ast.Gt, ast.GtE, ast.Eq)
_INVERTED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
}  # fmt: skip
_RUNNING_CALLS = frozenset({"Thread", "Timer", "submit", "call_later", "start_new_thread"})
_TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE, ast.Eq: ast.Eq, ast.NotEq: ast.NotEq,
}  # fmt: skip


@dataclass(frozen=True)
class Bound:
    """How long a container may get, and the line that says so.

    Attributes:
        size: The number.
        file: Where it stands.
        line: No line where a library's class has the number, or the container's own length is it.
        measure: What is compared with it where that is not the container's length, as the code says it.
        measured: What that is now.
    """

    size: int
    file: str
    line: int | None
    measure: str | None = None
    measured: int | None = None

    def entries(self, length: int) -> int:
        """For how many entries there is room, of the size of those that there are."""
        return length * self.size // self.measured if self.measured else self.size

    @property
    def words(self) -> str:
        """``, bounded to 5,000 (train.py:12)``, to be put behind the container's name."""
        where = f" ({Path(self.file).name}:{self.line})" if self.line is not None else ""
        what = f" in `{self.measure}`" if self.measure is not None else ""
        return f", bounded to {self.size:,}{what}{where}"


@dataclass(frozen=True)
class _Guard:
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


def bound_of(thing: Any, path: RootPath) -> Bound | None:
    """The bound that a container has and has not reached; None where there is none, or nobody knows.

    Args:
        thing: The container.
        path: The way to it.
    """
    size = size_of(thing)
    if size is None:
        return None
    found = _of_a_library(thing) or _in_its_class(thing) or _beside_its_lines(thing, path, size)
    if found is None and (around := _ATTRIBUTE.search(path.place)) is not None:
        # What a table has inside is bounded as the table is.
        return bound_of_name(around[1], path.file)
    return found if found is not None and found.size > size else None


def bound_of_name(label: str, file: str | None) -> Bound | None:
    """The bound of what a module has under a name, where that is an array or a table; None where it has none.

    Args:
        label: The name, perhaps with attributes behind it.
        file: The module's.
    """
    if file is None or is_library(file):
        return None
    value = value_of_label(label, file)
    if type(value).__module__.partition(".")[0] not in _WITH_A_LENGTH:
        return None
    try:
        length = len(value)
    except TypeError:
        # An array of no dimensions.
        return None
    path = RootPath(label, f"`{label}`", label.rpartition(".")[2], file, None)
    found = _beside_its_lines(value, path, length)
    return found if found is not None and found.size > length else None


def _of_a_library(thing: Any) -> Bound | None:
    """The ``maxsize`` of an installed class around it, or of its own."""
    for owner in (thing, *owners_of(thing)):
        file = file_of(type(owner))
        if file is not None and is_library(file):
            # Most keep it to themselves, and show it as a property (``_Cache__maxsize``).
            own = [name for name in getattr(owner, "__dict__", ()) if _plainly(name) in _LIMITS]
            for name in (*own, *_LIMITS):
                size = plain(attribute(owner, name))
                if size is not None and size > 0:
                    return Bound(size, file, None)
    return None


def _plainly(name: str) -> str:
    """An attribute's name without what makes it private."""
    return name.rpartition("__")[2].lstrip("_")


def _in_its_class(thing: Any) -> Bound | None:
    """A subclass of dict that looks at its own length when it is given something."""
    for kind in type(thing).__mro__:
        file = file_of(kind)
        tree = tree_of(file) if file is not None and not is_library(file) else None
        if tree is None or file is None:
            continue
        for node in ast.walk(tree):
            methods = node.body if isinstance(node, ast.ClassDef) and node.name == kind.__name__ else []
            for method in methods:
                if isinstance(method, FUNCTION) and method.args.args:
                    itself = partial(is_name, name=method.args.args[0].arg)
                    for guard in _guards(method, Piece(file, tree, itself, frozenset()), []):
                        size = number(guard.limit, [thing], tree, method, file)
                        if size is not None and guard.measure is None:
                            return Bound(size, file, guard.line)
    return None


def _beside_its_lines(thing: Any, path: RootPath, length: int) -> Bound | None:
    """A comparison of its length in each of the functions that put something into it."""
    owners = owners_of(thing)
    pieces = pieces_of(path.name, path.place, path.file, owners) if path.name is not None else []
    filled = [(piece, _filling(thing, piece)) for piece in pieces]
    found: list[Bound] = []
    for piece, fills in filled:
        functions = _innermost(piece, fills)
        if not any(each for _, each in filled):
            # What is made anew of itself and more, or filled by a library, is cut by who has it.
            functions = [f for f in piece.functions if any(_cuts(f, f.body, piece.is_it, []))]
        for function in functions:
            bounds = []
            for guard in _guards_beside(function, piece, fills):
                limit = number(guard.limit, owners, piece.tree, guard.function, piece.file)
                now = length if guard.measure is None else value_of(guard.measure, owners, piece.file)
                # Of bytes there is at least one an item; what never changes measures nothing.
                if limit is not None and now is not None and length <= now < limit:
                    what = (_in_words(guard.measure), now) if guard.measure is not None else (None, None)
                    bounds.append(Bound(limit, piece.file, guard.line, *what))
            if not bounds:
                return None
            found.append(bounds[0])
    return max(found, key=lambda bound: bound.size, default=None)


def _in_words(measure: ast.expr) -> str:
    """What is measured, as the code says it; since Python 3.9."""
    return str(getattr(ast, "unparse", ast.dump)(measure))


def _filling(thing: Any, piece: Piece) -> list[ast.stmt | ast.expr]:
    """What makes it longer: what is put at a place that a list has already does not."""
    tree, is_it = piece.tree, piece.is_it
    fills: list[ast.stmt | ast.expr] = [
        node
        for node in filling(tree, is_it)
        if not (isinstance(node, ast.Assign) and isinstance(thing, (list, deque)))
    ]
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and node.args
            and is_it(node.args[0])
            and called(node) in _FILLING_CALLS
        ):
            fills.append(node)
    others = {id(n) for f in functions_in(tree) if id(f) in piece.left_out for n in ast.walk(f)}
    return [node for node in fills if id(node) not in others]


def _innermost(piece: Piece, fills: list[ast.stmt | ast.expr]) -> list[ast.AST]:
    """The functions that fill it; the module itself for a line outside of all functions."""
    functions = piece.functions
    found: dict[int, ast.AST] = {}
    for node in fills:
        around = [f for f in functions if f.lineno <= node.lineno <= (f.end_lineno or f.lineno)]
        inner: ast.AST = max(around, key=lambda f: f.lineno) if around else piece.tree
        found[id(inner)] = inner
    return list(found.values())


def _guards_beside(function: ast.AST, piece: Piece, fills: list[ast.stmt | ast.expr]) -> Iterator[_Guard]:
    """What bounds what a function fills: in itself, in what it calls, and in what runs all the time beside it."""
    yield from _guards(function, piece, fills)
    names = {called(node) for node in _whatever_happens(function) if isinstance(node, ast.Call)}
    for other in piece.functions:
        if other is not function and (other.name in names or _runs_beside(other, piece.tree)):
            yield from (guard for guard in _guards(other, piece, []) if guard.takes)


def _whatever_happens(node: ast.AST) -> Iterator[ast.AST]:
    """What a function does under no condition."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.If, ast.IfExp, ast.While, ast.ExceptHandler, *FUNCTION)):
            yield child
            yield from _whatever_happens(child)


def _runs_beside(function: ast.FunctionDef | ast.AsyncFunctionDef, tree: ast.AST) -> bool:
    """Whether a thread or a timer runs it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and called(node) in _RUNNING_CALLS:
            given = [*node.args, *(word.value for word in node.keywords)]
            if any(function.name in (getattr(g, "id", None), getattr(g, "attr", None)) for g in given):
                return True
        elif isinstance(node, ast.ClassDef) and function.name == "run" and function in node.body:
            return any("Thread" in (getattr(b, "id", None), getattr(b, "attr", None)) for b in node.bases)
    return False


def _turns(function: ast.AST, fills: list[ast.stmt | ast.expr]) -> Iterator[_Guard]:
    """``ring[step % 1000] = row``: there are no more keys than that."""
    found: list[_Guard] = []
    for fill in fills:
        target = fill.targets[0] if isinstance(fill, ast.Assign) else None
        key = target.slice if isinstance(target, ast.Subscript) else None
        if isinstance(key, ast.Name):
            set_to = [n.value for n in ast.walk(function) if isinstance(n, ast.Assign) and
                      any(is_name(t, key.id) for t in n.targets)]  # fmt: skip
            key = set_to[0] if len(set_to) == 1 else None
        if not (isinstance(key, ast.BinOp) and isinstance(key.op, ast.Mod)):
            return
        found.append(_Guard(function, fill.lineno, key.right, takes=False))
    yield from found


def _guards(function: ast.AST, piece: Piece, fills: list[ast.stmt | ast.expr]) -> Iterator[_Guard]:
    """Comparisons that keep more from being put in, or take something out."""
    is_it, tree = piece.is_it, piece.tree
    measured_as_it = _as_its_class_measures(is_it, tree, function)
    within = {id(each) for each in ast.walk(function)}
    fills = [node for node in fills if id(node) in within]
    yield from _turns(function, fills)
    for node in ast.walk(function):
        for block in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
            if isinstance(block, list):
                yield from _cuts(function, block, is_it, fills)
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
                        yield _Guard(function, node.lineno, sides[0].right)
                    continue
                # Something else that is measured, and has to go below its limit by what is taken out.
                measured = kind in (ast.Gt, ast.GtE) and (
                    has_a_name(sides[0]) or is_length(sides[0], has_a_name)
                )
                if measured and any(empties(s, is_it, tree) for s in node.body):
                    yield _Guard(function, node.lineno, sides[1], sides[0])
                continue
            inside = {id(each) for statement in node.body for each in ast.walk(statement)}
            has_room = kind in _ROOM and fills and all(id(each) in inside for each in fills)
            leaves = isinstance(node.body[-1], (ast.Return, ast.Raise, ast.Continue, ast.Break))
            leaves = leaves and all(each.lineno > node.lineno for each in fills)
            takes = kind in _FULL and any(empties(s, is_it, tree) for s in node.body)
            if has_room or takes or (kind in _FULL and leaves):
                yield _Guard(function, node.lineno, sides[1], takes=takes)


def _cuts(
    function: ast.AST, block: list[ast.stmt], is_it: Test, fills: list[ast.stmt | ast.expr]
) -> Iterator[_Guard]:
    """``del history[:-500]`` and ``history = history[-500:]``, wherever something was put in: the last so many stay."""
    inside = {id(each) for statement in block for each in ast.walk(statement)}
    if not all(id(each) in inside for each in fills):
        return
    for statement in block:
        limit: ast.expr | None = None
        if isinstance(statement, ast.Delete) and len(statement.targets) == 1:
            cut = statement.targets[0]
            if isinstance(cut, ast.Subscript) and is_it(cut.value):
                limit = _kept_of(cut.slice, deleted=True)
        elif isinstance(statement, ast.Assign) and any(is_laid_anew(t, is_it) for t in statement.targets):
            limit = _most_of(statement.value)
        if limit is not None:
            yield _Guard(function, statement.lineno, limit)


def _kept_of(cut: ast.expr, *, deleted: bool) -> ast.expr | None:
    """How many items a slice leaves at most: ``[-500:]``, ``[:500]``; what is deleted, ``[:-500]``, ``[500:]``."""
    if not isinstance(cut, ast.Slice) or cut.step is not None:
        return None
    last, first = (cut.upper, cut.lower) if deleted else (cut.lower, cut.upper)
    if first is None and isinstance(last, ast.UnaryOp) and isinstance(last.op, ast.USub):
        return last.operand
    return first if last is None and not isinstance(first, ast.UnaryOp) else None


def _most_of(value: ast.expr) -> ast.expr | None:
    """How many items there are at most in what an expression makes."""
    if isinstance(value, ast.Subscript):
        return _kept_of(value.slice, deleted=False)
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
