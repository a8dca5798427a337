from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hfmemdebug.recording.file import RecordingWriter
from hfmemdebug.recording.header import ArmInfo, Header, Launch, Workload
from hfmemdebug.recording.ranks import is_folder, rank_file, ranks_of, single_file

LAUNCH = Launch(rank=3, world=16, node=1, place="ab", began=1.5)


def test_names_sort_by_rank_and_name_the_node_by_its_number(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "ranks"
    names = [rank_file(folder, rank, world=16, node=1, restart=0).name for rank in (3, 12)]
    assert names == ["rank-03.node-1.jsonl", "rank-12.node-1.jsonl"]
    assert rank_file(folder, 3, world=None, node=None, restart=2).name == "rank-3.restart-2.jsonl"
    assert folder.is_dir()


def test_processes_without_a_rank_do_not_take_each_others_file(tmp_path: Path) -> None:
    assert [single_file(tmp_path).name for _ in range(3)] == [
        "program.jsonl",
        "program-2.jsonl",
        "program-3.jsonl",
    ]


def test_what_a_folder_is(tmp_path: Path) -> None:
    assert is_folder(tmp_path)
    assert is_folder("not-there-yet/")
    assert not is_folder("run.jsonl")


@pytest.mark.parametrize(
    "damage",
    [{"rank": "3"}, {"rank": -1}, {"rank": None}, {"world": 10**12}, {"node": "host"}, {"began": "then"}],
)
def test_a_header_that_is_not_ours_is_no_ranks(tmp_path: Path, damage: dict[str, Any]) -> None:
    whole, damaged, other = (tmp_path / f"{name}.jsonl" for name in ("whole", "damaged", "other"))
    header = Header("watch", ArmInfo("program", "program", consumer=True), Workload(), launch=LAUNCH)
    with RecordingWriter(whole) as writer:
        writer.header(header)
    line = json.loads(whole.read_text())
    damaged.write_text(json.dumps({**line, "launch": {**line["launch"], **damage}}))
    other.write_text(json.dumps([1]))
    assert ranks_of([whole, damaged, other, tmp_path / "missing.jsonl"]) == [whole]
