"""Five clean repetitions of each kind: `clean.py` runs as many as are wanted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from corpus.clean import KINDS, Repetition, repeat, table
from corpus.pair import build_datasets, missing, read_lines


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    build_datasets(folder)
    return folder


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.torch] if kind == "torch" else []) for kind in KINDS]
)
def test_a_clean_loop_is_no_leak(
    kind: str, number: int, datasets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in os.environ:
        # Coverage's own data would grow in the arms.
        if name.startswith("COVERAGE_PROCESS"):
            monkeypatch.delenv(name)
    repetition = repeat(kind, datasets, tmp_path)
    # Whatever else runs on a machine may leave it open, for files in /dev/shm are everybody's.
    assert repetition.verdict == "no-leak" or "/dev/shm" in repetition.summary, repetition.summary


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
