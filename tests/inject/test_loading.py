"""What a watched program loads: CPython 3.8 and the standard library are all that there is."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import hfmemdebug

PACKAGE = Path(hfmemdebug.__file__).parent
INJECT = sorted((PACKAGE / "inject").glob("*.py"))


def loaded() -> list[str]:
    """The modules that the sampler and what it imports ask `load` for."""
    return sorted(
        {
            argument.value
            for path in INJECT
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "load"
            for argument in node.args
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
        }
    )


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """How many dots, and what follows them, of each import that runs."""
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))
    for_checkers = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", None) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in for_checkers:
            continue
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.level, node.module
            if node.module == "inject":
                yield from ((node.level, f"inject.{alias.name}") for alias in node.names)


def file_of(name: str) -> Path:
    path = PACKAGE.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def test_what_is_loaded_imports_each_other_relatively_and_else_the_standard_library() -> None:
    assert "origin.trace_program" in loaded()
    seen, waiting = set(INJECT), [file_of(name) for name in loaded()]
    while waiting:
        path = waiting.pop()
        seen.add(path)
        room = path.relative_to(PACKAGE).parts[:-1]
        for dots, name in imports(path):
            if dots:
                begin = room[: len(room) - dots + 1]
                found = file_of(".".join([*begin, name]))
                waiting += [found] if found not in seen else []
    absolute = {name.partition(".")[0] for path in seen for dots, name in imports(path) if not dots}
    own = {path.stem for path in INJECT}
    assert absolute - own <= sys.stdlib_module_names
    assert PACKAGE / "leak.py" in seen


def oldest() -> str | None:
    """A CPython 3.8, of pyenv or on the path."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    here = [str(path) for path in sorted(root.glob("versions/3.8.*/bin/python"))]
    # First pyenv's: its command on the path may be of a version that is not chosen.
    return here[0] if here else shutil.which("python3.8")


@pytest.mark.parametrize("python", [sys.executable, oldest()], ids=["this Python", "CPython 3.8"])
def test_it_is_loaded_beside_an_hfmemdebug_of_the_programs_own(tmp_path: Path, python: str | None) -> None:
    if python is None:
        pytest.skip("no CPython 3.8 here")
    (tmp_path / "hfmemdebug.py").write_text("raise RuntimeError('the program did not ask for it')\n")
    code = (
        "import sys\nsys.path[:0] = sys.argv[1:3]\nimport _hfmemdebug_sampler\nfrom _hfmemdebug_common import load\n"
        "for name in sys.argv[3:]:\n    load(name)\nprint('hfmemdebug' in sys.modules, sorted(sys.modules))\n"
    )
    command = [python, "-S", "-c", code, str(PACKAGE / "inject"), str(tmp_path), *loaded()]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("False ")
    assert "'_hfmemdebug.origin.trace_program'" in done.stdout
