"""Versions and settings that matter to memory, as `datasets-cli env` prints them and beyond.

Versions come from the packages' metadata and not from importing them; pyarrow alone is imported, for
its memory pool. Nothing here raises: what cannot be read is ``unknown``.
"""

from __future__ import annotations

import ast
import contextlib
import gc
import importlib.metadata
import importlib.util
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from hfmemdebug._version import __version__
from hfmemdebug.probes.cgroup import cgroup_version, memory_limit, parse_meminfo
from hfmemdebug.probes.container import container_memory, memory_pressure
from hfmemdebug.units import format_bytes

UNKNOWN = "unknown"
INTRO = "Copy-and-paste the text below in your GitHub issue."

# What `datasets-cli env` of datasets 5.2 prints, for when the installed one cannot be read.
_DATASETS_LINES = {
    "`datasets` version": "datasets",
    "Platform": "platform.platform",
    "Python version": "platform.python_version",
    "`huggingface_hub` version": "huggingface_hub",
    "PyArrow version": "pyarrow",
    "Pandas version": "pandas",
    "`fsspec` version": "fsspec",
}
_MALLOC_SETTINGS = ("GLIBC_TUNABLES", "PYTHONMALLOC", "MALLOC_CONF", "_RJEM_MALLOC_CONF")
_ALLOCATORS = ("jemalloc", "tcmalloc", "mimalloc")
_OVERCOMMIT = {"0": "0 (heuristic)", "1": "1 (always)", "2": "2 (never beyond the limit)"}
_CONTAINERS_BY_GROUP = {"kubepods": "kubernetes", "docker": "docker", "libpod": "podman", "/lxc": "lxc"}


def environment(*, root: Path = Path("/"), environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What a bug report must say about this machine, label by label in the order of printing.

    The first lines are those of the installed `datasets-cli env`, word for word. Neither the host's nor
    the user's name is among the values.

    Args:
        root: Where `/proc` and `/sys` are found.
        environ: The environment variables.
    """
    lines = {**_datasets_lines(), **machine_environment(root=root, environ=environ)}
    process: dict[str, Callable[[], str]] = {
        "Arrow memory pool": lambda: _arrow_pool(environ),
        "malloc": lambda: malloc_in_use(_text(root / "proc/self/maps")),
        "malloc settings": lambda: _malloc_settings(environ),
        "Garbage collector": lambda: f"{'on' if gc.isenabled() else 'off'}, thresholds {gc.get_threshold()}",
        "Start method": _start_method,
    }
    for label, read in process.items():
        lines[label] = _never_raise(read)
    return lines


def machine_environment(*, root: Path = Path("/"), environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The part of `environment` that is about the machine: all there is to say of another process.

    Args:
        root: Where `/proc` and `/sys` are found.
        environ: The environment variables.
    """
    machine: dict[str, Callable[[], str]] = {
        "hfmemdebug version": lambda: __version__,
        "Kernel": lambda: f"{platform.system()} {platform.release()}",
        "C library": lambda: _c_library(root),
        "Container": lambda: container(root=root, environ=environ),
        "cgroup": lambda: cgroup_version(root=root),
        "Memory limit": lambda: _limit(root),
        "Memory in use": lambda: _in_use(root),
        "Memory pressure": lambda: _pressure(root),
        "RAM": lambda: _ram(root),
        "Swap": lambda: _swap(root),
        "Page size": lambda: format_bytes(os.sysconf("SC_PAGE_SIZE")),
        "Transparent huge pages": lambda: _chosen(_text(root / "sys/kernel/mm/transparent_hugepage/enabled")),
        "Overcommit": lambda: _overcommit(_text(root / "proc/sys/vm/overcommit_memory")),
    }
    return {label: _never_raise(read) for label, read in machine.items()}


def format_environment(lines: Mapping[str, str]) -> str:
    """The lines in the layout of `datasets-cli env`, without its introduction."""
    return "\n".join(f"- {label}: {value}" for label, value in lines.items()) + "\n"


def container(*, root: Path = Path("/"), environ: Mapping[str, str] = os.environ) -> str:
    """``kubernetes``, ``docker``, ``podman``, what the container says of itself, or ``none``."""
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


def malloc_in_use(maps: str) -> str:
    """Which malloc serves the process, from the text of `/proc/PID/maps`.

    A library that replaces malloc is mapped by its file name; Arrow's own allocators are linked into
    libarrow and do not show. Where none does, it is the C library's.
    """
    if not maps:
        return UNKNOWN
    files = {line.split(maxsplit=5)[5].rpartition("/")[2] for line in maps.splitlines() if line.count("/")}
    for name in _ALLOCATORS:
        if any(file.startswith((f"lib{name}", f"{name}.")) for file in files):
            return name
    if any(file.startswith(("ld-musl", "libc.musl")) for file in files):
        return "musl"
    return "glibc" if any(file.startswith(("libc.so", "libc-2")) for file in files) else UNKNOWN


def datasets_env_lines(source: str) -> dict[str, str]:
    """What `datasets/commands/env.py` prints, from its source text: labels, and where each value is from.

    The labels differ between releases, and running the command imports everything.

    Returns:
        Label → name of a distribution, or ``platform.FUNCTION``; empty where the source has another shape.
    """
    try:
        nodes = ast.walk(ast.parse(source))
    except SyntaxError:
        return {}
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            pairs = zip(node.value.keys, node.value.values, strict=True)
            return {str(k.value): _origin(v) for k, v in pairs if isinstance(k, ast.Constant)}
    return {}


def _origin(value: ast.expr) -> str:
    text = ast.unparse(value)
    return "datasets" if text == "version" else text.removesuffix("()").removesuffix(".__version__")


def _datasets_lines() -> dict[str, str]:
    source = ""
    with contextlib.suppress(ImportError, ValueError, OSError):
        spec = importlib.util.find_spec("datasets")
        if spec is not None and spec.origin is not None:
            source = Path(spec.origin).with_name("commands").joinpath("env.py").read_text(encoding="utf-8")
    labels = datasets_env_lines(source) or _DATASETS_LINES
    return {label: _never_raise(partial(_value_of, origin)) for label, origin in labels.items()}


def _value_of(origin: str) -> str:
    if origin.startswith("platform."):
        return str(getattr(platform, origin.removeprefix("platform."))())
    return importlib.metadata.version(origin)


def _never_raise(read: Callable[[], str]) -> str:
    try:
        return read() or UNKNOWN
    except Exception:
        # A report without one line is worth more than no report.
        return UNKNOWN


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _c_library(root: Path) -> str:
    with contextlib.suppress(AttributeError, OSError, ValueError):
        if version := os.confstr("CS_GNU_LIBC_VERSION"):
            return version
    if malloc_in_use(_text(root / "proc/self/maps")) == "musl":
        return "musl"
    return " ".join(platform.libc_ver()).strip()


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


def _ram(root: Path) -> str:
    values = parse_meminfo(_text(root / "proc/meminfo"))
    if "MemTotal" in values:
        total, available = values["MemTotal"], values.get("MemAvailable")
    else:
        import psutil

        memory = psutil.virtual_memory()
        total, available = memory.total, memory.available
    return f"{format_bytes(total)}, {format_bytes(available)} available"


def _swap(root: Path) -> str:
    values = parse_meminfo(_text(root / "proc/meminfo"))
    if "SwapTotal" in values:
        total, free = values["SwapTotal"], values.get("SwapFree")
    else:
        import psutil

        swap = psutil.swap_memory()
        total, free = swap.total, swap.free
    return f"{format_bytes(total)}, {format_bytes(free)} free" if total else "none"


def _chosen(text: str) -> str:
    return text.partition("[")[2].partition("]")[0]


def _overcommit(text: str) -> str:
    return _OVERCOMMIT.get(text.strip(), text.strip())


def _arrow_pool(environ: Mapping[str, str]) -> str:
    import pyarrow

    chosen = environ.get("ARROW_DEFAULT_MEMORY_POOL")
    how = f"ARROW_DEFAULT_MEMORY_POOL={chosen}" if chosen else "ARROW_DEFAULT_MEMORY_POOL not set"
    return f"{pyarrow.default_memory_pool().backend_name} ({how})"


def _malloc_settings(environ: Mapping[str, str]) -> str:
    return ", ".join(_settings(environ)) or "none set"


def _settings(environ: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(environ):
        if name in _MALLOC_SETTINGS or name.startswith("MALLOC_"):
            yield f"{name}={environ[name]}"
    # Names only: the folders before them may be somebody's home.
    if preloaded := environ.get("LD_PRELOAD", "").replace(":", " ").split():
        yield f"LD_PRELOAD={':'.join(path.rpartition('/')[2] for path in preloaded)}"


def _start_method() -> str:
    import multiprocessing

    # Asking without allow_none would fix the default for the rest of the process.
    return multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0]
