"""The style that no linter holds: length of functions and first words of docstrings.

Where a list of exceptions stands here it is exact: an entry that is no longer needed fails too, so that the
lists only get shorter.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "hfmemdebug"

MOST_LINES = 60
# A longer function says so in its docstring or in the comment above it: "Long because …".
REASON = "Long because "
LONG = {"measure.arm.epoch", "measure.workers.trace_workers"}

# A docstring begins with a verb or a noun of the subject, never with a question.
QUESTIONS = ("What", "Whether", "Who", "Which", "Whose")
# How many docstrings of a room may still do: to be lowered with each that is mended.
ASKING = {"measure": 16, "origin": 32}


def trees() -> Iterator[tuple[str, ast.Module, list[str]]]:
    """Every module: its name, what it parses to, its lines."""
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        yield name.removesuffix(".__init__"), ast.parse(text), text.splitlines()


def _comment_above(lines: list[str], node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1
    above = first
    while above > 0 and lines[above - 1].lstrip().startswith("#"):
        above -= 1
    return "\n".join(lines[above:first])


def test_a_long_function_says_why() -> None:
    long = {
        f"{module}.{node.name}"
        for module, tree, lines in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno + 1 > MOST_LINES
        and REASON not in (ast.get_docstring(node) or "") + _comment_above(lines, node)
    }
    assert long == LONG


def test_no_docstring_begins_with_a_question() -> None:
    asking: dict[str, int] = {}
    for module, tree, _ in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                words = (ast.get_docstring(node) or "-").split()
                if words[0].rstrip(",:") in QUESTIONS:
                    room = module.partition(".")[0]
                    asking[room] = asking.get(room, 0) + 1
    assert {room: count for room, count in asking.items() if count > ASKING.get(room, 0)} == {}
