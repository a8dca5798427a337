"""Bounds of what functions have had in variables of their own, and in objects there, told by the code alone.

When such a function has returned, nobody can ask any more how full they were.

`run` takes this module into somebody else's program: CPython 3.8 and the standard library are all it has.
"""

from __future__ import annotations

import ast
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .emptying import has_a_name, is_length, test_of, test_of_local
from .guards import cuts, guards_beside
from .numbers_in_code import (
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
from .sites import filling

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from .guards import Guard

    Function = ast.FunctionDef | ast.AsyncFunctionDef
    # A number, and the line that says so.
    Bound = tuple[int, int]

_MAKERS = frozenset({"dict", "list", "set", "OrderedDict", "defaultdict", "Counter", "deque"})
_MOST_OF_A_LETTER, _MOST_OF_A_ROW = 4, 1024
# Of texts and arrays.
_VALUE_MAKERS = frozenset(
    {"str", "bytes", "bytearray", "empty", "zeros", "ones", "full", "array", "asarray", "tensor", "arange"}
)
_FILES_IN_MEMORY = frozenset({"BytesIO", "StringIO"})


def bounded_variables(
    file: str, running: Collection[tuple[str, int]], until: float
) -> Iterator[tuple[str, int]]:
    """What holds at most so much: ```texts` in main, bounded to 5,000 (train.py:12)``, and the number.

    Args:
        file: A file of the program's.
        running: The functions of it that ran shortly before, by name and first line.
        until: By `time.perf_counter`: what has not been looked at by then is left out.
    """
    for words, size, _ in _bounded_in(file, running, _makes_one, until):
        yield words, size


def values_to_cut(
    file: str, running: Collection[tuple[str, int]], until: float
) -> Iterator[tuple[str, int, int]]:
    """As above, of texts and arrays: what it is, its length at most, and what a letter or a row takes at most."""
    for words, length, made in _bounded_in(file, running, _makes_a_value, until):
        yield words, length, _MOST_OF_A_LETTER if _is_text(made) else _MOST_OF_A_ROW


def _bounded_in(
    file: str, running: Collection[tuple[str, int]], makes: Callable[[ast.expr], bool], until: float
) -> Iterator[tuple[str, int, ast.expr]]:
    """What it is, the number, and what has made it; arguments as above, and what tells that."""
    tree = users_tree(file)
    if tree is None:
        return
    functions = [each for each in functions_in(tree) if (each.name, first_line(each)) in running]
    for function in functions:
        for name, made in _made_in(function, makes):
            if time.perf_counter() > until:
                return
            bound = _of_a_deque(made, tree, function, file) or _in_the_code(name, tree, function, file)
            if bound is not None:
                yield *_in_words(f"`{name}` in {function.name}", bound, file), made
    for kind, code, place in _classes_in(functions, tree, file):
        for name, bound, made in _of_attributes(kind, code, place, makes, until):
            yield *_in_words(f"`{name}` of a {kind.name}", bound, place), made


def _in_words(what: str, bound: Bound, file: str) -> tuple[str, int]:
    size, line = bound
    return f"{what}, bounded to {size:,} ({Path(file).name}:{line})", size


def _made_in(function: Function, makes: Callable[[ast.expr], bool]) -> Iterator[tuple[str, ast.expr]]:
    """The variables that a function gives something new of some kind, and what makes that."""
    seen: set[str] = set()
    cut = _cut_or_measured(function) if makes is _makes_a_value else None
    for target, value in assigned_in(function):
        if makes(value) and isinstance(target, ast.Name) and target.id not in seen:
            if cut is not None and target.id not in cut:
                continue
            seen.add(target.id)
            yield target.id, value


def _cut_or_measured(code: ast.AST) -> set[str]:
    """Variables and attributes that are given a slice of something, or asked for their lengths.

    Of most functions there are few, and each that is looked into takes a walk through the whole file.
    """
    found: set[str] = set()
    for node in ast.walk(code):
        if isinstance(node, ast.Assign):
            if any(isinstance(each, ast.Slice) for each in ast.walk(node.value)):
                found |= {_last_name(target) for target in node.targets}
        elif isinstance(node, ast.Delete):
            found |= {_last_name(t.value) for t in node.targets if isinstance(t, ast.Subscript)}
        elif isinstance(node, ast.Call) and is_length(node, has_a_name):
            found.add(_last_name(node.args[0] if node.args else node.func.value))  # type: ignore[attr-defined]
    return found


def _last_name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _makes_one(value: ast.expr) -> bool:
    """Whether an expression makes a container."""
    displayed = isinstance(value, (ast.Dict, ast.List, ast.Set))
    return displayed or (isinstance(value, ast.Call) and called(value) in _MAKERS)


def _makes_a_value(value: ast.expr) -> bool:
    """Whether an expression may make a text or an array, or stands for one that there is not yet."""
    if isinstance(value, ast.Constant):
        return value.value is None or type(value.value) in (str, bytes)
    if isinstance(value, ast.Subscript):
        return isinstance(value.slice, ast.Slice)
    return isinstance(value, ast.Call) and called(value) in _VALUE_MAKERS | _FILES_IN_MEMORY


def _is_text(value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        return called(value) in _FILES_IN_MEMORY
    return isinstance(value, ast.Constant) and value.value is not None


def _of_a_deque(made: ast.expr, tree: ast.Module, function: Function, file: str) -> Bound | None:
    if not isinstance(made, ast.Call) or called(made) != "deque":
        return None
    given = [*made.args[1:], *(word.value for word in made.keywords if word.arg == "maxlen")]
    size = number(given[0], [], tree, function, file) if given else None
    return (size, made.lineno) if size is not None else None


def _in_the_code(name: str, tree: ast.Module, function: Function, file: str) -> Bound | None:
    piece = Piece(file, tree, test_of_local(name, function, tree), frozenset())
    fills: list[ast.stmt | ast.expr] = list(filling(function, piece.is_it))
    found = [
        (size, guard.line)
        for guard in guards_beside(function, piece, fills)
        # Where nothing puts something in, it is made anew: what only keeps more from coming has kept nothing from it.
        if guard.measure is None
        and (fills or guard.takes)
        and (size := number(guard.limit, [], tree, guard.function, file)) is not None
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


def _of_attributes(
    kind: ast.ClassDef, tree: ast.Module, file: str, makes: Callable[[ast.expr], bool], until: float
) -> Iterator[tuple[str, Bound, ast.expr]]:
    """What of some kind a class gives its objects, as far as each method that fills one bounds it."""
    methods = [each for each in kind.body if isinstance(each, FUNCTION)]
    others = frozenset(id(f) for f in functions_in(tree)) - {id(method) for method in methods}
    made: dict[str, tuple[ast.expr, Function]] = {}
    for method in methods:
        for target, value in assigned_in(method):
            if isinstance(target, ast.Attribute) and makes(value):
                made.setdefault(target.attr, (value, method))
    cut = _cut_or_measured(kind) if makes is _makes_a_value else made.keys()
    for name, (value, maker) in made.items():
        if name not in cut or time.perf_counter() > until:
            continue
        bound = _of_a_deque(value, tree, maker, file)
        piece = Piece(file, tree, test_of(name, tree, inside=True, depth=0), others)
        fills: list[ast.stmt | ast.expr] = list(filling(kind, piece.is_it))
        filled = [
            m for m in methods if any(m.lineno <= f.lineno <= (m.end_lineno or m.lineno) for f in fills)
        ]
        filled = filled or [m for m in methods if any(cuts(m, m.body, piece.is_it, []))]
        found = [_smallest(guards_beside(method, piece, fills), kind, tree, file) for method in filled]
        if bound is None and found and None not in found:
            bound = max(each for each in found if each is not None)
        if bound is not None:
            yield name, bound, value


def _smallest(found: Iterator[Guard], kind: ast.ClassDef, tree: ast.Module, file: str) -> Bound | None:
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
