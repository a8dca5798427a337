"""Reads which rank of how many a process is, and on which node, from what launchers put into the environment."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hfmemdebug.recording.header import Launch

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# What a launcher calls one run. Its address and port are none: they change with a restart, and name a host.
_JOB_VARIABLES = (
    "TORCHELASTIC_RUN_ID", "SLURM_JOB_ID", "SLURM_STEP_ID", "PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid", "PMI_JOBID",
    "PBS_JOBID", "LSB_JOBID", "RAY_JOB_ID",
)  # fmt: skip


@dataclass(frozen=True)
class _Dialect:
    """How one launcher says it; the first name that is set counts."""

    rank: str
    world: tuple[str, ...]
    node: tuple[str, ...] = ()
    only_with: str | None = None


_DIALECTS = (
    # torchrun, accelerate, DeepSpeed, Ray Train. Nearest to the program, so asked first: it may run under SLURM.
    _Dialect("RANK", ("WORLD_SIZE",), ("GROUP_RANK", "NODE_RANK", "CROSS_RANK")),
    _Dialect("HOROVOD_RANK", ("HOROVOD_SIZE",), ("HOROVOD_CROSS_RANK",)),
    _Dialect("OMPI_COMM_WORLD_RANK", ("OMPI_COMM_WORLD_SIZE",)),
    _Dialect("PMI_RANK", ("PMI_SIZE",)),
    # A batch script has a SLURM_PROCID of 0 as well: only a step that srun has started is a rank.
    _Dialect("SLURM_PROCID", ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"), ("SLURM_NODEID",), "SLURM_STEP_ID"),
)


def rank_of(environ: Mapping[str, str]) -> int | None:
    """Returns the rank that a launcher has told a process, or None."""
    return next((int(environ[d.rank]) for d in _DIALECTS if _speaks(d, environ)), None)


def read_launch(environ: Mapping[str, str], *, boot_id: str | None = None) -> Launch | None:
    """Reads what a launcher has told this process; None where there was none.

    Args:
        environ: Environment variables.
        boot_id: The kernel's random number of this boot; by default it is read.
    """
    dialect = next(
        (d for d in _DIALECTS if _speaks(d, environ) and _first(environ, d.world) is not None), None
    )
    if dialect is None:
        return None
    if boot_id is None:
        boot_id = _read(_BOOT_ID)
    named = [
        f"{name}={environ[name]}" for name in _JOB_VARIABLES if environ.get(name) not in (None, "", "none")
    ]
    job = _hash("\0".join(named)) if named else None
    return Launch(
        rank=int(environ[dialect.rank]),
        world=_first(environ, dialect.world),
        node=_first(environ, dialect.node),
        place=_hash(f"{job}\0{boot_id}") if boot_id else None,
        job=job,
        restart=_first(environ, ("TORCHELASTIC_RESTART_COUNT",)) or 0,
    )


def _speaks(dialect: _Dialect, environ: Mapping[str, str]) -> bool:
    number = environ.get(dialect.rank, "")
    return _is_number(number) and (dialect.only_with is None or dialect.only_with in environ)


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> int | None:
    return next((int(environ[name]) for name in names if _is_number(environ.get(name, ""))), None)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=8).hexdigest()


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
