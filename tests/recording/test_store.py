from __future__ import annotations

import multiprocessing
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hfmemdebug.errors import InputError
from hfmemdebug.recording import store
from hfmemdebug.recording.store import end_run, last_run, new_run, prune, recordings_of


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    yield tmp_path / "state" / "hfmemdebug"
    for run in list(store._locks):
        end_run(run)


def finished(command: str = "diagnose", size: int = 0) -> Path:
    """A run that is over, with a recording of so many bytes (a hole in the file: nothing is written)."""
    run = new_run(command)
    with (run / "memory-mapped.jsonl").open("wb") as file:
        file.truncate(size)
    end_run(run)
    return run


def runs(state: Path) -> list[Path]:
    return sorted(path for path in state.iterdir())


def test_a_new_run_is_private_and_named_by_time_and_command(state: Path) -> None:
    run = new_run("diagnose")
    assert run.parent == state
    assert stat.S_IMODE(run.stat().st_mode) == 0o700
    assert "Z-diagnose-" in run.name
    assert new_run("profile").name > run.name


def test_names_hold_no_odd_characters() -> None:
    assert "/" not in new_run("run ../../x").name.replace("Z-run-x-", "")


def test_many_processes_at_once_get_folders_of_their_own(state: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(4) as pool:
        made = pool.map(new_run, ["diagnose"] * 40)
    assert len(set(made)) == 40
    assert not list(state.glob(".new-*"))


def test_prune_keeps_the_newest(state: Path) -> None:
    made = [finished() for _ in range(6)]
    prune(keep=2)
    assert runs(state) == made[-2:]


def test_a_new_run_prunes_by_itself(state: Path) -> None:
    made = [finished() for _ in range(store.KEEP_RUNS + 3)]
    assert runs(state) == made[-store.KEEP_RUNS :]


def test_prune_by_size_without_reading(state: Path) -> None:
    # A terabyte that no file system here could be asked to read.
    old, middle, newest = finished(size=1 << 40), finished(size=100), finished(size=100)
    prune(max_bytes=1000)
    assert runs(state) == [middle, newest]
    assert not old.exists()


def test_the_newest_stays_however_large(state: Path) -> None:
    finished(size=10)
    newest = finished(size=1 << 40)
    prune(keep=0, max_bytes=0)
    assert runs(state) == [newest]


def test_a_running_one_stays_until_its_process_ends(state: Path) -> None:
    code = (
        "import sys; from hfmemdebug.recording.store import new_run; print(new_run('profile'), flush=True);"
        "sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    running = Path(child.stdout.readline().strip())
    finished()
    prune(keep=0, max_bytes=0)
    assert running.exists()
    child.kill()
    child.communicate()
    prune(keep=0, max_bytes=0)
    assert not running.exists()


def test_an_ended_run_of_a_living_process_may_go(state: Path) -> None:
    mine = new_run("diagnose")
    finished()
    prune(keep=0, max_bytes=0)
    assert mine.exists()
    end_run(mine)
    prune(keep=0, max_bytes=0)
    assert not mine.exists()


def test_foreign_files_are_left_alone(state: Path) -> None:
    finished()
    (state / "notes.txt").write_text("mine")
    (state / "folder").mkdir()
    finished()
    prune(keep=0, max_bytes=0)
    assert (state / "notes.txt").exists()
    assert (state / "folder").exists()


def test_what_a_killed_process_left_half_made_goes_after_an_hour(state: Path) -> None:
    finished()
    young, old = state / ".new-a", state / ".new-b"
    young.mkdir()
    old.mkdir()
    os.utime(old, (0, 0))
    prune()
    assert young.exists()
    assert not old.exists()


def test_last_run_is_the_newest_with_a_recording() -> None:
    wanted = finished(size=1)
    new_run("diagnose")
    assert last_run() == wanted
    assert [path.name for path in recordings_of(wanted)] == ["memory-mapped.jsonl"]


@pytest.mark.parametrize("made", [False, True])
def test_no_run_yet_is_said_in_one_line(state: Path, made: bool) -> None:
    if made:
        state.mkdir(parents=True)
    with pytest.raises(InputError, match="no run has been recorded yet"):
        last_run()


def test_a_state_directory_that_cannot_be_written_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    said: list[str] = []
    run = new_run("profile", warn=said.append)
    assert run.is_dir()
    assert len(said) == 1
    assert "Not a directory" in said[0]
    assert str(run) in said[0]
    with pytest.warns(UserWarning, match="cannot be written"):
        new_run("profile")
    prune()


def test_without_a_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert store.state_folder() == tmp_path / "home/.local/state/hfmemdebug"
    assert store.state_folder({"XDG_STATE_HOME": "relative"}) == tmp_path / "home/.local/state/hfmemdebug"
