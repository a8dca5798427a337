"""Iterables of the user's: what FUNC may return, and what is refused in a line."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from hfmemdebug.data.iterables import Items
from hfmemdebug.data.load import is_iterable, load
from hfmemdebug.data.spec import DatasetSpec
from hfmemdebug.errors import HfmemdebugError, InputError, UsageError
from hfmemdebug.user_code import import_target

NAMES = (f"rows_for_a_test_{number}" for number in itertools.count())


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file of the user's, under a name that no other test has imported."""
    monkeypatch.chdir(tmp_path)
    name = next(NAMES)
    Path(f"{name}.py").write_text("def rows(): return [1, 2, 3]\ndef number(): return 3\nlength = 5\n")
    return name


def go(name: str, *, keep_in_memory: bool = False, streaming: bool = True, **more: Any) -> Any:
    spec = DatasetSpec(name, **more)
    assert is_iterable(spec)
    return load(spec, keep_in_memory=keep_in_memory, streaming=streaming, say=lambda line: None)


def test_a_function_of_a_file_and_of_a_module(module: str) -> None:
    for target in (f"{module}.py:rows", f"./{module}.py:rows", f"{module}:rows"):
        items, report = go(target)
        assert list(items.iter(batch_size=1)) == [1, 2, 3]
        assert (report.name, report.rows, report.storage, report.step) == (target, None, "streaming", 1)
        assert report.source == "builtins list"


def test_what_is_returned_is_made_once_and_an_iterator_anew() -> None:
    made = []

    def a_list() -> list[int]:
        made.append("list")
        return [1, 2]

    def a_generator() -> Any:
        made.append("generator")
        yield from (1, 2)

    for function in (a_list, a_generator):
        items = Items(function)
        assert [list(items.iter(1)) for _ in range(2)] == [[1, 2], [1, 2]]
    assert made == ["list", "generator", "generator"]


def test_a_map_style_dataset_ends_by_its_length() -> None:
    class Squares:
        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: int) -> int:
            return index * index

    assert list(Items(Squares).iter(1)) == [0, 1, 4, 9]


def test_two_functions_of_one_file_share_what_it_holds(module: str) -> None:
    modules = [import_target(target)[1] for target in (f"{module}.py:rows", f"./{module}.py:number")]
    assert modules[0] is modules[1]


@pytest.mark.parametrize(
    ("target", "more", "error", "says"),
    [
        (".py:none", {}, InputError, "has no function none. It has: number, rows."),
        (".py:length", {}, InputError, "has no function length"),
        (".py:number", {}, InputError, "number() returned int, which cannot be iterated"),
        (".py:rows", {"split": "train"}, UsageError, "--split means nothing for an iterable of yours"),
        (".py:rows", {"dtype": "float32"}, UsageError, "--dtype and --shape are for files of raw numbers"),
        (".py:rows", {"keep_in_memory": True}, UsageError, "--in-mem means nothing for an iterable of yours"),
        ("_not_there.py:rows", {}, InputError, "there is no file"),
        ("_not_there:rows", {}, InputError, "there is no module"),
    ],
)
def test_what_is_wrong_is_one_line(
    module: str, target: str, more: dict[str, Any], error: type[HfmemdebugError], says: str
) -> None:
    with pytest.raises(error) as caught:
        go(f"{module}{target}", **more)
    assert says in caught.value.line()
    assert "--consumer" not in caught.value.line()


@pytest.mark.parametrize("name", ["wmt19", "user/name", "s3://bucket/x.csv", "data.py", "x.parquet", "a b:f"])
def test_other_names_are_no_iterables(name: str) -> None:
    assert not is_iterable(DatasetSpec(name))


def test_a_file_of_that_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows:v2").write_text("")
    assert not is_iterable(DatasetSpec("rows:v2"))
