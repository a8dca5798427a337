"""What was recorded of every program, judged by the analysis as it is: the net under each change of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from corpus.labels import PROGRAMS, WATCHED, read_labels
from corpus.replay import KINDS, VERDICTS, Replayed, differences, expected, recorded, replay_all

NAMES = recorded()


@pytest.fixture(scope="module")
def replayed() -> dict[str, Replayed]:
    return {each.name: each for each in replay_all(NAMES, os.cpu_count() or 1)}


@pytest.mark.xdist_group("replay")
def test_every_result_is_as_it_was(replayed: dict[str, Replayed]) -> None:
    """`python tests/corpus/replay.py` shows the same, program by program, and `--accept` takes it."""
    changed = {
        name: list(differences(expected().get(name), each.result))[:2]
        for name, each in replayed.items()
        if each.result != expected().get(name)
    }
    assert not changed


@pytest.mark.xdist_group("replay")
def test_no_verdict_is_wrong(replayed: dict[str, Replayed]) -> None:
    assert not [each.line for each in replayed.values() if each.kind == "wrong"]


@pytest.mark.xdist_group("replay")
def test_verdicts_for_people_are_those_of_the_results(replayed: dict[str, Replayed]) -> None:
    assert VERDICTS.read_text(encoding="utf-8").splitlines() == [replayed[name].line for name in NAMES]


def test_every_program_is_recorded() -> None:
    programs = {f"programs/{label.name}" for label in read_labels(PROGRAMS)}
    watched = {f"{kind}/{label.name}" for kind in ("watched", "traced") for label in read_labels(WATCHED)}
    assert programs | watched <= set(NAMES)
    assert set(NAMES) <= programs | watched, "a recording without its program"


def test_recordings_name_no_machine() -> None:
    import lzma

    for kind in KINDS:
        for path in (Path(__file__).parent / "recordings" / kind).glob("*.xz"):
            text = lzma.decompress(path.read_bytes()).decode("utf-8")
            assert "/root/" not in text and "/home/" not in text, path.name
