from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import hfmemdebug

HEAVY = ("datasets", "pyarrow", "torch", "numpy", "pandas", "psutil", "rich", "typer", "huggingface_hub")


def test_importing_it_costs_none_of_the_heavy_imports() -> None:
    program = f"import sys, hfmemdebug; print([n for n in {HEAVY!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_public_name_is_there() -> None:
    for name in hfmemdebug.__all__:
        assert getattr(hfmemdebug, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        hfmemdebug.no_such_name  # noqa: B018


def test_it_is_typed() -> None:
    assert (Path(hfmemdebug.__file__).parent / "py.typed").exists()
