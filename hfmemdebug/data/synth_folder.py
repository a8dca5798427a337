"""A dataset folder that is complete or does not exist.

A folder is written under a hidden name beside its place and renamed when all is there. The hidden
folder is locked for as long as its process lives, and so the next run knows what a killed one left.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hfmemdebug.data import synth_linux as linux_files
from hfmemdebug.data.synth_arrow import END_OF_STREAM
from hfmemdebug.errors import AccessError, DiskError, HfmemdebugError, InputError
from hfmemdebug.units import format_bytes

STATE = "state.json"
INFO = "dataset_info.json"
# `datasets` reads the files that state.json names and no others.
SIDECAR = ".hfmemdebug-synth.json"
# Large enough that a system call a group costs nothing, small enough to answer Ctrl-C at once.
GROUP_BYTES = 8 << 20
# POSIX promises 16, Linux and macOS take 1024 (IOV_MAX).
GROUP_PIECES = 512
# A part whose writing starts while the next one is made.
WRITEBACK_BYTES = 64 << 20


@contextmanager
def os_errors_for(shown: str) -> Iterator[None]:
    """Turns what the operating system complains about into one line about the folder `shown`."""
    try:
        yield
    except OSError as error:
        raise _explained(error, shown) from error


def _explained(error: OSError, shown: str) -> HfmemdebugError:
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskError(
            f"the disk is full: '{shown}' was not written, and nothing was left behind",
            next="Free some space, or write fewer rows with --rows.",
        )
    if error.errno == errno.EFBIG:
        return DiskError(
            f"'{shown}' holds a file larger than is allowed here", next="Write more files with --shards."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return AccessError(f"'{shown}' cannot be written: {reason}", next="Choose another folder.")
    if error.errno in (errno.ENAMETOOLONG, errno.ENOTDIR, errno.ELOOP):
        return InputError(f"'{shown}' cannot be a folder: {reason}", next="Choose another folder.")
    return DiskError(f"'{shown}' cannot be written: {reason}")


@contextmanager
def fresh_folder(target: Path) -> Iterator[Path]:
    """A hidden folder beside `target` that is gone afterwards, unless it was renamed meanwhile."""
    folder = _hidden(target)
    lock = None
    try:
        while lock is None:
            folder.mkdir()
            lock = _locked(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _locked(folder: Path) -> int | None:
    """A descriptor that holds the folder's lock; None where another run swept it before it was locked."""
    try:
        lock = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return None
    # Some network file systems cannot lock a folder; what is left there is never swept.
    with suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX)
    if folder.exists():
        return lock
    os.close(lock)
    return None


def _hidden(target: Path) -> Path:
    return target.with_name(f".{target.name}.synth-{secrets.token_hex(6)}")


def sweep(target: Path) -> None:
    """Removes the hidden folders that killed runs left beside `target`."""
    with suppress(OSError):
        for folder in list(target.parent.iterdir()):
            if folder.name.startswith(f".{target.name}.synth-"):
                with suppress(OSError):
                    _remove_if_abandoned(folder)


def _remove_if_abandoned(folder: Path) -> None:
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def write_stream(
    path: Path, messages: Iterable[memoryview], size: int, on_written: Callable[[int], None]
) -> None:
    """Writes messages to a new file, many with one system call.

    Args:
        path: The file.
        messages: What to write.
        size: Bytes of all messages together.
        on_written: Called with the number of bytes after each system call.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        linux_files.reserve(descriptor, size)
        written = started = 0
        writeback = None
        for group in _groups(messages):
            while group:
                step = os.writev(descriptor, group)
                written += step
                on_written(step)
                group = _rest(group, step)
            if written - started >= WRITEBACK_BYTES and not (writeback and writeback.is_alive()):
                writeback = linux_files.start_writeback(descriptor, started, written - started)
                started = written
    finally:
        # Network file systems tell only here that the disk is full.
        os.close(descriptor)


def _groups(messages: Iterable[memoryview]) -> Iterator[list[memoryview]]:
    group: list[memoryview] = []
    size = 0
    for message in messages:
        group.append(message)
        size += len(message)
        if size >= GROUP_BYTES or len(group) == GROUP_PIECES:
            yield group
            group, size = [], 0
    yield group


def _rest(group: list[memoryview], written: int) -> list[memoryview]:
    for index, piece in enumerate(group):
        if written < len(piece):
            return [piece[written:], *group[index + 1 :]]
        written -= len(piece)
    return []


def write_sidecar(folder: Path, recipe: Mapping[str, Any]) -> None:
    """Keeps beside the data what they were made of, and how to see that they are complete."""
    files = {
        path.name: _digest(path) if path.suffix == ".json" else path.stat().st_size
        for path in sorted(folder.iterdir())
    }
    write_json(folder / SIDECAR, {"recipe": dict(recipe), "files": files})


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Writes a document as `datasets` lays it out."""
    path.write_text(json.dumps(document, indent=2), encoding="utf-8")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def difference(folder: Path, recipe: Mapping[str, Any]) -> str | None:
    """What tells a folder from the one that the recipe makes; None where it is the same and complete."""
    try:
        sidecar = json.loads((folder / SIDECAR).read_text(encoding="utf-8"))
        made, files = dict(sidecar["recipe"]), dict(sidecar["files"])
    except FileNotFoundError:
        return "it was not made by hfmemdebug synth"
    except (OSError, ValueError, KeyError, TypeError):
        return f"its {SIDECAR} cannot be read"
    for name, wanted in recipe.items():
        if made.get(name) != wanted:
            # The row is known by its digest, which says nothing to people.
            return (
                "it holds another row" if name == "row" else f"it has {name} {made.get(name)}, not {wanted}"
            )
    for name, known in files.items():
        path = folder / name
        try:
            same = _is_whole(path, known) if isinstance(known, int) else _digest(path) == known
        except OSError:
            return f"its file {name} is missing"
        if not same:
            return f"its file {name} was changed or is not complete"
    return None


def _is_whole(path: Path, size: int) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) != size:
            return False
        file.seek(-len(END_OF_STREAM), os.SEEK_END)
        return file.read() == END_OF_STREAM


def folder_bytes(folder: Path) -> int:
    """Bytes of the record batches' files of a folder."""
    return sum(path.stat().st_size for path in folder.glob("*.arrow"))


def refuse_to_replace(folder: Path, shown: str) -> None:
    """Makes sure that nothing but a saved dataset is replaced.

    Raises:
        InputError: The folder holds anything that `save_to_disk` and `datasets`' cache do not write there.
    """
    refusal = f"'{shown}' is not replaced, even with --force: "
    entries = sorted(folder.iterdir())
    names = {path.name for path in entries}
    here = Path.cwd()
    if folder == here or folder in here.parents:
        raise InputError(f"{refusal}it is the current folder or holds it", next="Choose another folder.")
    if names and not {STATE, INFO} <= names:
        raise InputError(f"{refusal}it is not a saved dataset", next="Choose another folder.")
    for path in entries:
        known = path.name in (STATE, INFO, SIDECAR) or path.suffix == ".arrow"
        if not known or path.is_dir() or path.is_symlink():
            raise InputError(
                f"{refusal}it holds '{path.name}', which is no part of a saved dataset",
                next="Move that elsewhere, or choose another folder.",
            )


def put_in_place(folder: Path, target: Path) -> None:
    """Renames a finished folder to its place; what was there is removed afterwards."""
    if not target.exists():
        folder.rename(target)
        return
    old = _hidden(target)
    target.rename(old)
    try:
        folder.rename(target)
    except BaseException:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def check_space(parent: Path, shown: str, needed: int) -> None:
    """Compares what is to be written with what is free.

    Raises:
        DiskError: It does not fit.
    """
    free = shutil.disk_usage(parent).free
    if needed > free:
        raise DiskError(
            f"'{shown}' needs {format_bytes(needed)} and only {format_bytes(free)} are free there",
            next="Free some space, choose another disk, or write fewer rows with --rows.",
        )
