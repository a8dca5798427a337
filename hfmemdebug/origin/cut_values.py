"""Texts and arrays that functions cut to a length, in variables of their own or in objects, told by the code alone.

When such a function has returned, nobody can ask any more how long they were.

`run` takes this module into somebody else's program: CPython 3.8 and the standard library are all it has.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from .emptying import has_a_name, is_length, test_of, test_of_local
from .guards import cuts_elsewhere, guards_beside
from .numbers_in_code import (
    CONSTRUCTORS,
    FUNCTION,
    assigned_in,
    called,
    functions_in,
    is_name,
    number,
)
from .pieces import Piece
from .source import filling
from .variables import looked_into, makes_one, smallest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from .emptying import Test
    from .variables import Bound, Code, Function

_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_FILES_IN_MEMORY = frozenset({"BytesIO", "StringIO"})
_MOST_OF_A_LETTER, _MOST_OF_A_ROW = 4, 1024


def values_to_cut(
    file: str, running: Collection[tuple[str, int]], until: float
) -> Iterator[tuple[str, int, int]]:
    """What grows from step to step and is cut: ```log` in main, bounded to 5,000 (train.py:12)``.

    Args:
        file: A file of the program's.
        running: The functions of it that ran shortly before, by name and first line.
        until: By `time.perf_counter`: what has not been looked at by then is left out.

    Yields:
        What it is, its length at most, and how many bytes a letter or a row of it takes at most.
    """
    for name, code, words, length in looked_into(file, running, until, _values_in):
        yield words, length, _most_of_one(name, code)


def _values_in(code: Code, tree: ast.Module, file: str) -> Iterator[tuple[str, Bound | None]]:
    for name in _cut_or_measured(code):
        if isinstance(code, ast.ClassDef):
            yield name, _of_an_attribute(name, code, tree, file)
        else:
            yield name, _of_a_variable(name, code, tree, file)


def _cut_or_measured(code: ast.AST) -> list[str]:
    """Variables and attributes that are given a slice, or what is made of themselves, or asked for their lengths.

    Of most functions there are few, and each that is looked into takes a walk through the whole file.
    """
    found: set[str] = set()
    for node in ast.walk(code):
        if isinstance(node, ast.Assign):
            made_of = list(ast.walk(node.value))
            given = {_last_name(target) for target in node.targets}
            if any(isinstance(each, ast.Slice) for each in made_of):
                found |= given
            elif isinstance(node.value, ast.Call):
                found |= given & {_last_name(each) for each in made_of}
        elif isinstance(node, ast.Delete):
            found |= {_last_name(t.value) for t in node.targets if isinstance(t, ast.Subscript)}
        elif isinstance(node, ast.Call) and is_length(node, has_a_name):
            found.add(_last_name(node.args[0] if node.args else node.func.value))  # type: ignore[attr-defined]
    containers = {_last_name(target) for target, value in assigned_in(code) if makes_one(value)}
    return sorted(found - containers - {""})


def _last_name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _most_of_one(name: str, code: ast.AST) -> int:
    """Of a text each letter; of what else it may be nobody knows."""
    for target, value in assigned_in(code):
        if _last_name(target) == name:
            text = isinstance(value, ast.Constant) and type(value.value) in (str, bytes)
            if text or (isinstance(value, ast.Call) and called(value) in _FILES_IN_MEMORY):
                return _MOST_OF_A_LETTER
    return _MOST_OF_A_ROW


def _of_a_variable(name: str, function: Function, tree: ast.Module, file: str) -> Bound | None:
    piece = Piece(file, tree, test_of_local(name, function, tree), frozenset())
    adds = _adding(function, piece.is_it)
    if not adds or _is_made_anew(name, function):
        return None
    again = [
        node for node in ast.walk(function) if isinstance(node, (*_LOOPS, *FUNCTION)) and node is not function
    ]
    found = [
        (size, guard.line)
        for guard in (*guards_beside(function, piece, adds), *cuts_elsewhere(adds, piece))
        # What is cut before, or after all, was as long as it got.
        if guard.function is not function
        or any(_has(each, [guard.line, *(a.lineno for a in adds)]) for each in again)
        if guard.measure is None and (size := number(guard.limit, [], tree, guard.function, file)) is not None
    ]
    return min(found, default=None)


def _of_an_attribute(name: str, kind: ast.ClassDef, tree: ast.Module, file: str) -> Bound | None:
    """As far as each method that adds to it cuts it too."""
    methods = [each for each in kind.body if isinstance(each, FUNCTION) and each.name not in CONSTRUCTORS]
    others = frozenset(id(f) for f in functions_in(tree)) - {id(method) for method in methods}
    piece = Piece(file, tree, test_of(name, tree, inside=True, depth=0), others)
    adding = [(method, _adding(method, piece.is_it)) for method in methods]
    found = [
        smallest(guards_beside(method, piece, adds), kind, tree, file) for method, adds in adding if adds
    ]
    return max((each for each in found if each is not None), default=None) if None not in found else None


def _adding(code: ast.AST, is_it: Test) -> list[ast.stmt | ast.expr]:
    """What makes it longer, itself or by making it anew of itself and more."""
    found: list[ast.stmt | ast.expr] = [
        # What is put at a place that an array has makes it no longer.
        node
        for node in filling(code, is_it)
        if not isinstance(node, ast.Assign)
    ]
    for node in ast.walk(code):
        if isinstance(node, ast.Assign) and any(map(is_it, node.targets)):
            value: ast.expr = node.value
            while isinstance(value, ast.Subscript):
                value = value.value
            if not is_it(value) and any(map(is_it, ast.walk(value))):
                found.append(node)
        elif (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "write"
        ) and is_it(node.func.value):
            found.append(node)
    return found


def _is_made_anew(name: str, function: Function) -> bool:
    """Whether each turn of a loop gives the variable something else, which takes what it had with it."""
    for loop in (node for node in ast.walk(function) if isinstance(node, _LOOPS)):
        if not isinstance(loop, ast.While) and any(is_name(node, name) for node in ast.walk(loop.target)):
            return True
        waiting = list(loop.body)
        while waiting:
            statement = waiting.pop()
            if isinstance(statement, (ast.With, ast.AsyncWith, ast.Try)):
                waiting += statement.body
            elif isinstance(statement, ast.Assign):
                given = any(is_name(target, name) for target in statement.targets)
                if given and not any(is_name(node, name) for node in ast.walk(statement.value)):
                    return True
    return False


def _has(around: ast.AST, lines: list[int]) -> bool:
    """Whether all the lines are within a statement."""
    first, last = around.lineno, around.end_lineno  # type: ignore[attr-defined]
    return all(first <= line <= last for line in lines)
