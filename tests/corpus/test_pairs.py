"""Clean loops five times each, and the smallest leaks: `clean.py` and `sensitivity.py` do as many as are wanted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from corpus.clean import KINDS, Repetition, repeat, table
from corpus.pair import build_datasets, missing, read_lines
from corpus.sensitivity import CASES, attempt


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    build_datasets(folder)
    return folder


@pytest.fixture
def uncovered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Coverage's own data would grow in the arms."""
    for name in os.environ:
        if name.startswith("COVERAGE_PROCESS"):
            monkeypatch.delenv(name)


@pytest.mark.usefixtures("uncovered")
@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.torch] if kind == "torch" else []) for kind in KINDS]
)
def test_a_clean_loop_is_no_leak(kind: str, number: int, datasets: Path, tmp_path: Path) -> None:
    repetition = repeat(kind, datasets, tmp_path)
    # Whatever else runs on a machine may leave it open, for files in /dev/shm are everybody's.
    assert repetition.verdict == "no-leak" or "/dev/shm" in repetition.summary, repetition.summary


@pytest.mark.usefixtures("uncovered")
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.within is not None])
def test_a_leak_of_64_bytes_a_slice_is_found(name: str, datasets: Path, tmp_path: Path) -> None:
    found = attempt(name, datasets, tmp_path)
    assert found.verdict == "leak", found.summary
    within = CASES[name].within
    assert within is not None and found.slices <= within


def test_the_table_counts_and_names_what_is_not_clean() -> None:
    repetitions = [
        Repetition("mapped", "no-leak", None, "fine", 32.0, 150, 4.0),
        Repetition("mapped", "leak", "native-heap", "it leaks", 32.0, 150, 4.0),
    ]
    lines = table(repetitions).splitlines()
    assert lines[1].split()[:5] == ["mapped", "2", "1", "0", "1"]
    assert lines[-1] == "mapped: leak: it leaks"


def test_a_second_call_goes_on_where_the_first_one_ended(tmp_path: Path) -> None:
    file = tmp_path / "clean.jsonl"
    file.write_text('{"kind": "mapped"}\n{"kind": "arrow"}\n{"kind": "mapp', encoding="utf-8")
    done = [line["kind"] for line in read_lines(file)]
    assert list(missing(["mapped", "varying", "arrow"], 2, done)) == ["varying", "mapped", "varying", "arrow"]
