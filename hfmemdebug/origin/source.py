"""Somebody's source code, and the texts that stand in it and so are none of their data."""

from __future__ import annotations

import ast
import warnings
from functools import lru_cache
from pathlib import Path


def tree_of(file: str) -> ast.Module | None:
    """The code of a Python file; None where it cannot be read."""
    with warnings.catch_warnings():
        # Of its backslashes the program was told when it was compiled.
        warnings.simplefilter("ignore")
        try:
            return ast.parse(Path(file).read_text(encoding="utf-8", errors="replace"))
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            return None


@lru_cache(maxsize=64)
def string_constants(file: str) -> frozenset[str]:
    """The string constants of a Python file, each with its first line; empty where it cannot be read."""
    tree = tree_of(file)
    if tree is None:
        return frozenset()
    texts = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return frozenset(texts) | {text.partition("\n")[0] for text in texts}
