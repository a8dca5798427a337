from __future__ import annotations

import ast
from pathlib import Path

from hfmemdebug.inject import __file__ as inject


def test_it_is_written_as_every_python_can_read_it() -> None:
    # Python 2 and early 3 start with it too, and would tell the program's users that it failed.
    tree = ast.parse(Path(inject).with_name("sitecustomize.py").read_text())
    newer = (ast.JoinedStr, ast.AnnAssign, ast.AsyncFunctionDef, ast.NamedExpr, ast.Match)
    assert [node for node in ast.walk(tree) if isinstance(node, newer)] == []
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert functions
    for function in functions:
        assert function.returns is None
        assert [a for a in ast.walk(function.args) if isinstance(a, ast.arg) and a.annotation] == []
