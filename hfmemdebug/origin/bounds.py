"""Bounds that code sets itself: ``if len(cache) > 5000: cache.popitem()``, as a deque has its maxlen.

A container that is below such a bound grows as a leak does, and is none. Only a bound whose number is known counts,
and only while it is not reached: what has grown past it is not kept by it.
"""

from __future__ import annotations

import ast
import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hfmemdebug.origin.containers import size_of
from hfmemdebug.origin.numbers_in_code import (
    FUNCTION,
    attribute,
    called,
    is_name,
    number,
    owners_of,
    plain,
    value_of,
)
from hfmemdebug.origin.paths import RootPath
from hfmemdebug.origin.sites import filling, is_library

_REMOVING_CALLS = frozenset({"pop", "popitem", "popleft", "clear", "remove", "discard", "move_to_end"})
_FILLING_CALLS = frozenset({"heappush", "insort", "insort_left", "insort_right"})
_ROOM = (ast.Lt, ast.LtE, ast.NotEq)
_FULL = (ast.Gt, ast.GtE, ast.Eq)
_TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE, ast.Eq: ast.Eq, ast.NotEq: ast.NotEq,
}  # fmt: skip
_Test = Callable[[ast.AST], bool]


@dataclass(frozen=True)
class Bound:
    """How long a container may get, and the line that says so.

    Attributes:
        size: The number.
        file: Where it stands.
        line: No line where a library's class has the number, or the container's own length is it.
        measure: What is compared with it where that is not the container's length, as the code says it.
    """

    size: int
    file: str
    line: int | None
    measure: str | None = None

    @property
    def words(self) -> str:
        """``, bounded to 5,000 (train.py:12)``, to be put behind the container's name."""
        where = f" ({Path(self.file).name}:{self.line})" if self.line is not None else ""
        what = f" in `{self.measure}`" if self.measure is not None else ""
        return f", bounded to {self.size:,}{what}{where}"


@dataclass(frozen=True)
class _Guard:
    """A comparison: its line, the limit, and what is compared with it where that is not the length."""

    line: int
    limit: ast.expr
    measure: ast.expr | None


def bound_of(thing: Any, path: RootPath) -> Bound | None:
    """The bound that a container has and has not reached; None where there is none, or nobody knows.

    Args:
        thing: The container.
        path: The way to it.
    """
    size = size_of(thing)
    if size is None:
        return None
    found = _of_a_library(thing) or _in_its_class(thing) or _beside_its_lines(thing, path)
    return found if found is not None and found.size > size else None


def _of_a_library(thing: Any) -> Bound | None:
    """The ``maxsize`` of an installed class around it, as cachetools' caches and the queues have."""
    for owner in owners_of(thing):
        file = _file_of(type(owner))
        if file is not None and is_library(file):
            size = plain(attribute(owner, "maxsize"))
            if size is not None and size > 0:
                return Bound(size, file, None)
    return None


def _in_its_class(thing: Any) -> Bound | None:
    """A subclass of dict that looks at its own length when it is given something."""
    file = _file_of(type(thing))
    tree = _tree(file) if file is not None and not is_library(file) else None
    if tree is None or file is None:
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == type(thing).__name__:
            for method in node.body:
                if isinstance(method, FUNCTION) and method.args.args:
                    itself = partial(is_name, name=method.args.args[0].arg)
                    for guard in _guards(method, itself, tree, []):
                        size = number(guard.limit, [thing], tree, method, file)
                        if size is not None and guard.measure is None:
                            return Bound(size, file, guard.line)
    return None


def _beside_its_lines(thing: Any, path: RootPath) -> Bound | None:
    """A comparison of its length in each of the functions that put something into it."""
    file, name = path.file, path.name
    if file is None or name is None or is_library(file) or not path.place.endswith(f"{name}`"):
        return None
    tree = _tree(file)
    if tree is None:
        return None

    # What is another object's is not reached by its bare name.
    inside = path.place.endswith(f".{name}`")

    def is_it(node: ast.AST) -> bool:
        return (not inside and is_name(node, name)) or (isinstance(node, ast.Attribute) and node.attr == name)

    found: list[Bound] = []
    owners, length = owners_of(thing), size_of(thing) or 0
    fills = _filling(thing, tree, is_it)
    for function in _innermost(tree, fills):
        bounds = []
        for guard in _guards(function, is_it, tree, fills):
            limit = number(guard.limit, owners, tree, function, file)
            now = length if guard.measure is None else value_of(guard.measure, owners, file)
            # Of bytes there is at least one an item; what never changes measures nothing.
            if limit is not None and now is not None and length <= now < limit:
                measure = ast.unparse(guard.measure) if guard.measure is not None else None
                bounds.append(Bound(limit, file, guard.line, measure))
        if not bounds:
            return None
        found.append(bounds[0])
    return max(found, key=lambda bound: bound.size, default=None)


def _filling(thing: Any, tree: ast.AST, is_it: _Test) -> list[ast.stmt | ast.expr]:
    """What makes it longer: what is put at a place that a list has already does not."""
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
    return fills


def _innermost(tree: ast.AST, fills: list[ast.stmt | ast.expr]) -> list[ast.AST]:
    """The functions that fill it; the module itself for a line outside of all functions."""
    functions = [node for node in ast.walk(tree) if isinstance(node, FUNCTION)]
    found: dict[int, ast.AST] = {}
    for node in fills:
        around = [f for f in functions if f.lineno <= node.lineno <= (f.end_lineno or f.lineno)]
        inner: ast.AST = max(around, key=lambda f: f.lineno) if around else tree
        found[id(inner)] = inner
    return list(found.values())


def _guards(
    function: ast.AST, is_it: _Test, tree: ast.AST, fills: list[ast.stmt | ast.expr]
) -> Iterator[_Guard]:
    """Comparisons that keep more from being put in, or take something out."""
    measured_as_it = _as_its_class_measures(is_it, tree, function)
    within = {id(each) for each in ast.walk(function)}
    fills = [node for node in fills if id(node) in within]
    for node in ast.walk(function):
        for block in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
            if isinstance(block, list):
                yield from _cuts(block, is_it, fills)
        if not isinstance(node, (ast.If, ast.While)):
            continue
        for comparison in _comparisons(node.test):
            sides = comparison.left, comparison.comparators[0]
            kind: type[ast.cmpop] = type(comparison.ops[0])
            if _is_length(sides[1], measured_as_it):
                sides, kind = (sides[1], sides[0]), _TURNED.get(kind, kind)
            if not _is_length(sides[0], measured_as_it):
                # ``if step % 1000 == 0:``; where one item comes at each step there are no more than those.
                if kind is ast.Eq and isinstance(sides[0], ast.BinOp) and isinstance(sides[0].op, ast.Mod):
                    if any(_empties_wholly(s, is_it) for s in node.body):
                        yield _Guard(node.lineno, sides[0].right, None)
                    continue
                # Something else that is measured, and has to go below its limit by what is taken out.
                measured = kind in (ast.Gt, ast.GtE) and (
                    _has_a_name(sides[0]) or _is_length(sides[0], _has_a_name)
                )
                if measured and any(_empties(s, is_it, tree) for s in node.body):
                    yield _Guard(node.lineno, sides[1], sides[0])
                continue
            inside = {id(each) for statement in node.body for each in ast.walk(statement)}
            has_room = kind in _ROOM and fills and all(id(each) in inside for each in fills)
            leaves = isinstance(node.body[-1], (ast.Return, ast.Raise, ast.Continue, ast.Break))
            leaves = leaves and all(each.lineno > node.lineno for each in fills)
            if has_room or (kind in _FULL and (leaves or any(_empties(s, is_it, tree) for s in node.body))):
                yield _Guard(node.lineno, sides[1], None)


def _cuts(block: list[ast.stmt], is_it: _Test, fills: list[ast.stmt | ast.expr]) -> Iterator[_Guard]:
    """``del history[:-500]`` and ``history = history[-500:]``, wherever something was put in: the last so many stay."""
    inside = {id(each) for statement in block for each in ast.walk(statement)}
    if not fills or not all(id(each) in inside for each in fills):
        return
    for statement in block:
        cut: ast.expr | None = None
        if isinstance(statement, ast.Delete) and len(statement.targets) == 1:
            cut, end = statement.targets[0], "upper"
        elif isinstance(statement, ast.Assign) and any(_is_laid_anew(t, is_it) for t in statement.targets):
            cut, end = statement.value, "lower"
        if not (isinstance(cut, ast.Subscript) and isinstance(cut.slice, ast.Slice) and is_it(cut.value)):
            continue
        limit = getattr(cut.slice, end)
        other = cut.slice.lower if end == "upper" else cut.slice.upper
        if isinstance(limit, ast.UnaryOp) and isinstance(limit.op, ast.USub) and other is None:
            yield _Guard(statement.lineno, limit.operand, None)


def _comparisons(test: ast.expr) -> Iterator[ast.Compare]:
    """The comparisons that must hold together: of what is said with ``or``, none has to."""
    for part in test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) else [test]:
        if isinstance(part, ast.Compare) and len(part.ops) == 1:
            yield part


def _as_its_class_measures(is_it: _Test, tree: ast.AST, function: ast.AST) -> _Test:
    """The test, and ``self`` where the class around the function says that its length is the container's."""
    if not any(_is_length(node, lambda each: isinstance(each, ast.Name)) for node in ast.walk(function)):
        return is_it
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and function in node.body and isinstance(function, FUNCTION):
            for method in node.body:
                if isinstance(method, FUNCTION) and method.name == "__len__" and function.args.args:
                    returned = [r.value for r in ast.walk(method) if isinstance(r, ast.Return)]
                    if returned and all(r is not None and _is_length(r, is_it) for r in returned):
                        itself = function.args.args[0].arg
                        return lambda each: is_it(each) or is_name(each, itself)
    return is_it


def _is_length(node: ast.AST, is_it: _Test) -> bool:
    return (
        isinstance(node, ast.Call)
        and is_name(node.func, "len")
        and len(node.args) == 1
        and is_it(node.args[0])
    )


def _has_a_name(node: ast.AST) -> bool:
    return isinstance(node, (ast.Name, ast.Attribute))


def _empties(statement: ast.AST, is_it: _Test, tree: ast.AST, *, deeper: bool = True) -> bool:
    """Whether a statement takes something out of it, itself or in a function of the file that it calls."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Delete):
            if any(isinstance(t, ast.Subscript) and is_it(t.value) for t in node.targets):
                return True
        elif isinstance(node, ast.Assign):
            if any(_is_laid_anew(target, is_it) for target in node.targets):
                return True
        elif isinstance(node, ast.Call):
            function, name = node.func, called(node)
            if isinstance(function, ast.Attribute) and name in _REMOVING_CALLS and is_it(function.value):
                return True
            if deeper and any(
                isinstance(f, FUNCTION) and f.name == name and _empties(f, is_it, tree, deeper=False)
                for f in ast.walk(tree)
            ):
                return True
    return False


def _empties_wholly(statement: ast.stmt, is_it: _Test) -> bool:
    """``metrics.clear()`` and ``metrics = []``: nothing stays."""
    if isinstance(statement, ast.Assign):
        return any(is_it(target) for target in statement.targets)
    call = (
        statement.value.func
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
        else None
    )
    return isinstance(call, ast.Attribute) and call.attr == "clear" and is_it(call.value)


def _is_laid_anew(target: ast.expr, is_it: _Test) -> bool:
    """``cache = …``, ``cache[:10] = …`` and ``young, old = …``."""
    if isinstance(target, ast.Tuple):
        return any(_is_laid_anew(each, is_it) for each in target.elts)
    return is_it(
        target.value if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Slice) else target
    )


def _file_of(kind: type) -> str | None:
    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None)
    return file if isinstance(file, str) else None


def _tree(file: str) -> ast.Module | None:
    try:
        return ast.parse(Path(file).read_text(encoding="utf-8", errors="replace"))
    except (OSError, SyntaxError, ValueError):
        return None
