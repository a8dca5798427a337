"""The recipes: each is in the table, says how it is run, and a short one holds what it claims."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "recipes"
RECIPES = sorted(FOLDER.glob("*.py"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
def test_a_recipe_is_in_the_table_and_says_how_it_is_run(recipe: Path) -> None:
    assert f"[`{recipe.name}`]({recipe.name})" in (FOLDER / "README.md").read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(recipe.read_text(encoding="utf-8"))) or ""
    assert f"python recipes/{recipe.name}" in docstring


def test_what_a_recipe_claims_holds(tmp_path: Path) -> None:
    # CI runs all of them as they are; this is the one that is quick and needs nothing else.
    command = [sys.executable, str(FOLDER / "numpy_load_vs_memmap.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "holds: " in done.stdout
    assert "DOES NOT HOLD" not in done.stdout
    assert not list(tmp_path.iterdir())
