from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import hfmemdebug
from hfmemdebug.errors import InputError, UsageError
from hfmemdebug.measure.calls import END, MORE, TRACE, answer_to, calls_needed, drain, measure_calls
from hfmemdebug.recording.file import load_recording
from hfmemdebug.recording.store import new_run

LOOP = """
import sys
import hfmemdebug

kept = []
batches = hfmemdebug.watch([[n] * 10 for n in range(60)], {output!r})
for epoch in range({epochs}):
    for batch in batches:
        if {leaks}:
            kept.append("x" * 3000 + str(batch[0]))
assert len(batches) == 60
assert "datasets" not in sys.modules
result = batches.result()
print(result.verdict, result.iteration, round(result.rate_bytes_per_iteration or 0))
"""


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_a_watched_loop_that_leaks(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    verdict, iteration, rate = run(LOOP.format(output=str(path), epochs=5, leaks=True)).split()
    assert (verdict, iteration) == ("leak", "item")
    assert 3000 <= int(rate) <= 3300
    recording = load_recording(path)
    assert len(recording.slices) == 300
    assert not recording.end.is_missing
    assert recording.end.outcome == "completed"
    assert recording.header.subject == "loop"


def test_a_watched_loop_that_does_not(tmp_path: Path) -> None:
    out = run(LOOP.format(output=str(tmp_path / "run.jsonl"), epochs=5, leaks=False))
    assert out.split()[:1] == ["no-leak"]


def test_it_is_kept_as_a_run_and_reported_on(tmp_path: Path) -> None:
    environ = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    code = "import hfmemdebug\nw = hfmemdebug.watch(range(30))\nfor e in range(4):\n  for n in w:\n    if n > 20: break"
    subprocess.run([sys.executable, "-c", code], check=True, env=environ)
    out = subprocess.run(
        [sys.executable, "-m", "hfmemdebug", "report", "--last", "--json"],
        env=environ, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    document = json.loads(out)
    assert document["command"] == "watch"
    # The item at which the loop was left has no reading of its own.
    assert document["arms"][0]["iterations"] == 4 * 21
    assert document["arms"][0]["outcome"] == "completed"


def test_items_come_unchanged_and_marks_count(tmp_path: Path) -> None:
    with hfmemdebug.Recorder(tmp_path / "a.jsonl", name="loop", iteration="step") as recorder:
        items = [object() for _ in range(8)]
        assert list(hfmemdebug.watch(items, recorder=recorder)) == items
        recorder.mark(rows=5)
        recorder.end_epoch()
        recorder.end_epoch()
    recording = load_recording(recorder.path)
    assert [s.epoch for s in recording.slices] == [1] * 8 + [2]
    assert recording.slices[-1].rows == 5
    assert sum(s.warmup for s in recording.slices) == 4
    assert recorder.result().iteration == "step"


def test_an_exception_is_the_outcome_without_its_text(tmp_path: Path) -> None:
    recorder = hfmemdebug.Recorder(tmp_path / "a.jsonl")

    def fail() -> None:
        with recorder:
            recorder.mark()
            raise ValueError("somebody's row")

    with pytest.raises(ValueError, match="somebody's row"):
        fail()
    assert "somebody" not in recorder.path.read_text()
    assert load_recording(recorder.path).end.outcome == "failed"


def test_what_was_closed_goes_on_and_loses_nothing(tmp_path: Path) -> None:
    watched = hfmemdebug.watch(range(20), tmp_path / "run.jsonl")
    for epochs in range(1, 4):
        assert list(watched) == list(range(20))
        assert watched.result().arms[0].epochs == epochs
    recording = load_recording(tmp_path / "run.jsonl")
    assert len(recording.slices) == 60
    assert not recording.end.is_missing
    with watched.recorder as recorder:
        recorder.mark()
    assert len(load_recording(tmp_path / "run.jsonl").slices) == 61


def test_a_verdict_while_it_goes_on_ends_nothing(tmp_path: Path) -> None:
    with hfmemdebug.Recorder(tmp_path / "run.jsonl") as recorder:
        for _ in range(8):
            recorder.mark()
        assert recorder.result().arms[0].outcome == "completed"
        assert load_recording(tmp_path / "run.jsonl").end.is_missing


def test_what_goes_on_after_it_was_closed_and_is_killed_has_not_ended_well(tmp_path: Path) -> None:
    recorder = hfmemdebug.Recorder(tmp_path / "run.jsonl")
    with recorder:
        recorder.mark()
    assert not load_recording(tmp_path / "run.jsonl").end.is_missing
    recorder.start().mark()
    assert load_recording(tmp_path / "run.jsonl").end.is_missing


def test_a_run_that_goes_on_is_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    recorder = hfmemdebug.Recorder()
    with recorder:
        recorder.mark()
    recorder.start()
    new_run("newer")
    # By another process: it would find the lock of this one.
    command = [sys.executable, "-c", "from hfmemdebug.recording.store import prune; prune(keep=1)"]
    subprocess.run(command, check=True)
    assert recorder.path.is_file()
    recorder.close()
    subprocess.run(command, check=True)
    assert not recorder.path.exists()


def test_a_verdict_in_the_middle_of_a_pass_leaves_it_one_epoch(tmp_path: Path) -> None:
    watched = hfmemdebug.watch(range(20), tmp_path / "run.jsonl")
    for item in watched:
        if item == 10:
            assert watched.result().arms[0].iterations == 10
    watched.result()
    assert {s.epoch for s in load_recording(tmp_path / "run.jsonl").slices} == {1}


def test_an_open_question_names_no_options_that_a_loop_has_not(tmp_path: Path) -> None:
    kept = []
    with hfmemdebug.Recorder(tmp_path / "run.jsonl") as recorder:
        for _ in range(40):
            kept.append(bytearray(100_000))
            recorder.mark()
    result = recorder.result()
    assert result.verdict == "inconclusive"
    assert "more epochs over the same rows would tell" in result.summary
    assert "--" not in result.summary


def test_a_fork_does_not_write_over_what_its_parent_has_closed(tmp_path: Path) -> None:
    with hfmemdebug.Recorder(tmp_path / "run.jsonl") as recorder:
        recorder.mark()
    before = (tmp_path / "run.jsonl").read_bytes()
    child = os.fork()
    if child == 0:
        os._exit(0 if recorder.mark() is None else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert (tmp_path / "run.jsonl").read_bytes() == before


def test_misuse_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "run.jsonl").write_text("an earlier run's")
    for recorder in (hfmemdebug.Recorder(), hfmemdebug.Recorder(tmp_path / "run.jsonl")):
        with pytest.raises(InputError, match="nothing is recorded yet"):
            recorder.result()
        recorder.end_epoch()
        recorder.close()
    with pytest.raises(InputError, match="nothing is recorded yet"):
        print(hfmemdebug.Recorder().path)
    with pytest.raises(TypeError, match="'int' object is not iterable"):
        hfmemdebug.watch(5)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="is not a size"):
        hfmemdebug.Recorder(min_leak="many")
    with hfmemdebug.Recorder(tmp_path / "sized.jsonl", min_leak="1K") as recorder:
        recorder.mark()
    assert load_recording(tmp_path / "sized.jsonl").header.min_leak == 1024


def test_a_forked_worker_records_nothing(tmp_path: Path) -> None:
    code = f"""
import os, hfmemdebug
with hfmemdebug.Recorder({str(tmp_path / "a.jsonl")!r}) as recorder:
    recorder.mark()
    pid = os.fork()
    if pid == 0:
        recorder.mark()
        recorder.close()
        os._exit(0)
    os.waitpid(pid, 0)
    recorder.mark()
"""
    run(code)
    recording = load_recording(tmp_path / "a.jsonl")
    assert len(recording.slices) == 2


def test_calls_are_measured_judged_elsewhere_and_traced(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    kept: list[str] = []
    answers: list[bytes] = []

    def ask() -> bytes:
        answers.append(answer_to(path))
        return answers[-1]

    measure_calls(lambda: kept.append("y" * 5000), path, ask, name="f", iterations=100, min_leak_per_call=64)
    assert answers[-1] == TRACE
    assert set(answers[:-1]) <= {MORE}
    trace = load_recording(path).end.trace
    assert trace is not None
    assert (trace.sites[0].function or "").endswith("<lambda>") or "test_recorder" in trace.sites[0].file


def test_an_open_answer_has_an_end(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    seen: list[int] = []

    def ask() -> bytes:
        seen.append(1)
        return MORE if len(seen) < 3 else END

    measure_calls(lambda: iter("abc"), path, ask, name="f", iterations=10, min_leak_per_call=64)
    assert max(s.epoch for s in load_recording(path).slices) == 7
    assert calls_needed(64) == 80
    taken = iter([1, 2])
    drain(taken)
    assert list(taken) == []


def test_ranks_record_into_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in ("0", "1"):
        # As Ray Train does it: the environment is set once the process lives.
        monkeypatch.setenv("RANK", rank)
        with hfmemdebug.Recorder(f"{tmp_path}/ranks/") as recorder:
            for _ in range(3):
                recorder.mark()
    names = sorted(path.name for path in (tmp_path / "ranks").iterdir())
    assert names == ["rank-0.jsonl", "rank-1.jsonl"]
    launch = load_recording(tmp_path / "ranks" / "rank-1.jsonl").header.launch
    assert launch is not None
    assert (launch.rank, launch.world) == (1, 2)
