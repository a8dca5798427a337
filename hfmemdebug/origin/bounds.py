"""Bounds that code sets itself: ``if len(cache) > 5000: cache.popitem()``, as a deque has its maxlen.

A container that is below such a bound grows as a leak does, and is none. Only a bound whose number is known counts,
and only while it is not reached: what has grown past it is not kept by it.

`run` takes this module into somebody else's program: CPython 3.8 and the standard library are all it has.
"""

from __future__ import annotations

import ast
from collections import deque
from functools import partial
from typing import Any

from ..leak import Bound, Line, Root, RootPath, Step
from .containers import size_of
from .global_values import ARRAYS, FILES_IN_MEMORY, entries_of
from .guards import guards, guards_beside
from .numbers_in_code import (
    CONSTRUCTORS,
    FUNCTION,
    attribute,
    called,
    functions_in,
    is_name,
    number,
    own_dictionary,
    owners_of,
    plain,
    value_at,
    value_of,
)
from .pieces import Piece, file_of, pieces_of, users_tree
from .sites import is_library
from .source import filling

# What classes call the number of their entries: queues and cachetools, Jinja and SQLAlchemy, boltons.
_LIMITS = frozenset({"maxsize", "max_size", "capacity", "max_entries", "max_items"})
# What stands for none, as in a queue of `multiprocessing`.
_NO_LIMIT = (1 << 31) - 1
_WITH_A_LENGTH = (*ARRAYS, "pandas")
_TABLES = frozenset({"ndarray", "Tensor", "Parameter", "Table", "RecordBatch", "DataFrame", "Series"})
# And what is made anew to become longer.
_TEXTS = (str, bytes, bytearray, tuple)
_FILLING_CALLS = frozenset({"heappush", "insort", "insort_left", "insort_right"})


def bound_of(thing: Any, path: RootPath) -> Bound | None:
    """Returns the bound that a container has and has not reached; None where there is none, or it is not known.

    Args:
        thing: The container.
        path: The way to it.
    """
    size = size_of(thing)
    if size is None:
        return None
    found = _of_a_library(thing) or _in_its_class(thing) or _beside_its_lines(thing, path, size)
    if found is None and [step.kind for step in path.steps[:2]] == ["name", "attribute"]:
        # What a table has inside is bounded as the table is.
        return bound_of_value(path.steps[:1], path.file)
    return found if found is not None and found.capacity > size else None


def bound_of_value(steps: tuple[Step, ...], file: str | None) -> Bound | None:
    """Returns the bound of what a module has under a name, where that is an array, a table or a text.

    Args:
        steps: The name, perhaps with attributes behind it, and with keys behind those: then the longest entry counts.
        file: The module's.
    """
    if file is None or is_library(file):
        return None
    path = RootPath(Root("module"), steps, "", file)
    value = value_at(path.named_steps, file)
    for _ in range(path.entry_depth):
        value = max((e for e in entries_of(value) if length_of(e) is not None), key=length_of, default=None)  # type: ignore[arg-type]
    length = length_of(value)
    if length is None:
        return None
    found = _beside_its_lines(value, path, length)
    return found if found is not None and found.capacity > length else None


def length_of(value: Any) -> int | None:
    """Returns how long a text, an array or a table is; None for anything else."""
    kind = type(value)
    name = kind.__name__
    known = kind.__module__.partition(".")[0] in _WITH_A_LENGTH and (
        name in _TABLES or name.endswith("Array")
    )
    if kind in _TEXTS or known or kind in FILES_IN_MEMORY:
        try:
            return value.tell() if kind in FILES_IN_MEMORY else len(value)
        except Exception:
            # An array of no dimensions, a file that is closed.
            return None
    return None


def _of_a_library(thing: Any) -> Bound | None:
    """The ``maxsize`` of an installed class around it, or of its own."""
    for owner in (thing, *owners_of(thing)):
        file = file_of(type(owner))
        if file is not None and is_library(file):
            # Most keep it to themselves, and show it as a property (``_Cache__maxsize``).
            own = [name for name in own_dictionary(owner) or () if _plainly(name) in _LIMITS]
            for name in (*own, *_LIMITS):
                size = plain(attribute(owner, name))
                if size is not None and 0 < size < _NO_LIMIT:
                    return Bound(size)
    return None


def _plainly(name: str) -> str:
    """An attribute's name without what makes it private."""
    return name.rpartition("__")[2].lstrip("_")


def _in_its_class(thing: Any) -> Bound | None:
    """A subclass of dict that looks at its own length when it is given something."""
    for kind in type(thing).__mro__:
        file = file_of(kind)
        tree = users_tree(file)
        if tree is None or file is None:
            continue
        for node in ast.walk(tree):
            methods = node.body if isinstance(node, ast.ClassDef) and node.name == kind.__name__ else []
            for method in methods:
                if isinstance(method, FUNCTION) and method.args.args:
                    itself = partial(is_name, name=method.args.args[0].arg)
                    for guard in guards(method, Piece(file, tree, itself, frozenset()), []):
                        size = number(guard.limit, [thing], tree, method, file)
                        if size is not None and guard.measure is None:
                            return Bound(size, where=Line(file, guard.line))
    return None


def _beside_its_lines(thing: Any, path: RootPath, length: int) -> Bound | None:
    """A comparison of its length in each of the functions that put something into it."""
    owners = owners_of(thing)
    pieces = pieces_of(path, owners)
    filled = [(piece, _filling(thing, piece)) for piece in pieces]
    found: list[Bound] = []
    for piece, fills in filled:
        functions = _innermost(piece, fills)
        anew = not any(each for _, each in filled)
        if anew:
            # What is made anew of itself and more, or filled by a library, is cut by who has it.
            functions = [
                function
                for function in (*piece.functions, *_loops_outside_of_functions(piece.tree))
                # As it is made, it is cut once.
                if getattr(function, "name", None) not in CONSTRUCTORS
                and any(g.takes for g in guards(function, piece, []))
            ]
        for function in functions:
            bounds = []
            for guard in guards_beside(function, piece, fills):
                if anew and not guard.takes:
                    # Nobody knows what comes behind it.
                    continue
                limit = number(guard.limit, owners, piece.tree, guard.function, piece.file)
                now = length if guard.measure is None else value_of(guard.measure, owners, piece.file)
                # Of bytes there is at least one an item; what never changes measures nothing.
                if limit is not None and now is not None and length <= now < limit:
                    where = Line(piece.file, guard.line)
                    if guard.measure is None:
                        bounds.append(Bound(limit, where=where))
                    else:
                        each = now / length if length else None
                        bounds.append(Bound(limit, _in_words(guard.measure), each, where=where))
            if bounds:
                found.append(bounds[0])
            elif not anew:
                return None
    return max(found, key=lambda bound: bound.capacity, default=None)


def _loops_outside_of_functions(tree: ast.Module) -> list[ast.AST]:
    """What a module does more than once as it is run: as something is made, it is cut once."""
    outside = [s for s in tree.body if not isinstance(s, (*FUNCTION, ast.ClassDef))]
    return [node for s in outside for node in ast.walk(s) if isinstance(node, (ast.For, ast.While))]


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
