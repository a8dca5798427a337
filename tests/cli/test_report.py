from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from render import samples

from hfmemdebug.cli.app import run
from hfmemdebug.recording.end import MISSING_END, End
from hfmemdebug.recording.file import Recording, RecordingWriter, load_recordings
from hfmemdebug.recording.header import ArmInfo, Header, Launch, Workload
from hfmemdebug.recording.sample import ArmSample, ProcessSample, TreeSample
from hfmemdebug.recording.store import end_run, new_run


def saved(path: Path, recording: Recording) -> Path:
    with RecordingWriter(path) as writer:
        writer.header(recording.header)
        for sample in recording.samples:
            writer.sample(sample)
        for tree in recording.trees:
            writer.look(tree)
        if not recording.end.is_missing:
            writer.end(recording.end)
    return path


def measured(name: str = "memory-mapped", *, mode: str = "mmap", dataset: str = "./ds") -> Recording:
    """A run of two epochs with settling between them, as an arm records it."""
    recording = samples.recording(name)
    header = replace(
        recording.header,
        command="diagnose" if mode != "program" else "watch",
        command_line="hfmemdebug diagnose ./ds",
        arm=ArmInfo(name, mode, consumer=False),
        workload=Workload(dataset=dataset, step=20_000, warmup=3, count=50),
    )
    settled = tuple(
        ArmSample("settle", epoch, 50, epoch * 2.0, step=step, rss=400 << 20, anon=175 << 20, file=225 << 20, shmem=0,
               swap=0, arrow=1024, malloc=9_000_000, blocks=585_000, python=60_000_000)
        for epoch in (0, 1, 2)
        for step in (("start",) if epoch == 0 else ("before", "collect", "release_pools", "trim", "drop_pages"))
    )  # fmt: skip
    slices = recording.samples
    order = (*settled[:1], *slices[:50], *settled[1:6], *slices[50:], *settled[6:])
    return replace(recording, header=header, samples=order)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def kept(state: Path) -> Path:
    """A kept run of two arms."""
    folder = new_run("diagnose")
    saved(folder / "memory-mapped.jsonl", measured())
    saved(folder / "in-memory.jsonl", measured("in-memory", mode="in-memory"))
    end_run(folder)
    return folder


def test_last_on_the_screen(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "--last"]) == 0
    out = capsys.readouterr().out
    assert out.split(":")[0].split(" in ")[0] in ("NO LEAK", "LEAK", "INCONCLUSIVE")
    assert "memory-mapped" in out
    assert "in-memory" in out


def test_a_file_and_a_folder_say_the_same(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", str(kept), "--json"]) == 0
    folder = json.loads(capsys.readouterr().out)
    assert folder["schema"] == "hfmemdebug.result.v1"
    assert [arm["name"] for arm in folder["arms"]] == ["memory-mapped", "in-memory"]
    assert run(["report", *sorted(map(str, kept.glob("*.jsonl"))), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == folder


def leaking(per_epoch: int) -> Recording:
    """The arm of four epochs with so many bytes more of Python objects after each."""
    recording = measured()
    first = [s for s in recording.samples if s.epoch == 1]
    samples_of = [replace(s, epoch=epoch) for epoch in (1, 2, 3, 4) for s in first]
    grown = [
        replace(s, python=s.python + s.epoch * per_epoch if s.python is not None else None)
        for s in samples_of
    ]
    return replace(recording, samples=(recording.samples[0], *grown))


def test_two_runs_side_by_side(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = saved(state / "before.jsonl", leaking(50 * 2048))
    after = saved(state / "after.jsonl", leaking(0))
    assert run(["report", str(before), str(after)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Before: ")
    assert "\nAfter:  " in out
    line = next(line for line in out.splitlines() if line.startswith("Stays in use per slice"))
    assert line.split("  ")[-1].startswith("-2.0 KB +/- ")
    assert "noise" not in line
    assert run(["report", str(before), str(after), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "hfmemdebug.comparison.v1"
    figure = document["arms"]["memory-mapped"][0]
    assert (figure["before"], figure["after"], figure["change"]) == (2048, 0, -2048)
    assert figure["told"] is True
    assert run(["report", str(before), str(before), "-o", "c.md", "-o", "c.json", "-q"]) == 0
    assert "| +/- " not in (state / "c.md").read_text()
    assert "(noise)" in (state / "c.md").read_text()
    assert json.loads((state / "c.json").read_text())["arms"]["memory-mapped"][0]["told"] is False


def test_what_leaks_in_pages_alone_is_compared_too(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def shared(per_slice: int) -> Recording:
        recording = leaking(0)
        read = 0
        grown = []
        for sample in recording.samples:
            read += sample.kind == "slice"
            grown.append(replace(sample, shmem=read * per_slice))
        return replace(recording, samples=tuple(grown))

    before = saved(state / "before.jsonl", shared(64 << 10))
    after = saved(state / "after.jsonl", shared(0))
    assert run(["report", str(before), str(after), "--json"]) == 0
    figure = json.loads(capsys.readouterr().out)["arms"]["memory-mapped"][0]
    assert figure["figure"] == "stays_per_iteration"
    assert (figure["before"], figure["after"]) == (64 << 10, 0)
    assert figure["told"] is True


def program(per_look: int) -> Recording:
    """A program that was watched for a minute, and reads no rows."""
    looks = []
    for look in range(120):
        figures = {
            "rss": (100 << 20) + look * per_look, "anon": (90 << 20) + look * per_look, "file": 10 << 20, "shmem": 0,
            "swap": 0, "pss": (100 << 20) + look * per_look, "pss_anon": (90 << 20) + look * per_look, "rows": 0,
        }  # fmt: skip
        main = ProcessSample(look / 2, 7, role="main", pss_file=10 << 20, **figures)
        looks.append(TreeSample(look / 2, **figures, processes=(main,)))
    header = Header("run", ArmInfo("program", "program", consumer=False), Workload())
    return Recording(header, end=End("completed"), trees=looks)


def test_two_programs_that_were_watched(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = saved(state / "before.jsonl", program(1 << 20)), saved(state / "after.jsonl", program(0))
    assert run(["report", str(before), str(after), "--json"]) == 0
    figure = json.loads(capsys.readouterr().out)["arms"]["program"][0]
    assert figure["before"] == pytest.approx(2 << 20, rel=0.05)
    assert figure["after"] == 0
    assert figure["told"] is True


def test_quiet_is_one_line(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "--last", "-q"]) == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 1
    assert captured.err == ""


def test_markdown_alone_on_standard_output(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "--last", "-o", "-"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("### ")
    assert "```mermaid" in out
    assert "- `datasets` version: 5.2.0" in out
    assert "Outcome  " not in out


def test_a_saved_run_can_be_reported_on_again(
    kept: Path, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["report", "--last", "-o", "all.jsonl", "-o", "r.md", "-o", "r.json", "-q"]) == 0
    first = capsys.readouterr().out
    assert len(load_recordings(state / "all.jsonl")) == 2
    assert run(["report", "all.jsonl", "-q"]) == 0
    assert capsys.readouterr().out == first
    assert json.loads((state / "r.json").read_text())["schema"] == "hfmemdebug.result.v1"
    assert (state / "r.md").read_text().startswith("### ")


def test_a_recording_that_was_cut_by_a_kill(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(state / "cut.jsonl", replace(measured(), end=MISSING_END))
    path.write_bytes(path.read_bytes()[:-40])
    assert run(["report", str(path)]) == 0
    assert "memory-mapped" in capsys.readouterr().out


def test_nothing_private_is_shown(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = measured()
    line = f"hfmemdebug diagnose {state}/ds --token hf_{'A1' * 17}"
    header = replace(recording.header, command_line=line)
    path = saved(state / "private.jsonl", replace(recording, header=header))
    for options in ([], ["--json"], ["-o", "-"]):
        assert run(["report", str(path), *options]) == 0
        out = capsys.readouterr().out
        assert str(state) not in out
        assert "hf_A1" not in out


def test_all_that_are_kept_the_newest_first(
    kept: Path, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = f"hf_{'A1' * 17}"
    judged = replace(samples.LEAK, command_line=f"hfmemdebug run {state}/train.py --token {secret}")
    (kept / "result.json").write_text(json.dumps(judged.to_dict()))
    killed, going = new_run("run"), new_run("attach")
    saved(killed / "program.jsonl", replace(measured(), end=MISSING_END))
    saved(going / "program.jsonl", replace(measured(), end=MISSING_END))
    end_run(new_run("profile"))
    end_run(killed)
    assert run(["report", "--list", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    told = [(entry["command"], entry["verdict"], entry["ended"]) for entry in document["runs"]]
    assert told == [
        ("attach", None, "running"),
        ("run", None, "killed"),
        ("hfmemdebug run ./train.py --token ***", "leak", "completed"),
    ]
    assert run(["report", "--list"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[2] for line in out.splitlines()[1:4]] == ["not", "not", "leak"]
    assert secret not in out
    end_run(going)


def test_nothing_is_kept_yet(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "--list"]) == 0
    assert capsys.readouterr().out.startswith("No run is kept.")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "nothing to report on"),
        (["--list", "--last"], "both --list and --last"),
        (["--list", "-o", "x.md"], "--list writes no file"),
        (["--last"], "no run has been recorded yet"),
        (["a.jsonl", "--last"], "both --last and a recording"),
        (["missing.jsonl"], "cannot be read"),
        (["empty"], "holds no recording"),
        (["other.json"], "is not a recording"),
        (["odd.jsonl"], "odd.jsonl, line 1: 'arm.mode' is missing or not what it should be"),
        (
            ["future.jsonl"],
            "its schema is hfmemdebug.recording.v9, and this one reads hfmemdebug.recording.v1",
        ),
        (["damaged.jsonl"], "damaged.jsonl, line 5: 'rss' is missing or not what it should be"),
        (["torn.jsonl"], "torn.jsonl, line 1: 'environment' is missing or not what it should be"),
        (["one.jsonl", "one.jsonl", "one.jsonl"], "more than one run"),
        (["one.jsonl", "two.jsonl", "one.jsonl"], "more than one run"),
        (["one.jsonl", "two.jsonl"], "no arm in common"),
        (["one.jsonl", "one.jsonl", "-o", "x.png"], "written as .md or .json alone"),
        (["one.jsonl", "-o", "x.pdf"], ".md, .html, .json, .jsonl, .png or .svg"),
        (["one.jsonl", "-o", "no/x.md"], "does not exist"),
        (["one.jsonl", "-o", "-", "--json"], "standard output"),
    ],
)
def test_what_is_wrong_is_one_line_with_status_two(
    state: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    (state / "empty").mkdir()
    (state / "other.json").write_text('{"a": 1}\n')
    (state / "future.jsonl").write_text('{"type":"header","schema":"hfmemdebug.recording.v9"}\n')
    text = saved(state / "damaged.jsonl", measured()).read_text()
    (state / "damaged.jsonl").write_text(
        text.replace('"rss":', '"rss":"much","was":', 4).replace('"much"', "9", 3)
    )
    (state / "torn.jsonl").write_text(text.replace('"Platform":', '"Platform":null,"was":', 1))
    (state / "odd.jsonl").write_text(
        '{"type":"header","schema":"hfmemdebug.recording.v1","arm":{"name":"x"}}\n'
    )
    saved(state / "one.jsonl", measured())
    saved(state / "two.jsonl", measured("in-memory", dataset="./another"))
    assert run(["report", *arguments]) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert len(captured.err.splitlines()) == 1
    if "--json" in arguments:
        assert json.loads(captured.out)["kind"] == "usage"


def test_help_has_examples_and_costs_no_heavy_import() -> None:
    code = (
        "import sys; from hfmemdebug.cli.app import run; run(['report', '--help']);"
        "print(sorted({'datasets', 'pyarrow', 'torch', 'psutil', 'numpy'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "hfmemdebug report --last" in out.stdout
    assert out.stdout.splitlines()[-1] == "[]"


def test_on_a_terminal_without_unicode(kept: Path) -> None:
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "COLUMNS": "80"}
    out = subprocess.run(
        [sys.executable, "-m", "hfmemdebug", "report", str(kept)], capture_output=True, env=env, check=True
    )
    assert out.stdout.isascii()
    assert b"Rows read" in out.stdout
    assert max(map(len, out.stdout.splitlines())) <= 80


def of_a_rank(path: Path, rank: int) -> Path:
    recording = measured(mode="program", name="program")
    return saved(path, replace(recording, header=replace(recording.header, launch=Launch(rank, world=2))))


def test_ranks_that_are_named_twice_count_once(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = of_a_rank(Path("ranks", "rank-0.jsonl"), 0)
    for named in (["ranks", "ranks"], ["ranks", str(file)], [str(file), str(file)]):
        assert run(["report", "--json", *named]) == 0
        assert len(json.loads(capsys.readouterr().out)["ranks"]) == 1


def test_ranks_beside_what_is_none_are_refused(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("ranks", "others"):
        Path(name).mkdir()
        for rank in range(2):
            of_a_rank(Path(name, f"rank-{rank}.jsonl"), rank)
    assert run(["report", "ranks", "others"]) == 2
    assert "two folders of ranks cannot be shown side by side" in capsys.readouterr().err
    saved(Path("ranks", "other.jsonl"), measured())
    assert run(["report", "ranks"]) == 2
    assert "other.jsonl is no recording of a rank" in capsys.readouterr().err
    assert run(["report", "others", "-q"]) == 0
    assert "2 ranks" in capsys.readouterr().out
    assert run(["report", "others/rank-0.jsonl", "-q"]) == 0
    assert "ranks" not in capsys.readouterr().out
