"""Lines that would take something out of what grows, under a condition that no slice has met yet.

``if used + len(text) > room: items.popitem()``: where the limit is no number that can be read, what grows until it is
met looks as a leak does. Whether the lines were reached, running them tells.
"""

from __future__ import annotations

import ast
import itertools
import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

from ..leak import Line, RootPath
from .emptying import empties, empties_wholly
from .numbers_in_code import called, value_at
from .pieces import Piece, pieces_of

if TYPE_CHECKING:
    from .emptying import Test

# So many slices are read once more.
SLICES = 4
_ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
# What measures; what anything else gives, such as a random number, nobody knows.
_MEASURING = frozenset({"len", "sum", "int", "min", "max", "getsizeof", "time", "monotonic", "perf_counter"})


@dataclass(frozen=True)
class _Condition:
    """The line of a condition, and the lines behind it that take something out."""

    line: int
    behind: frozenset[int]


def unreached_eviction(path: RootPath, walk: Callable[[], Iterator[None]]) -> Line | None:
    """Finds a condition under which something would be taken out of a container, and which no slice met.

    Args:
        path: The way to the container.
        walk: Reads slices, as it is iterated over.
    """
    steps = path.named_steps
    owner = value_at(steps[:-1], path.file) if path.file and steps and steps[-1].kind == "attribute" else None
    conditions = [
        (piece.file, condition)
        # What an entry has is gone with it.
        for depth in range(path.entry_depth, -1, -1)
        for piece in pieces_of(path, [owner] if owner is not None else [], depth=depth)
        for function in piece.functions
        for condition in _conditions(function, piece)
    ]
    if not conditions:
        return None
    reached = _lines_reached(frozenset(of_file for of_file, _ in conditions), walk)
    for of_file, condition in conditions:
        lines = reached[of_file]
        if condition.line in lines and not condition.behind & lines:
            return Line(of_file, condition.line)
    return None


def _conditions(function: ast.AST, piece: Piece) -> Iterator[_Condition]:
    is_it, functions = piece.is_it, piece.by_name
    for node in ast.walk(function):
        if isinstance(node, (ast.If, ast.While)):
            wholly = _is_at_every_so_many(node.test)
            if not wholly and not _measures(node.test, is_it):
                continue
        elif isinstance(node, ast.For):
            # Where what it goes over is empty all the time, nothing is taken out.
            wholly = False
        else:
            continue
        taking = [
            s for s in node.body if (empties_wholly(s, is_it) if wholly else empties(s, is_it, functions))
        ]
        if taking:
            yield _Condition(node.lineno, frozenset(s.lineno for s in taking))


def _measures(test: ast.expr, is_it: Test) -> bool:
    """Whether a test compares something that is measured, and not what it finds in the container itself."""
    for node in ast.walk(test):
        if not (isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], _ORDER)):
            continue
        parts = list(ast.walk(node))
        known = all(called(part) in _MEASURING for part in parts if isinstance(part, ast.Call))
        looks_inside = any(isinstance(part, ast.Subscript) and is_it(part.value) for part in parts)
        named = any(isinstance(part, (ast.Name, ast.Attribute)) for part in parts)
        if known and named and not looks_inside:
            return True
    return False


def _is_at_every_so_many(test: ast.expr) -> bool:
    """``if not step % 1000:``, whatever else must hold."""
    return any(isinstance(n, ast.BinOp) and isinstance(n.op, ast.Mod) for n in ast.walk(test))


def _lines_reached(files: frozenset[str], walk: Callable[[], Iterator[None]]) -> dict[str, set[int]]:
    """The lines of some files that some slices run in this thread."""
    reached: dict[str, set[int]] = {file: set() for file in files}
    ours: dict[CodeType, bool] = {}

    def line(frame: FrameType, event: str, argument: Any) -> Any:
        reached[frame.f_code.co_filename].add(frame.f_lineno)
        return line

    def call(frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        if code not in ours:
            ours[code] = code.co_filename in files
        return line if ours[code] else None

    before = sys.gettrace()
    sys.settrace(call)
    try:
        deque(itertools.islice(walk(), SLICES), maxlen=0)
    finally:
        sys.settrace(before)
    return reached
