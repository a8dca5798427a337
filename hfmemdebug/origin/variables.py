"""Bounds of what functions have had in variables of their own, and in objects there, told by the code alone.

When such a function has returned, nobody can ask any more how full they were.

`run` takes this module into somebody else's program: CPython 3.8 and the standard library are all it has.
"""

from __future__ import annotations

import ast
import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .emptying import test_of, test_of_local
from .guards import cuts, guards_beside
from .numbers_in_code import (
    CONSTRUCTORS,
    FUNCTION,
    assigned_in,
    called,
    first_line,
    functions_in,
    is_set_once,
    number,
    value_in_module,
)
from .pieces import Piece, file_of, users_tree
from .source import filling

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from .guards import Guard

    Function = ast.FunctionDef | ast.AsyncFunctionDef
    # A number, and the line that says so.
    Bound = tuple[int, int]
    Code = Function | ast.ClassDef
    Look = Callable[[Code, ast.Module, str], Iterable[tuple[str, Bound | None]]]

_MAKERS = frozenset({"dict", "list", "set", "OrderedDict", "defaultdict", "Counter", "deque"})


def bounded_variables(
    file: str, running: Collection[tuple[str, int]], until: float
) -> Iterator[tuple[str, int]]:
    """What holds at most so much: ```texts` in main, bounded to 5,000 (train.py:12)``, and the number.

    Args:
        file: A file of the program's.
        running: The functions of it that ran shortly before, by name and first line.
        until: By `time.perf_counter`: what has not been looked at by then is left out.
    """
    for _, _, words, size in looked_into(file, running, until, _containers_in):
        yield words, size


def looked_into(
    file: str, running: Collection[tuple[str, int]], until: float, look: Look
) -> Iterator[tuple[str, Code, str, int]]:
    """What functions have had in variables of their own, and then in the user's objects that they name.

    Args:
        file: As above.
        running: As above.
        until: As above.
        look: Says of a function or a class, its file's code and the file which names there are, and their bounds.

    Yields:
        Of each that has a bound: its name, whose it is, both with the bound in words, and the number.
    """
    tree = users_tree(file)
    if tree is None:
        return
    functions = [each for each in functions_in(tree) if (each.name, first_line(each)) in running]
    places: Iterator[tuple[Code, ast.Module, str]] = itertools.chain(
        ((function, tree, file) for function in functions), _classes_in(functions, tree, file)
    )
    for code, around, place in places:
        whose = f"of a {code.name}" if isinstance(code, ast.ClassDef) else f"in {code.name}"
        for name, bound in look(code, around, place):
            if time.perf_counter() > until:
                return
            if bound is not None:
                size, line = bound
                words = f"`{name}` {whose}, bounded to {size:,} ({Path(place).name}:{line})"
                yield name, code, words, size


def _made_in(function: Function) -> Iterator[tuple[str, ast.expr]]:
    """The variables that a function gives a new container, and what makes that."""
    seen: set[str] = set()
    for target, value in assigned_in(function):
        if makes_one(value) and isinstance(target, ast.Name) and target.id not in seen:
            seen.add(target.id)
            yield target.id, value


def makes_one(value: ast.expr) -> bool:
    """Whether an expression makes a container."""
    displayed = isinstance(value, (ast.Dict, ast.List, ast.Set))
    return displayed or (isinstance(value, ast.Call) and called(value) in _MAKERS)


def _of_a_deque(made: ast.expr, tree: ast.Module, function: Function, file: str) -> Bound | None:
    if not isinstance(made, ast.Call) or called(made) != "deque":
        return None
    given = [*made.args[1:], *(word.value for word in made.keywords if word.arg == "maxlen")]
    size = number(given[0], [], tree, function, file) if given else None
    return (size, made.lineno) if size is not None else None


def _containers_in(code: Code, tree: ast.Module, file: str) -> Iterator[tuple[str, Bound | None]]:
    if isinstance(code, ast.ClassDef):
        yield from _of_attributes(code, tree, file)
        return
    for name, made in _made_in(code):
        yield name, _of_a_deque(made, tree, code, file) or _in_the_code(name, tree, code, file)


def _in_the_code(name: str, tree: ast.Module, function: Function, file: str) -> Bound | None:
    piece = Piece(file, tree, test_of_local(name, function, tree), frozenset())
    fills: list[ast.stmt | ast.expr] = list(filling(function, piece.is_it))
    found = [
        (size, guard.line)
        for guard in guards_beside(function, piece, fills)
        if guard.measure is None and (size := number(guard.limit, [], tree, guard.function, file)) is not None
    ]
    return min(found, default=None)


def _classes_in(
    functions: list[Function], tree: ast.Module, file: str
) -> Iterator[tuple[ast.ClassDef, ast.Module, str]]:
    """The classes of the user's that some functions name, or are methods of: each with its file's code."""
    methods = {id(each) for each in functions}
    names = {node.id for function in functions for node in ast.walk(function) if isinstance(node, ast.Name)}
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    for kind in classes:
        if kind.name in names or any(id(each) in methods for each in kind.body):
            yield kind, tree, file
    for name in sorted(names - {kind.name for kind in classes}):
        value = value_in_module(name, file)
        elsewhere = file_of(value) if issubclass(type(value), type) else None
        code = users_tree(elsewhere)
        for node in ast.walk(code) if code is not None else ():
            if isinstance(node, ast.ClassDef) and node.name == value.__name__:
                yield node, code, str(elsewhere)  # type: ignore[misc]


def _of_attributes(kind: ast.ClassDef, tree: ast.Module, file: str) -> Iterator[tuple[str, Bound | None]]:
    """The containers that a class gives its objects, as far as each method that fills one bounds it."""
    methods = [each for each in kind.body if isinstance(each, FUNCTION)]
    others = frozenset(id(f) for f in functions_in(tree)) - {id(method) for method in methods}
    made = {
        target.attr: (value, method)
        for method in methods
        for target, value in assigned_in(method)
        if isinstance(target, ast.Attribute) and makes_one(value)
    }
    for name, (value, maker) in made.items():
        bound = _of_a_deque(value, tree, maker, file)
        piece = Piece(file, tree, test_of(name, tree, inside=True, depth=0), others)
        fills: list[ast.stmt | ast.expr] = list(filling(kind, piece.is_it))
        filled = [
            m for m in methods if any(m.lineno <= f.lineno <= (m.end_lineno or m.lineno) for f in fills)
        ]
        filled = filled or [
            m for m in methods if m.name not in CONSTRUCTORS and any(cuts(m, m.body, piece.is_it, []))
        ]
        found = [smallest(guards_beside(method, piece, fills), kind, tree, file) for method in filled]
        if bound is None and found and None not in found:
            bound = max(each for each in found if each is not None)
        yield name, bound


def smallest(found: Iterable[Guard], kind: ast.ClassDef, tree: ast.Module, file: str) -> Bound | None:
    """Of comparisons that methods of a class make, the least number that is known."""
    sizes = [(_limit_of(guard, kind, tree, file), guard.line) for guard in found if guard.measure is None]
    return min(((size, line) for size, line in sizes if size is not None), default=None)


def _limit_of(guard: Guard, kind: ast.ClassDef, tree: ast.Module, file: str) -> int | None:
    """A number, also where it is an attribute: what the constructor is given for that, or takes where it is not."""
    limit = guard.limit
    size = number(limit, [], tree, guard.function, file)
    if size is not None or not isinstance(limit, ast.Attribute) or not is_set_once(tree, limit.attr):
        return size
    for maker in (each for each in kind.body if isinstance(each, FUNCTION) and each.name == "__init__"):
        for target, value in assigned_in(maker):
            if isinstance(target, ast.Attribute) and target.attr == limit.attr:
                given = _given_for(value.id, maker, kind, tree) if isinstance(value, ast.Name) else [value]
                sizes = [number(each, [], tree, maker, file) for each in given]
                known = [size for size in sizes if size is not None]
                return max(known) if known and len(known) == len(sizes) else None
    return None


def _given_for(name: str, maker: Function, kind: ast.ClassDef, tree: ast.Module) -> list[ast.expr]:
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
