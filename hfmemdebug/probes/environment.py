"""Reads versions and settings that matter to memory, as `datasets-cli env` prints them and beyond.

Versions come from the packages' metadata and not from importing them; pyarrow alone is imported, for
its memory pool. Nothing here raises: what cannot be read is ``unknown``.
"""

from __future__ import annotations

import gc
import importlib.metadata
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil

from hfmemdebug._version import __version__
from hfmemdebug.probes.allocators import find_allocator
from hfmemdebug.probes.cgroup import cgroup_version, container_memory, memory_limit, memory_pressure
from hfmemdebug.units import format_bytes

UNKNOWN = "unknown"
INTRO = "Copy-and-paste the text below in your GitHub issue."

_MALLOC_SETTINGS = ("GLIBC_TUNABLES", "PYTHONMALLOC", "MALLOC_CONF", "_RJEM_MALLOC_CONF")
_OVERCOMMIT = {"0": "0 (heuristic)", "1": "1 (always)", "2": "2 (never beyond the limit)"}
_CONTAINERS_BY_GROUP = {"kubepods": "kubernetes", "docker": "docker", "libpod": "podman", "/lxc": "lxc"}


def environment(*, root: Path = Path("/"), environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Reads what a bug report must say about this machine, label by label in the order of printing.

    The first lines are those of `datasets-cli env`. Neither the host's nor the user's name is among the values.

    Args:
        root: Where `/proc` and `/sys` are found.
        environ: The environment variables.
    """
    version = importlib.metadata.version
    return {
        **_each(
            {
                "`datasets` version": lambda: version("datasets"),
                "Platform": platform.platform,
                "Python version": platform.python_version,
                "`huggingface_hub` version": lambda: version("huggingface_hub"),
                "PyArrow version": lambda: version("pyarrow"),
                "Pandas version": lambda: version("pandas"),
                "`fsspec` version": lambda: version("fsspec"),
            }
        ),
        **machine_environment(root=root, environ=environ),
        **_each(
            {
                "Arrow memory pool": lambda: _arrow_pool(environ),
                "malloc": lambda: find_allocator(_text(root / "proc/self/maps")),
                "malloc settings": lambda: ", ".join(_malloc_settings(environ)) or "none set",
                "Garbage collector": lambda: (
                    f"{'on' if gc.isenabled() else 'off'}, thresholds {gc.get_threshold()}"
                ),
                "Start method": _start_method,
            }
        ),
    }


def machine_environment(*, root: Path = Path("/"), environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Reads the part of `environment` that is about the machine: all there is to say of another process.

    Args:
        root: Where `/proc` and `/sys` are found.
        environ: The environment variables.
    """
    return _each(
        {
            "hfmemdebug version": lambda: __version__,
            "Kernel": lambda: f"{platform.system()} {platform.release()}",
            "C library": lambda: _c_library(root),
            "Container": lambda: container(root=root, environ=environ),
            "cgroup": lambda: cgroup_version(root=root),
            "Memory limit": lambda: _limit(root),
            "Memory in use": lambda: _in_use(root),
            "Memory pressure": lambda: _pressure(root),
            "RAM": _ram,
            "Swap": _swap,
            "Page size": lambda: format_bytes(os.sysconf("SC_PAGE_SIZE")),
            "Transparent huge pages": lambda: _chosen(
                _text(root / "sys/kernel/mm/transparent_hugepage/enabled")
            ),
            "Overcommit": lambda: _overcommit(_text(root / "proc/sys/vm/overcommit_memory").strip()),
        }
    )


def format_environment(lines: Mapping[str, str]) -> str:
    """Formats the lines in the layout of `datasets-cli env`, without its introduction."""
    return "\n".join(f"- {label}: {value}" for label, value in lines.items()) + "\n"


def container(*, root: Path = Path("/"), environ: Mapping[str, str] = os.environ) -> str:
    """Returns ``kubernetes``, ``docker``, ``podman``, what the container says of itself, or ``none``."""
    if "KUBERNETES_SERVICE_HOST" in environ:
        return "kubernetes"
    if (root / "run/.containerenv").exists():
        return "podman"
    if (root / ".dockerenv").exists():
        return "docker"
    groups = _text(root / "proc/self/cgroup") + _text(root / "proc/1/cgroup")
    for sign, name in _CONTAINERS_BY_GROUP.items():
        if sign in groups:
            return name
    return environ.get("container") or "none"


def _each(readers: Mapping[str, Callable[[], str]]) -> dict[str, str]:
    found = {}
    for label, read in readers.items():
        try:
            found[label] = read() or UNKNOWN
        except Exception:
            # A report without one line is worth more than no report.
            found[label] = UNKNOWN
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _c_library(root: Path) -> str:
    # musl has no such name of confstr(3).
    if "CS_GNU_LIBC_VERSION" in os.confstr_names and (version := os.confstr("CS_GNU_LIBC_VERSION")):
        return version
    return find_allocator(_text(root / "proc/self/maps"))


def _limit(root: Path) -> str:
    if cgroup_version(root=root) == "none":
        return "none" if (root / "proc/self/cgroup").exists() else UNKNOWN
    limit = memory_limit(root=root)
    return "unlimited" if limit is None else format_bytes(limit)


def _in_use(root: Path) -> str:
    memory = container_memory(root=root)
    if memory is None:
        return "not accounted by a control group"
    return (
        f"{format_bytes(memory.usage)} usage, {format_bytes(memory.working_set)} working set (Kubernetes), "
        f"{format_bytes(memory.unreclaimable)} of it not reclaimable (what an OOM kill is about)"
    )


def _pressure(root: Path) -> str:
    values = memory_pressure(root=root)
    if "some" not in values:
        return "the kernel does not say (no PSI)"
    full = f", all for {values['full']:.1f} %" if "full" in values else ""
    return f"some processes waited for memory for {values['some']:.1f} % of the last 10 s{full}"


def _ram() -> str:
    memory = psutil.virtual_memory()
    return f"{format_bytes(memory.total)}, {format_bytes(memory.available)} available"


def _swap() -> str:
    swap = psutil.swap_memory()
    return f"{format_bytes(swap.total)}, {format_bytes(swap.free)} free" if swap.total else "none"


def _chosen(text: str) -> str:
    return text.partition("[")[2].partition("]")[0]


def _overcommit(text: str) -> str:
    return _OVERCOMMIT.get(text, text)


def _arrow_pool(environ: Mapping[str, str]) -> str:
    import pyarrow

    chosen = environ.get("ARROW_DEFAULT_MEMORY_POOL")
    how = f"ARROW_DEFAULT_MEMORY_POOL={chosen}" if chosen else "ARROW_DEFAULT_MEMORY_POOL not set"
    return f"{pyarrow.default_memory_pool().backend_name} ({how})"


def _malloc_settings(environ: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(environ):
        if name in _MALLOC_SETTINGS or name.startswith("MALLOC_"):
            yield f"{name}={environ[name]}"
    # Names only: the folders before them may be the user's home.
    if preloaded := environ.get("LD_PRELOAD", "").replace(":", " ").split():
        yield f"LD_PRELOAD={':'.join(path.rpartition('/')[2] for path in preloaded)}"


def _start_method() -> str:
    import multiprocessing

    # Asking without allow_none would fix the default for the rest of the process.
    return multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0]
