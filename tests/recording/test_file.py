from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from hfmemdebug.errors import InputError
from hfmemdebug.recording.end import End
from hfmemdebug.recording.file import LONGEST_LINE, RecordingWriter, load_recording, load_recordings
from hfmemdebug.recording.header import ArmInfo, Header, Workload
from hfmemdebug.recording.sample import ArmSample

HEADER = Header("diagnose", ArmInfo("naïve name", "mmap", consumer=False), Workload(dataset="./ds", step=5))


def sample(index: int) -> ArmSample:
    return ArmSample("slice", 1, index, index * 0.5, rss=index * 4096, anon=0)


def write(path: Path, count: int, *, end: bool = True) -> Path:
    with RecordingWriter(path) as writer:
        writer.header(HEADER)
        for index in range(count):
            writer.sample(sample(index))
        if end:
            writer.end(End("completed"))
    return path


def test_what_was_written_is_read(tmp_path: Path) -> None:
    recording = load_recording(write(tmp_path / "new" / "a.jsonl", 5))
    assert recording.samples == tuple(sample(i) for i in range(5))
    assert recording.slices == recording.samples
    assert recording.header == HEADER
    assert not recording.end.is_missing
    assert recording.end.outcome == "completed"


def test_none_is_left_out_and_zero_is_not(tmp_path: Path) -> None:
    (read,) = load_recording(write(tmp_path / "a.jsonl", 1)).samples
    assert read.anon == 0
    assert read.file is None
    assert "file" not in json.loads((tmp_path / "a.jsonl").read_text().splitlines()[1])


def test_each_line_is_in_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    writer = RecordingWriter(path)
    writer.header(HEADER)
    for index in range(3):
        writer.sample(sample(index))
        assert len(load_recording(path).samples) == index + 1
    writer.close()


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", 1)
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def test_a_recording_cut_at_any_byte_keeps_all_but_its_last_line(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.jsonl", 4).read_bytes()
    head = whole.index(b"\n") + 1
    for length in range(head, len(whole)):
        (tmp_path / "cut.jsonl").write_bytes(whole[:length])
        recording = load_recording(tmp_path / "cut.jsonl")
        full = whole[:length].count(b'"type":"sample"')
        assert full - 1 <= len(recording.samples) <= full
        assert list(recording.samples) == [sample(i) for i in range(len(recording.samples))]


def test_a_line_after_a_cut_one_is_still_read(tmp_path: Path) -> None:
    """So the supervisor closes the recording of an arm that was killed."""
    path = write(tmp_path / "a.jsonl", 3, end=False)
    path.write_bytes(path.read_bytes()[:-10] + b'\n{"type": "end", "outcome": "killed"}\n')
    recording = load_recording(path)
    assert len(recording.samples) == 2
    assert not recording.end.is_missing
    assert recording.end.outcome == "killed"


def test_several_in_one_file(tmp_path: Path) -> None:
    both = tmp_path / "both.jsonl"
    both.write_bytes(
        write(tmp_path / "a.jsonl", 2).read_bytes() + write(tmp_path / "b.jsonl", 3).read_bytes()
    )
    assert [len(recording.samples) for recording in load_recordings(both)] == [2, 3]


def test_fields_of_a_later_version_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", 1, end=False)
    with path.open("a") as file:
        file.write(
            '{"type":"sample","kind":"slice","epoch":1,"slice":1,"seconds":1.0,"of_tomorrow":5}\n{"type":"new"}\n'
        )
    assert len(load_recording(path).samples) == 2


@pytest.mark.parametrize("text", ["", "\n", "{}", "[1]\n", "nonsense\n", '{"type":"sample"}\n', "\x00\xff"])
def test_what_is_no_recording_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.jsonl").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match="not a recording"):
        load_recording(tmp_path / "a.jsonl")


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        load_recording(tmp_path / "none.jsonl")
    with pytest.raises(InputError, match="directory"):
        load_recording(os.fspath(tmp_path))


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"type":"sample","kind":"slice","epoch":1,"slice":0,"seconds":1,"rss":"9"}', "'rss' is missing or"),
        (
            '{"type":"sample","kind":"slice","epoch":1,"slice":0,"seconds":1,"rss":true}',
            "'rss' is missing or",
        ),
        ('{"type":"sample","kind":"slice","epoch":1.0,"slice":0,"seconds":1}', "'epoch' is missing or"),
        ('{"type":"sample","kind":"slice","epoch":1,"slice":0}', "'seconds' is missing or"),
        (
            '{"type":"sample","kind":"slice","epoch":1000000000000,"slice":0,"seconds":1}',
            "'epoch' is missing or",
        ),
        (f'{{"type":"sample","kind":"tree","seconds":1,"rss":1{"0" * 400}}}', "'rss' is missing or"),
        (f'{{"type":"sample","kind":"tree","seconds":1,"rss":1{"0" * 9000}}}', "a number that is none"),
        ('{"type":"sample","kind":"tree","seconds":NaN}', "a number that is none"),
        ('{"type":"sample","kind":"tree","seconds":1e999}', "'seconds' is missing or"),
        ('{"type":"sample","kind":"process","seconds":1}', "'pid' is missing or"),
        ('{"type":"sample"}', "'kind' is missing or"),
        ('{"type":"end"}', "'outcome' is missing or"),
        (
            '{"type":"end","outcome":"failed","processes":[{"role":"main"}]}',
            "'processes.0.pid' is missing or",
        ),
        ('{"type":"end","outcome":"failed","processes":[null]}', "'processes.0' is missing or"),
        ('{"type":"end","outcome":"failed","traces":[{"pid":1}]}', "'traces.0.began' is missing or"),
        ('{"type":"end","outcome":"failed","values":{}}', "'values' is missing or"),
        ('{"type":"limit","bytes":[]}', "'bytes' is missing or"),
        (f'{{"type":"end","outcome":{DEEP}}}', "nested too deeply"),
        ('{"type":"new","of":"' + "x" * LONGEST_LINE + '"}', "longer than 32 MB"),
    ],
    ids=range(19),
)
def test_a_damaged_line_is_told_by_its_number_and_field(tmp_path: Path, line: str, says: str) -> None:
    path = write(tmp_path / "a.jsonl", 2, end=False)
    with path.open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(InputError) as error:
        load_recording(path)
    assert f"a.jsonl, line 4: {says}" in str(error.value).replace("it holds ", "").replace("it is ", "")


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    for path in (tmp_path / "pipe.jsonl", Path("/dev/zero")):
        with pytest.raises(InputError, match="is no file"):
            load_recording(path)
