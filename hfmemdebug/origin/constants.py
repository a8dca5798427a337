"""Texts that stand in somebody's source code, and so are none of their data."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=64)
def string_constants(file: str) -> frozenset[str]:
    """The string constants of a Python file, each with its first line; empty where it cannot be read."""
    try:
        tree = ast.parse(Path(file).read_text(encoding="utf-8", errors="replace"))
    except (OSError, SyntaxError, ValueError):
        return frozenset()
    texts = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return frozenset(texts) | {text.partition("\n")[0] for text in texts}
