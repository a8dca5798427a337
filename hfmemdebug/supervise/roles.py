"""Tells from outside what a process is for: by its command line, name, environment and open files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import psutil

from hfmemdebug.probes.launch import rank_of
from hfmemdebug.probes.process_table import command_line, environment_of, open_files

# torch names its workers' main threads (since 2.5), and multiprocessing's helpers are started by name.
_DATALOADER_COMM = "pt_data_worker"
_HELPERS = (
    (re.compile(r"(?:multiprocessing|multiprocess|loky\.backend)\.resource_tracker import main"), "resource tracker"),
    (re.compile(r"(?:multiprocessing|multiprocess)\.forkserver import main"), "fork server"),
    (re.compile(r"(?:multiprocessing|multiprocess)\.spawn import spawn_main"), "spawned worker"),
    (re.compile(r"joblib\.externals\.loky\.backend\.popen_loky_posix"), "joblib worker"),
)  # fmt: skip
_LAUNCHER = re.compile(r"(?:^|/)(?:torchrun|accelerate|mpirun|mpiexec|srun|deepspeed|horovodrun)$")
_LAUNCHER_MODULE = re.compile(r"^(?:torch\.distributed\.(?:run|launch)|accelerate\.commands\.\w+)$")
_PYTHON = re.compile(r"(?:^|/)(?:python|pypy)[\d.]*$")
# Alone or behind flags without a value, as in ``-um module``; what follows is the program's.
_RUNS = re.compile(r"-[bBdEhiIOPqRsSuvVx?]*([cm])")
_WITH_VALUE = ("-W", "-X", "--check-hash-based-pycs")
_LONGEST_NAME = 40
# A map worker writes its shard under such a name beside the dataset, and renames it when it is done.
_MAP_OUTPUT = re.compile(r"/tmp[a-z0-9_]{8}$")


@dataclass(frozen=True)
class Clues:
    """The signs by which a process's role is told.

    Attributes:
        pid: Its number.
        ppid: Its parent in the tree; None for the root.
        comm: The name of its main thread.
        command: Its arguments.
        rank: What its environment says, or None.
        files: What its descriptors lead to.
        started: When it was started (`psutil.Process.create_time`).
    """

    pid: int
    ppid: int | None
    comm: str = ""
    command: Sequence[str] = ()
    rank: int | None = None
    files: Sequence[str] = ()
    started: float = 0


def find_clues(process: psutil.Process, ppid: int | None, parent: Clues | None) -> Clues:
    """Reads what is known of a process.

    Args:
        process: The process.
        ppid: Its parent in the tree; None for the root.
        parent: What is known of that.

    Raises:
        psutil.Error: It has ended.
    """
    command = command_line(process.pid)
    copy = parent is not None and parent.command == command
    return Clues(
        pid=process.pid,
        ppid=ppid,
        comm=process.name(),
        command=command,
        rank=rank_of(environment_of(process.pid)),
        files=tuple(path for _, path in open_files(process.pid)) if copy else (),
        started=process.create_time(),
    )


def roles_of(clues: Iterable[Clues]) -> dict[int, str]:
    """Names the role of each process of a tree.

    Siblings of a kind are numbered in the order in which they were started, from 0, as torch does.
    """
    by_pid = {clue.pid: clue for clue in clues}
    ordered = sorted(by_pid.values(), key=lambda clue: (clue.started, clue.pid))
    roles: dict[int, str] = {}
    counts: dict[tuple[int | None, str], int] = {}
    for clue in ordered:
        kind = _kind(clue, by_pid)
        if kind.endswith(" worker") or kind == "worker":
            number = counts.get((clue.ppid, kind), 0)
            counts[clue.ppid, kind] = number + 1
            kind = f"{kind} {number}"
        roles[clue.pid] = kind
    return roles


def is_fork(clue: Clues, by_pid: Mapping[int, Clues]) -> bool:
    """Decides if a process is its parent's copy: it has the same arguments, since nothing else was started."""
    parent = by_pid.get(clue.ppid) if clue.ppid is not None else None
    if parent is None or not clue.command:
        return False
    return tuple(parent.command) == tuple(clue.command) or _helper(parent) == "fork server" == _helper(clue)


def _kind(clue: Clues, by_pid: Mapping[int, Clues]) -> str:
    forked = is_fork(clue, by_pid)
    if clue.comm == _DATALOADER_COMM:
        return "DataLoader worker"
    helper = _helper(clue)
    if helper == "fork server" and forked:
        return "worker"
    if helper is not None:
        return helper
    if _is_launcher(clue):
        return "launcher"
    parent = by_pid.get(clue.ppid) if clue.ppid is not None else None
    if forked:
        return "map worker" if any(map(_MAP_OUTPUT.search, clue.files)) else "worker"
    if clue.rank is not None and (parent is None or _is_launcher(parent) or parent.rank != clue.rank):
        return f"rank {clue.rank}"
    if parent is None:
        return "main"
    name = _name(clue.command[0]) if clue.command else clue.comm
    if clue.command and _PYTHON.search(clue.command[0]):
        return f"python {_program(clue.command[1:])}".strip()
    return name or "unknown"


def _program(arguments: Sequence[str]) -> str:
    """Names what an interpreter runs: the script or the module; of ``-c`` not the code, which may hold anything."""
    rest = iter(arguments)
    for part in rest:
        if part == "-" or not part.startswith("-"):
            return _name(part)
        if runs := _RUNS.match(part):
            return "-c" if runs[1] == "c" else f"-m {part[runs.end() :] or next(rest, '')}".strip()
        if part in _WITH_VALUE:
            next(rest, None)
    return ""


def _name(path: str) -> str:
    """Returns the last part of a path, in a line: a process may write anything over its name."""
    name = " ".join(path.rpartition("/")[2].split())
    return "".join(c for c in name if c.isprintable())[:_LONGEST_NAME]


def _helper(clue: Clues) -> str | None:
    if clue.command and _name(clue.command[0]) == "torch_shm_manager":
        return "shared memory manager"
    for part in clue.command:
        for pattern, role in _HELPERS:
            if pattern.search(part):
                return role
    return None


def _is_launcher(clue: Clues) -> bool:
    return any(_LAUNCHER.search(part) for part in clue.command[:2]) or any(
        flag == "-m" and _LAUNCHER_MODULE.match(module)
        for flag, module in zip(clue.command, clue.command[1:], strict=False)
    )
