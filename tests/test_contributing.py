"""CONTRIBUTING against the checkout: every file, command and symbol that it names exists, where it says."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PACKAGE = ROOT / "hfmemdebug"
NAMED_IN = re.compile(r"((?:`\w+`(?:,|,? and|,? or)? )+)in\s+`([\w./]+\.py)`")
# What stands between backticks and is the name of nothing here.
WORDS = {
    # libraries, and a method
    "datasets", "numpy", "psutil", "pyarrow", "None",
    # extras, and an environment variable
    "HFMEMDEBUG_RUN_DEBUG", "dev", "native", "test",
    # fields of labels, and their values
    "command", "data: own", "process", "rate", "site", "status", "# the leak", "{data}", "{program}", "{python}",
    # options and commands
    "--accept", "--full", "--help", "--json", "--trace", "import hfmemdebug",
}  # fmt: skip


def defined_in(path: Path) -> Iterator[str]:
    """Every name that a file defines: functions, classes and their members, variables and fields."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
            if isinstance(node, ast.ClassDef):
                yield from (f"{node.name}.{name}" for name in _members(node))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _members(node: ast.ClassDef) -> Iterator[str]:
    for part in node.body:
        if isinstance(part, ast.FunctionDef):
            yield part.name
        elif isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
            yield part.target.id


@pytest.fixture(scope="module")
def known() -> set[str]:
    files = [path for folder in (PACKAGE, ROOT / "tests") for path in folder.rglob("*.py")]
    return {name for path in files for name in defined_in(path)} | {
        path.stem for path in PACKAGE.rglob("*") if path.suffix == ".py" or path.is_dir()
    }


def find(name: str) -> list[Path]:
    """The files of a name: from the root of the checkout, or from the package's folder."""
    return [path for base in (ROOT, PACKAGE) for path in base.glob(name.rstrip("/"))]


def named() -> list[str]:
    prose = re.sub(r"^```.*?^```", "", TEXT, flags=re.MULTILINE | re.DOTALL)
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose)]


def is_path(name: str) -> bool:
    return bool(re.fullmatch(r"[\w.*/-]+", name)) and ("/" in name or name.endswith((".py", ".md", ".txt")))


def test_every_name_exists(known: set[str]) -> None:
    unknown = []
    for name in named():
        # A command with its options: `python tests/corpus/replay.py --accept`.
        first = name.split()[0].removeprefix(".venv/bin/")
        if name in WORDS or first == "hfmemdebug":
            continue
        if is_path(name):
            if not find(name):
                unknown.append(name)
        elif re.sub(r"\(.*\)$", "", name) not in known and not is_a_call_of_a_file(name):
            unknown.append(name)
    assert unknown == []


def is_a_call_of_a_file(code: str) -> bool:
    return any(is_path(word) and bool(find(word)) for word in shlex.split(code))


def test_names_that_are_said_to_be_in_a_file_are_there() -> None:
    found = NAMED_IN.findall(" ".join(TEXT.split()))
    assert found
    for names, file in found:
        (path,) = find(file)
        assert set(re.findall(r"`(\w+)`", names)) <= set(defined_in(path)), file


def test_files_in_commands_exist() -> None:
    for block in re.findall(r"^```bash\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            for word in shlex.split(line, comments=True):
                if is_path(word) and not word.startswith(".venv"):
                    assert find(word), line


def test_no_word_is_excused_in_vain() -> None:
    assert sorted(WORDS - set(named())) == []
