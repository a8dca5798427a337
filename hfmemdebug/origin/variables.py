"""Bounds of containers that functions have in variables of their own, told by the code alone.

When such a function has returned, nobody can ask any more how full they were.

`run` takes this module into somebody else's program: CPython 3.8 and the standard library are all it has.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

from .emptying import test_of
from .guards import guards_beside
from .numbers_in_code import assigned_in, called, functions_in, number
from .pieces import Piece
from .sites import filling

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAKERS = frozenset({"dict", "list", "set", "OrderedDict", "defaultdict", "Counter", "deque"})


def bounded_variables(tree: ast.Module, file: str) -> Iterator[tuple[str, int]]:
    """What holds at most so much: ```texts` in main, bounded to 5,000 (train.py:12)``, and the number.

    Args:
        tree: All code of a file.
        file: Its path; what it compares with is looked up in the module that was made of it.
    """
    for function in functions_in(tree):
        for name, made in _made_in(function):
            bound = _of_a_deque(made, tree, function, file) or _in_the_code(name, tree, function, file)
            if bound is not None:
                size, line = bound
                words = "`%s` in %s, bounded to %s (%s:%d)"
                yield words % (name, function.name, f"{size:,}", Path(file).name, line), size


def _made_in(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[str, ast.expr]]:
    """The variables that a function gives a new container, and what makes that."""
    seen: set[str] = set()
    for target, value in assigned_in(function):
        makes = isinstance(value, (ast.Dict, ast.List, ast.Set)) or (
            isinstance(value, ast.Call) and called(value) in _MAKERS
        )
        if value is not None and makes and isinstance(target, ast.Name) and target.id not in seen:
            seen.add(target.id)
            yield target.id, value


def _of_a_deque(
    made: ast.expr, tree: ast.Module, function: ast.FunctionDef | ast.AsyncFunctionDef, file: str
) -> tuple[int, int] | None:
    if not isinstance(made, ast.Call) or called(made) != "deque":
        return None
    given = [*made.args[1:], *(word.value for word in made.keywords if word.arg == "maxlen")]
    size = number(given[0], [], tree, function, file) if given else None
    return (size, made.lineno) if size is not None else None


def _in_the_code(
    name: str, tree: ast.Module, function: ast.FunctionDef | ast.AsyncFunctionDef, file: str
) -> tuple[int, int] | None:
    piece = Piece(file, tree, test_of(name, tree, inside=False, depth=0), frozenset())
    within = {id(node) for node in ast.walk(function)}
    fills: list[ast.stmt | ast.expr] = [n for n in filling(tree, piece.is_it) if id(n) in within]
    found = [
        (size, guard.line)
        for guard in guards_beside(function, piece, fills)
        if guard.measure is None and (size := number(guard.limit, [], tree, guard.function, file)) is not None
    ]
    return min(found, default=None)
