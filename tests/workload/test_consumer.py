from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hfmemdebug.errors import InputError, UsageError
from hfmemdebug.user_code import split_target


def load(folder: Path, target: str, *, then: str = "", env: dict[str, str] | None = None) -> str:
    """Loads the consumer in a process of its own, calls it, and says what came out."""
    program = f"""
import sys
# As in an arm: the working directory is not on the path by itself.
sys.path[0:1] = []
import json
from hfmemdebug.errors import HfmemdebugError
from hfmemdebug.workload.consumer import load_consumer
try:
    consumer = load_consumer({target!r})
except HfmemdebugError as error:
    print(type(error).__name__, error.line())
    raise SystemExit
around = [f and f() for f in (consumer.setup, consumer.teardown)]
print(json.dumps([consumer.call({{"n": [1, 2]}}), *around]))
{then}
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, **(env or {})},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


FUNCTIONS = "def f(rows): return sum(rows['n'])\ndef setup(): return 'up'\ndef teardown(): return 'down'\n"


def test_a_file_with_setup_and_teardown(tmp_path: Path) -> None:
    write(tmp_path, {"train.py": FUNCTIONS})
    assert json.loads(load(tmp_path, "train.py:f")) == [3, "up", "down"]
    assert json.loads(load(tmp_path, str(tmp_path / "train.py") + ":f")) == [3, "up", "down"]
    assert json.loads(load(tmp_path, "train:f")) == [3, "up", "down"]


def test_without_setup_and_with_a_name_that_is_no_function(tmp_path: Path) -> None:
    write(tmp_path, {"train.py": "def f(rows): return 1\nsetup = {'lr': 0.1}\n"})
    assert json.loads(load(tmp_path, "train.py:f")) == [1, None, None]


def test_what_lies_beside_the_file_can_be_imported(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "code/train.py": "import helper\nfrom parts import part\ndef f(rows): return helper.g() + part.h()\n",
            "code/helper.py": "def g(): return 1\n",
            "code/parts/part.py": "def h(): return 2\n",
        },
    )
    assert json.loads(load(tmp_path, "code/train.py:f"))[0] == 3


def test_a_module_of_a_package_with_relative_imports(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "pkg/__init__.py": "",
            "pkg/a.py": "from . import b\ndef f(rows): return b.g()\n",
            "pkg/b.py": "def g(): return 9\n",
        },
    )
    assert json.loads(load(tmp_path, "pkg.a:f"))[0] == 9


@pytest.mark.parametrize(
    "name", ["numpy", "queue", "random", "json", "statistics", "datasets", "not-a-name", "os"]
)
def test_a_file_named_like_a_module_does_not_take_its_place(tmp_path: Path, name: str) -> None:
    write(tmp_path, {f"{name}.py": "def f(rows): return 5\n"})
    then = (
        "import numpy, queue, random, json, statistics; queue.Queue(); random.random(); "
        "assert numpy.array([1]).sum() + statistics.mean([1]) == 2"
    )
    assert json.loads(load(tmp_path, f"{name}.py:f", then=then))[0] == 5


def test_the_file_keeps_its_name_also_where_it_is_on_the_path(tmp_path: Path) -> None:
    """Workers that are started anew import the module by its name to find its functions."""
    write(tmp_path, {"train.py": "def f(rows): return __name__\n"})
    assert json.loads(load(tmp_path, "train.py:f"))[0] == "train"
    assert json.loads(load(tmp_path, "train.py:f", env={"PYTHONPATH": str(tmp_path)}))[0] == "train"


def test_a_callable_object_will_do(tmp_path: Path) -> None:
    write(tmp_path, {"train.py": "class F:\n    def __call__(self, rows): return 4\nf = F()\n"})
    assert json.loads(load(tmp_path, "train.py:f"))[0] == 4


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (
            "train.py:nothing",
            "InputError --consumer train.py:nothing: train.py has no function nothing. It has: f",
        ),
        ("train.py:number", "train.py has no function number"),
        ("missing.py:f", "InputError --consumer missing.py:f: there is no file missing.py"),
        ("missing:f", "InputError --consumer missing:f: there is no module missing"),
        ("train.missing:f", "there is no module train.missing"),
        ("folder.py:f", "there is no file folder.py"),
    ],
)
def test_what_is_not_there_is_told_in_a_line(tmp_path: Path, target: str, says: str) -> None:
    write(tmp_path, {"train.py": "def f(rows): pass\nnumber = 5\n", "folder.py/x": ""})
    said = load(tmp_path, target)
    assert says in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "target", ["", "f", "train.py", "train.py:", ":f", "train.py:f()", "./train:f", "a b:f", ".mod:f"]
)
def test_a_target_of_another_form_is_a_usage_error(target: str) -> None:
    with pytest.raises(UsageError, match=r"FILE\.py|module|train\.py:on_batch"):
        split_target(target)


def test_a_file_is_looked_for_before_anything_is_measured(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        split_target(f"{tmp_path}/none.py:f")
    (tmp_path / "with:colon.py").write_text("")
    assert split_target(f"{tmp_path}/with:colon.py:f") == (f"{tmp_path}/with:colon.py", "f")


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import nothing_of_this_name\n", "No module named 'nothing_of_this_name'"),
        ("def f(rows: pass\n", "SyntaxError"),
        ("raise RuntimeError('no database')\n", "no database"),
    ],
)
def test_the_users_own_errors_on_import_are_passed_on(tmp_path: Path, source: str, error: str) -> None:
    write(tmp_path, {"nothing_of_mine.py": source})
    for target in ("nothing_of_mine.py:f", "nothing_of_mine:f"):
        with pytest.raises(AssertionError, match=error):
            load(tmp_path, target)


def test_a_missing_module_that_the_users_module_wants_is_not_called_theirs(tmp_path: Path) -> None:
    write(tmp_path, {"nothing_at_all.py": "import nothing\n"})
    with pytest.raises(AssertionError, match="No module named 'nothing'"):
        load(tmp_path, "nothing_at_all:f")
