"""Keeps runs: a folder each, under the user's state directory.

A run holds one `.jsonl` file an arm and `result.json`. While its process lives it holds a lock that the
kernel releases with the process, however that ends; so nobody has to guess whether a run is still going.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from hfmemdebug.errors import InputError
from hfmemdebug.recording.file import load_recording
from hfmemdebug.result import Result

KEEP_RUNS = 20
KEEP_BYTES = 200 << 20
RESULT = "result.json"
_LOCK = ".running"
_NEW = ".new-"
_RUN = re.compile(r"\d{8}T\d{6}\.\d{6}Z-")

# Open descriptors of the locks of this process's runs; closing one says that its run is over.
_locks: dict[Path, int] = {}


def state_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Returns the folder of kept runs: `$XDG_STATE_HOME/hfmemdebug`, by default `~/.local/state/hfmemdebug`.

    Raises:
        RuntimeError: There is no home directory.
    """
    return _xdg_folder("XDG_STATE_HOME", ".local/state", environ)


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Returns the folder of what can be made anew: `$XDG_CACHE_HOME/hfmemdebug`, or `~/.cache/hfmemdebug`.

    Raises:
        RuntimeError: There is no home directory.
    """
    return _xdg_folder("XDG_CACHE_HOME", ".cache", environ)


def _xdg_folder(variable: str, below_home: str, environ: Mapping[str, str]) -> Path:
    base = Path(environ.get(variable, ""))
    # The XDG specification has relative paths ignored.
    return (base if base.is_absolute() else Path.home() / below_home) / "hfmemdebug"


def new_run(command: str, *, warn: Callable[[str], None] | None = None) -> Path:
    """Makes the folder of a new run and removes old ones that are too many.

    Folders sort by the time they were made and only their owner may read them. Until this process ends
    or calls `end_run`, nobody removes this one.

    Args:
        command: The command that runs; it becomes part of the name.
        warn: Is told where the state directory cannot be written, so that the run is kept in a temporary
            folder instead; `warnings.warn` by default.
    """
    try:
        state = state_folder()
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        run = _make(state, command)
    except (OSError, RuntimeError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        # Not deleted at the end: the recording in it is what a killed run leaves behind.
        run = _make(Path(tempfile.mkdtemp(prefix="hfmemdebug-")), command)
        (warn or warnings.warn)(f"the state directory cannot be written ({why}): this run is kept in {run}")
        return run
    prune()
    return run


def resume_run(run: Path) -> None:
    """Says that a run that was over goes on, so that nobody removes it.

    Raises:
        FileNotFoundError: Somebody has.
    """
    if run not in _locks:
        _locks[run] = _lock(run)


def end_run(run: Path) -> None:
    """Says that a run is over, for processes that live on after it."""
    descriptor = _locks.pop(run, None)
    if descriptor is not None:
        # Closing alone would not do: children that were forked meanwhile hold the same lock.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def prune(*, keep: int = KEEP_RUNS, max_bytes: int = KEEP_BYTES) -> None:
    """Removes the oldest runs until at most `keep` are left and they hold at most `max_bytes`.

    The newest run and those that still go on always stay. Nothing is read: sizes come from the file
    system. What cannot be removed stays, without an error.
    """
    with contextlib.suppress(OSError, RuntimeError):
        state = state_folder()
        for left_over in state.glob(f"{_NEW}*"):
            # A young one may be about to be locked by the process that makes it.
            if time.time() - left_over.stat().st_mtime > 3600:
                _remove(left_over)
        newest_first = _runs(state)
        total = 0
        for place, run in enumerate(newest_first):
            total += _size(run)
            if place > 0 and (place >= keep or total > max_bytes):
                _remove(run)


def last_run() -> Path:
    """The newest run that has a recording.

    Raises:
        InputError: There is none.
    """
    with contextlib.suppress(OSError, RuntimeError):
        for run in _runs(state_folder()):
            if recordings_of(run):
                return run
    raise InputError(
        "no run has been recorded yet", next="Run `hfmemdebug diagnose` first, or name a recording (.jsonl)."
    )


@dataclass(frozen=True)
class KeptRun:
    """One run that is kept.

    Attributes:
        folder: Where it is.
        when: When it began, in UTC, as ``2026-03-01 10:11:12``.
        command: The command line; the command alone where it was not typed.
        verdict: ``"no-leak"``, ``"leak"``, ``"inconclusive"``, or None: it was not judged.
        ended: ``"completed"``, ``"failed"``, ``"killed"``, ``"interrupted"``, ``"running"`` or ``"damaged"``.
    """

    folder: Path
    when: str
    command: str
    verdict: str | None
    ended: str

    def to_dict(self) -> dict[str, str | None]:
        """Returns the entry in the document of `report --list --json`."""
        return {**asdict(self), "folder": str(self.folder)}


def kept_runs() -> list[KeptRun]:
    """Returns the runs that have a recording, the newest first."""
    with contextlib.suppress(OSError, RuntimeError):
        return [_kept_run(run) for run in _runs(state_folder()) if recordings_of(run)]
    return []


def _kept_run(run: Path) -> KeptRun:
    when = datetime.strptime(run.name[:15], "%Y%m%dT%H%M%S").isoformat(" ")
    command = run.name.partition("Z-")[2].rpartition("-")[0]
    verdict, outcomes = None, ["running"]
    try:
        result = Result.from_dict(json.loads((run / RESULT).read_text()))
        command, verdict = result.command_line or command, result.verdict
        outcomes = ["interrupted"] if result.interrupted else [arm.outcome for arm in result.arms]
    except (OSError, ValueError, TypeError, KeyError):
        if not _is_running(run):
            # Its process was killed before it judged, or it was made by `watch`.
            outcomes = [_outcome_of(recording) for recording in recordings_of(run)]
    ended = next((outcome for outcome in outcomes if outcome != "completed"), "completed")
    return KeptRun(run, when, command, verdict, ended)


def _outcome_of(file: Path) -> str:
    try:
        return load_recording(file).end.outcome
    except InputError:
        return "damaged"


def _is_running(run: Path) -> bool:
    try:
        lock = os.open(run / _LOCK, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


def recordings_of(run: Path) -> tuple[Path, ...]:
    """The recordings of a run, one an arm, by name; those that were never begun are empty and left out."""
    return tuple(sorted(path for path in run.glob("*.jsonl") if path.is_file() and path.stat().st_size))


def _make(state: Path, command: str) -> Path:
    """Makes a run's folder under a temporary name, locks it, and only then shows it to others."""
    folder = Path(tempfile.mkdtemp(prefix=_NEW, dir=state))
    lock = _lock(folder)
    plain = re.sub(r"[^a-z0-9]+", "-", command.lower()).strip("-") or "run"
    for _ in range(100):
        stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
        run = state / f"{stamp}-{plain}-{os.getpid()}"
        # Renaming over another run fails, since that is not empty.
        with contextlib.suppress(OSError):
            folder.rename(run)
            _locks[run] = lock
            return run
    raise OSError("no name was free")


def _lock(run: Path) -> int:
    lock = os.open(run / _LOCK, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with contextlib.suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return lock


def _runs(state: Path) -> list[Path]:
    """All runs, the newest first."""
    return sorted((p for p in state.iterdir() if _RUN.match(p.name) and p.is_dir()), reverse=True)


def _size(run: Path) -> int:
    total = 0
    for folder, _, names in os.walk(run):
        for name in names:
            with contextlib.suppress(OSError):
                total += Path(folder, name).lstat().st_size
    return total


def _remove(run: Path) -> None:
    """Removes a run unless its process still holds the lock."""
    try:
        lock = os.open(run / _LOCK, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        shutil.rmtree(run, ignore_errors=True)
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(run, ignore_errors=True)
    except OSError:
        # Locked by a living process, or on a file system without locks, where nobody can tell.
        pass
    finally:
        os.close(lock)
