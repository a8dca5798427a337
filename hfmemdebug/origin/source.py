"""Reads the user's source code: functions around lines, lines that fill a container, texts that stand in it.

`run` takes this module into the program that it watches: CPython 3.8 and the standard library are all it has.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

_GROWING_CALLS = frozenset(
    ("append", "appendleft", "add", "extend", "insert", "update", "setdefault", "put", "put_nowait", "__setitem__",
     "write", "writelines")
)  # fmt: skip


def tree_of(file: str) -> ast.Module | None:
    """Parses a Python file; None where it cannot be read."""
    with warnings.catch_warnings():
        # Of its backslashes the program was told when it was compiled.
        warnings.simplefilter("ignore")
        try:
            return ast.parse(Path(file).read_text(encoding="utf-8", errors="replace"))
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            return None


@lru_cache(maxsize=64)
def string_constants(file: str) -> frozenset[str]:
    """Returns the string constants of a Python file, each with its first line; empty where it cannot be read."""
    tree = tree_of(file)
    if tree is None:
        return frozenset()
    texts = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return frozenset(texts) | {text.partition("\n")[0] for text in texts}


def function_at(file: str, line: int) -> str | None:
    """Returns the innermost function around a line; None at module level or where the source cannot be read."""
    around = [
        (node.lineno, name)
        for node, name in _functions(file)
        if node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    return max(around, key=lambda each: each[0])[1] if around else None


@lru_cache(maxsize=16)
def _functions(file: str) -> list[tuple[ast.FunctionDef | ast.AsyncFunctionDef, str]]:
    tree = tree_of(file)
    if tree is None:
        return []
    found: list[tuple[ast.FunctionDef | ast.AsyncFunctionDef, str]] = []

    def walk(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            inside = prefix
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                inside = f"{prefix}{child.name}."
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                found.append((child, f"{prefix}{child.name}"))
            walk(child, inside)

    walk(tree, "")
    return found


def lines_that_fill(file: str, name: str) -> list[int]:
    """Returns the lines of a file that put something into the container of a name: ``name[…] = …``."""
    tree = tree_of(file)
    if tree is None:
        return []

    def is_it(node: ast.AST) -> bool:
        return (isinstance(node, ast.Name) and node.id == name) or (
            isinstance(node, ast.Attribute) and node.attr == name
        )

    return sorted({node.lineno for node in filling(tree, is_it)})


def filling(tree: ast.AST, is_it: Callable[[ast.AST], bool]) -> list[ast.Call | ast.Assign | ast.AugAssign]:
    """Returns the statements and calls that put something into the container that the function knows."""
    found: list[ast.Call | ast.Assign | ast.AugAssign] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Attribute) and called.attr in _GROWING_CALLS and is_it(called.value):
                found.append(node)
        elif isinstance(node, ast.Assign):
            if any(isinstance(t, ast.Subscript) and is_it(t.value) for t in node.targets):
                found.append(node)
        elif isinstance(node, ast.AugAssign) and is_it(node.target):
            found.append(node)
    return found
