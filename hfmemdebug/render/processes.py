"""Processes, their data files and shared memory as cells of tables, for every format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hfmemdebug.render.text import one_line
from hfmemdebug.result import Result
from hfmemdebug.units import format_bytes

MOST_PROCESSES = 20
MOST_FILES = 8
_HEADER = (
    "Process", "PSS", "RSS", "anonymous", "file", "shared mem.", "swap", "priv. dirty", "can be taken back",
)  # fmt: skip
_FIELDS = (
    "pss_bytes", "rss_bytes", "anonymous_bytes", "file_bytes", "shmem_bytes", "swap_bytes", "private_dirty_bytes",
    "reclaimable_bytes",
)  # fmt: skip

Table = tuple[Sequence[str], list[list[str]], str]


def process_tables(result: Result) -> Iterable[Table]:
    """Header, rows and what was left out, for each table that there is something for."""
    processes = result.processes or ()
    if processes:
        yield _HEADER, _process_rows(result, processes), _more(len(processes) - MOST_PROCESSES, "processes")
    files = data_files(processes)
    if files:
        rows = [_file_row(file) for file in files[:MOST_FILES]]
        header = ("Data file", "resident", "of size", "mapped by", "What it is")
        yield header, rows, _more(len(files) - MOST_FILES, "files")
    shared = result.shared_memory or ()
    if shared:
        rows = [
            [
                one_line(item["path"], 60),
                format_bytes(item["size_bytes"]),
                ", ".join(map(str, item["holders"][:6])),
            ]
            for item in shared[:MOST_FILES]
        ]
        yield (
            ("Shared memory", "holds", "open in"),
            rows,
            _more(len(shared) - MOST_FILES, "blocks of shared memory"),
        )


def _process_rows(result: Result, processes: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    # Helpers that have next to nothing come last, so that they are what is left out.
    shown = sorted(processes[1:], key=lambda p: -(p["pss_bytes"] or p["rss_bytes"] or 0))[
        : MOST_PROCESSES - 1
    ]
    shown.sort(key=lambda p: str(p["role"]))
    rows = [
        [f"{one_line(str(p['role']), 30)} ({p['pid']})", *(format_bytes(p.get(name)) for name in _FIELDS)]
        for p in (processes[0], *shown)
    ]
    if len(processes) > 1:
        back = format_bytes(result.total_reclaimable_bytes)
        # A sum of RSS would count shared pages in each process; that it is missing here is the point.
        rows.append(["all, shared pages once", format_bytes(result.total_pss_bytes), *[""] * 6, back])
    return rows


def data_files(processes: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Data files over all processes, those that hold the most first; ``count`` is how many map it."""
    found: dict[str, dict[str, Any]] = {}
    for process in processes:
        for file in process.get("files") or ():
            known = found.setdefault(file["path"], {**file, "count": 0})
            known["count"] += 1
            known["resident_bytes"] = max(known["resident_bytes"], file["resident_bytes"])
    return sorted(found.values(), key=lambda file: -file["resident_bytes"])


def _file_row(file: Mapping[str, Any]) -> list[str]:
    count = file["count"]
    what = file.get("kind") or "file"
    if file.get("fingerprint"):
        what = f"{what} {file['fingerprint']}"
    if file.get("memory_backed"):
        what = f"{what}, in memory (tmpfs): stays"
    return [
        # The end of a path tells more than its beginning.
        _end_of(file["path"], 60),
        format_bytes(file["resident_bytes"]),
        format_bytes(file.get("size_bytes")),
        f"{count} process{'es' if count > 1 else ''}",
        one_line(what, 60),
    ]


def _end_of(path: str, most: int) -> str:
    line = one_line(path, 4096)
    return line if len(line) <= most else f"…{line[1 - most :]}"


def _more(count: int, what: str) -> str:
    return f"and {count} more {what} (all are in -o FILE.json)" if count > 0 else ""
