"""Bounds of containers that functions have in variables of their own, or in objects there, told by the code alone.

When such a function has returned, nobody can ask any more how full they were.

`run` takes this module into somebody else's program: CPython 3.8 and the standard library are all it has.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

from .emptying import test_of
from .guards import guards_beside
from .numbers_in_code import FUNCTION, assigned_in, called, functions_in, number
from .pieces import Piece
from .sites import filling

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .guards import Guard

_MAKERS = frozenset({"dict", "list", "set", "OrderedDict", "defaultdict", "Counter", "deque"})


def bounded_variables(tree: ast.Module, file: str) -> Iterator[tuple[str, int]]:
    """What holds at most so much: ```texts` in main, bounded to 5,000 (train.py:12)``, and the number.

    Objects may be anybody's: of each class that bounds an attribute there may have been one.

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
    for kind in ast.walk(tree):
        if isinstance(kind, ast.ClassDef):
            for name, size, line in _of_attributes(kind, tree, file):
                words = "`%s` of a %s, bounded to %s (%s:%d)"
                yield words % (name, kind.name, f"{size:,}", Path(file).name, line), size


def _made_in(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[str, ast.expr]]:
    """The variables that a function gives a new container, and what makes that."""
    seen: set[str] = set()
    for target, value in assigned_in(function):
        if _makes_one(value) and isinstance(target, ast.Name) and target.id not in seen:
            seen.add(target.id)
            yield target.id, value


def _makes_one(value: ast.expr) -> bool:
    """Whether an expression makes a container."""
    displayed = isinstance(value, (ast.Dict, ast.List, ast.Set))
    return displayed or (isinstance(value, ast.Call) and called(value) in _MAKERS)


def _of_a_deque(
    made: ast.expr, tree: ast.Module, function: ast.FunctionDef | ast.AsyncFunctionDef, file: str
) -> tuple[int, int] | None:
    if not isinstance(made, ast.Call) or called(made) != "deque":
        return None
    given = [*made.args[1:], *(word.value for word in made.keywords if word.arg == "maxlen")]
    size = number(given[0], [], tree, function, file) if given else None
    return (size, made.lineno) if size is not None else None


def _of_attributes(kind: ast.ClassDef, tree: ast.Module, file: str) -> Iterator[tuple[str, int, int]]:
    """The containers that a class gives its objects, as far as its methods bound them: name, number, line."""
    methods = [each for each in kind.body if isinstance(each, FUNCTION)]
    others = frozenset(id(f) for f in functions_in(tree)) - {id(method) for method in methods}
    made = {
        target.attr: (value, method)
        for method in methods
        for target, value in assigned_in(method)
        if isinstance(target, ast.Attribute) and _makes_one(value)
    }
    for name, (value, maker) in made.items():
        piece = Piece(file, tree, test_of(name, tree, inside=True, depth=0), others)
        fills: list[ast.stmt | ast.expr] = list(filling(kind, piece.is_it))
        found = [
            (size, guard.line)
            for method in methods
            for guard in guards_beside(method, piece, fills)
            if guard.measure is None and (size := _limit_of(guard, kind, tree, file)) is not None
        ]
        bound = _of_a_deque(value, tree, maker, file) or min(found, default=None)
        if bound is not None:
            yield (name, *bound)


def _limit_of(guard: Guard, kind: ast.ClassDef, tree: ast.Module, file: str) -> int | None:
    """A number, also where it is an attribute: what the constructor is given for that, or takes where it is not."""
    size = number(guard.limit, [], tree, guard.function, file)
    if size is not None or not isinstance(guard.limit, ast.Attribute):
        return size
    for maker in (each for each in kind.body if isinstance(each, FUNCTION) and each.name == "__init__"):
        for target, value in assigned_in(maker):
            if isinstance(target, ast.Attribute) and target.attr == guard.limit.attr:
                given = _given_for(value.id, maker, kind, tree) if isinstance(value, ast.Name) else [value]
                sizes = [number(each, [], tree, maker, file) for each in given]
                return max((each for each in sizes if each is not None), default=None)
    return None


def _given_for(
    name: str, maker: ast.FunctionDef | ast.AsyncFunctionDef, kind: ast.ClassDef, tree: ast.Module
) -> list[ast.expr]:
    """What a class is called with for an argument of its constructor, and what that is by default."""
    names = [each.arg for each in maker.args.args]
    defaults = {names[-place]: value for place, value in enumerate(reversed(maker.args.defaults), 1)}
    for place, word in enumerate(maker.args.kwonlyargs):
        value = maker.args.kw_defaults[place]
        if value is not None:
            defaults[word.arg] = value
    found = [defaults[name]] if name in defaults else []
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and called(call) == kind.name:
            found += [word.value for word in call.keywords if word.arg == name]
            # The first one is the object.
            found += call.args[names.index(name) - 1 :][:1] if name in names[1:] else []
    return found


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
