"""Tables of a report as plain data: heads and cells, which every format lays out in its own way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hfmemdebug.render.text import one_line, percent
from hfmemdebug.render.words import VERDICT_WORDS, finding_cells, unit
from hfmemdebug.result import ArmSummary, Result
from hfmemdebug.units import format_bytes, format_count, format_seconds

MOST_PROCESSES = 20
MOST_FILES = 8
MOST_RANKS = 16
MOST_NODES = 8
_IN_JSON = "all are in -o FILE.json"


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        header: The heads of the columns.
        rows: Their cells. A label that begins with blanks belongs to the one above it.
        text: The places of the columns that hold text, which stands to the left; figures stand to the right.
        leaks: The places of the rows that are a leak's.
        left_out: How much is not shown, in a sentence; empty where all of it is.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    text: frozenset[int] = frozenset({0})
    leaks: frozenset[int] = frozenset()
    left_out: str = ""


def _more(count: int, what: str) -> str:
    return f"and {count:,} more {what} ({_IN_JSON})" if count > 0 else ""


# The runs side by side.

_COMPONENT_WORDS = {
    "rss": "RSS grew by",
    "file": "  mapped file pages",
    "anon": "  anonymous",
    "shmem": "  shared memory",
    "swap": "Swap",
    "arrow": "Still in use: Arrow pool",
    "malloc": "Still in use: malloc",
    "python": "Still in use: Python objects",
}
# Shown even where they could not be read: a missing figure must not look like nothing grew.
_ALWAYS_SHOWN = ("rss", "file", "anon", "shmem", "arrow", "malloc", "python")

# Where every byte went; the owners add up to the first line.
_BREAKDOWN_WORDS = {
    "dataset_pages": "  dataset's mapped pages",
    "other_file_pages": "  other mapped pages",
    "shared": "  shared memory",
    "python": "  Python objects in use",
    "malloc": "  malloc in use",
    "arrow": "  Arrow pool in use",
    "copied": "  private copies of file pages",
    "allocator_retained": "  freed, held by the allocator",
    "fragmentation": "  free, between blocks in use",
    "reserved_untouched": "  in use, not yet written to",
    "unattributed": "  unattributed",
}
# Without a sign of having grown, these say nothing.
_IF_GROWN = ("other_file_pages", "shared", "copied", "fragmentation", "reserved_untouched")
_NEGLIGIBLE = 1024**2

_SETTLING_WORDS = {
    "collect": "Given back: collection",
    "release_pools": "Given back: Arrow pools",
    "trim": "Given back: malloc trim",
    "drop_pages": "Given back: mapped pages",
}


def arm_table(result: Result, most: int, *, thorough: bool = False) -> Table:
    """Returns the runs side by side: a label, and a cell for each run.

    Args:
        result: The result.
        most: Runs at most.
        thorough: Every row, also those that say nothing out of the ordinary.
    """
    arms = result.arms
    rows: list[tuple[str, list[str]]] = []
    if thorough and any(arm.loaded for arm in arms):
        rows = [("Loaded as", [_loaded(arm) for arm in arms])]
    rows += [
        ("Rows read (of all)", [_rows_read(arm, thorough=thorough) for arm in arms]),
        ("Iterations", [_iterations(arm) for arm in arms]),
    ]
    broken_down = any(arm.breakdown for arm in arms)
    rows += _breakdown_rows(arms) if broken_down else _growth_rows(arms, thorough=thorough)
    if thorough or not broken_down:
        rows += _settling_rows(arms, thorough=thorough)
    rows += [
        ("Peak RSS", [format_bytes(arm.peak_rss_bytes) for arm in arms]),
        ("Peak not reclaimable", [format_bytes(arm.peak_unreclaimable_bytes) for arm in arms]),
        ("Time (spent measuring)", [_time(arm) for arm in arms]),
        ("Outcome", [one_line(arm.outcome, 40) for arm in arms]),
    ]
    return Table(
        ["", *(one_line(arm.name, 60) for arm in arms[:most])],
        [[label, *cells[:most]] for label, cells in rows],
        left_out=_more(len(arms) - most, "runs"),
    )


def _breakdown_rows(arms: Sequence[ArmSummary]) -> list[tuple[str, list[str]]]:
    grown = [sum(arm.breakdown.values()) if arm.breakdown else None for arm in arms]
    rows = [("RSS and swap grew by", [format_bytes(total, signed=True) for total in grown])]
    for name, label in _BREAKDOWN_WORDS.items():
        owned = [arm.breakdown.get(name) for arm in arms]
        if name in _IF_GROWN and all(abs(value or 0) < _NEGLIGIBLE for value in owned):
            continue
        if any(value is not None for value in owned) or name == "malloc":
            rows.append((label, [format_bytes(value, signed=True) for value in owned]))
    label, cells = rows.pop()
    shares = ["" if arm.explained_share is None else f" ({percent(1 - arm.explained_share)})" for arm in arms]
    return [*rows, (label, [cell + share for cell, share in zip(cells, shares, strict=True)])]


def _settling_rows(arms: Sequence[ArmSummary], *, thorough: bool) -> list[tuple[str, list[str]]]:
    # What is lost in the rounding of the runs' RSS says nothing.
    floor = max(1 << 20, max((arm.peak_rss_bytes or 0 for arm in arms), default=0) // 100)
    rows = []
    for name, label in _SETTLING_WORDS.items():
        given = [arm.settled.get(name) for arm in arms]
        if any(value is not None if thorough else abs(value or 0) >= floor for value in given):
            rows.append((label, [format_bytes(value) for value in given]))
    return rows


def _growth_rows(arms: Sequence[ArmSummary], *, thorough: bool) -> list[tuple[str, list[str]]]:
    rows = []
    found = dict.fromkeys(name for arm in arms for name in arm.growth)
    for name in (*_COMPONENT_WORDS, *(name for name in found if name not in _COMPONENT_WORDS)):
        grown = [arm.growth.get(name) for arm in arms]
        if any(grown) or (name in _ALWAYS_SHOWN and (thorough or name != "shmem" or None in grown)):
            label = _COMPONENT_WORDS.get(name, one_line(name, 30))
            rows.append((label, [format_bytes(value, signed=True) for value in grown]))
    return rows


def _loaded(arm: ArmSummary) -> str:
    """Returns the storage and what is behind it; no names, which may be private."""
    if not arm.loaded:
        return "–"
    files = arm.loaded.get("files") or ()
    if not files:
        return one_line(str(arm.loaded.get("storage")), 40)
    size = format_bytes(sum(file.get("size_bytes") or 0 for file in files))
    systems = ", ".join(sorted({one_line(str(file.get("filesystem") or "unknown"), 20) for file in files}))
    count = f"{len(files)} file{'s' if len(files) > 1 else ''}"
    return f"{one_line(str(arm.loaded.get('storage')), 40)}: {count}, {size} on {systems}"


def _rows_read(arm: ArmSummary, *, thorough: bool) -> str:
    rows = arm.rows
    if arm.step and arm.slices_per_epoch:
        # Rows that were read in several epochs are still the same rows.
        rows = min(rows, arm.step * arm.slices_per_epoch)
    if not arm.rows_total:
        return format_count(rows) if rows or arm.mode != "program" else "–"
    rows = min(rows, arm.rows_total)
    if rows == arm.rows_total:
        return f"all {format_count(rows)}"
    share = percent(rows / arm.rows_total)
    total = f"{share} of {format_count(arm.rows_total)}" if thorough else share
    return f"{format_count(rows)} ({total})"


def _iterations(arm: ArmSummary) -> str:
    if not arm.slices_per_epoch:
        return format_count(arm.iterations)
    text = f"{format_count(arm.slices_per_epoch)} × {arm.epochs} epoch{'s' if arm.epochs != 1 else ''}"
    planned = arm.slices_per_epoch * arm.epochs
    return text if arm.iterations == planned else f"{format_count(arm.iterations)} of {text}"


def _time(arm: ArmSummary) -> str:
    measuring = f" ({percent(arm.observer_share)})" if arm.observer_share is not None else ""
    return format_seconds(arm.seconds) + measuring


# What grew.


def finding_table(result: Result, most: int, *, thorough: bool = False) -> Table:
    """Returns the findings, largest first.

    Args:
        result: The result.
        most: Findings at most.
        thorough: With the bounds of rates, the shapes, and the run's name also where there is one run alone.
    """
    shown = result.findings[:most]
    header = ["What grew", "Run", "Growth", f"Per {unit(result)}", "Reclaimable", "What it is"]
    rows = [finding_cells(finding, thorough=thorough) for finding in shown]
    text = {0, 1, 4, 5}
    if not thorough and len({finding.arm for finding in result.findings}) == 1:
        header, rows, text = [header[0], *header[2:]], [[row[0], *row[2:]] for row in rows], {0, 3, 4}
    left = len(result.findings) - len(shown)
    return Table(
        header,
        rows,
        frozenset(text),
        frozenset(place for place, finding in enumerate(shown) if finding.role == "leak"),
        f"and {left} smaller ones" if left else "",
    )


# Processes, their data files and shared memory.

_PROCESS_HEADER = (
    "Process", "PSS", "RSS", "anonymous", "file", "shared mem.", "swap", "priv. dirty", "can be taken back",
)  # fmt: skip
_PROCESS_FIELDS = (
    "pss_bytes", "rss_bytes", "anonymous_bytes", "file_bytes", "shmem_bytes", "swap_bytes", "private_dirty_bytes",
    "reclaimable_bytes",
)  # fmt: skip


def process_tables(result: Result) -> list[Table]:
    """Returns the processes, their data files and shared memory: a table for each that there is something of."""
    processes, shared = result.processes or (), result.shared_memory or ()
    files = data_files(processes)
    tables = [
        Table(
            _PROCESS_HEADER,
            _process_rows(result, processes) if processes else [],
            left_out=_more(len(processes) - MOST_PROCESSES, "processes"),
        ),
        Table(
            ("Data file", "resident", "of size", "mapped by", "What it is"),
            [_file_row(file) for file in files[:MOST_FILES]],
            frozenset({0, 4}),
            left_out=_more(len(files) - MOST_FILES, "files"),
        ),
        Table(
            ("Shared memory", "holds", "open in"),
            [
                [
                    one_line(s["path"], 60),
                    format_bytes(s["size_bytes"]),
                    ", ".join(map(str, s["holders"][:6])),
                ]
                for s in shared[:MOST_FILES]
            ],
            left_out=_more(len(shared) - MOST_FILES, "blocks of shared memory"),
        ),
    ]
    return [table for table in tables if table.rows]


def _process_rows(result: Result, processes: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    # Helpers that have next to nothing come last, so that they are what is left out.
    shown = sorted(processes[1:], key=lambda p: -(p["pss_bytes"] or p["rss_bytes"] or 0))
    shown = sorted(shown[: MOST_PROCESSES - 1], key=lambda p: str(p["role"]))
    rows = [
        [
            f"{one_line(str(p['role']), 30)} ({p['pid']})",
            *(format_bytes(p.get(name)) for name in _PROCESS_FIELDS),
        ]
        for p in (processes[0], *shown)
    ]
    if len(processes) > 1:
        back = format_bytes(result.total_reclaimable_bytes)
        # A sum of RSS would count shared pages in each process; that it is missing here is the point.
        total = format_bytes(result.total_pss_bytes)
        rows.append(["total (shared pages counted once)", total, *[""] * 6, back])
    return rows


def data_files(processes: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns data files over all processes, those that hold the most first; ``count`` is how many map it."""
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
    path = one_line(file["path"], 4096)
    return [
        # The end of a path tells more than its beginning.
        path if len(path) <= 60 else f"…{path[-59:]}",
        format_bytes(file["resident_bytes"]),
        format_bytes(file.get("size_bytes")),
        f"{count} process{'es' if count > 1 else ''}",
        one_line(what, 60),
    ]


# Ranks and their nodes.


def rank_tables(result: Result) -> list[Table]:
    """Returns the ranks, outliers first, then the nodes where there are several."""
    ranks, places = result.ranks or (), result.nodes or ()
    tables = []
    if ranks:
        many = len({entry["node"] for entry in ranks}) > 1
        header = ["Rank", *(["Node"] if many else []), "Verdict", f"Per {result.iteration}", "Growth"]
        header += ["Peak PSS", "Peak not reclaimable", "Rows", "Ended"]
        rows = [_rank_row(entry, many=many) for entry in ranks[:MOST_RANKS]]
        text = frozenset({0, header.index("Verdict"), header.index("Ended")})
        tables.append(Table(header, rows, text, left_out=_ranks_left(ranks[MOST_RANKS:])))
    if len(places) > 1:
        # The node whose memory is fullest is the one that dies first.
        shown = sorted(places, key=lambda place: (-len(place["leaking"]), -(place["peak_pss_bytes"] or 0)))
        header = ["Node", "Ranks", "that leak", "Growth", "Peaks of PSS, summed", "not reclaimable, summed"]
        rows = [_node_row(place) for place in shown[:MOST_NODES]]
        tables.append(Table(header, rows, left_out=_more(len(places) - MOST_NODES, "nodes")))
    return tables


def _rank_row(entry: Mapping[str, Any], *, many: bool) -> list[str]:
    leak = entry["verdict"] == "leak"
    return [
        str(entry["rank"]),
        *([str(entry["node"])] if many else []),
        VERDICT_WORDS.get(entry["verdict"], one_line(str(entry["verdict"]), 20)),
        format_bytes(entry["rate_bytes_per_iteration"], signed=True) if leak else "–",
        format_bytes(entry["growth_bytes"], signed=True) if leak else "–",
        format_bytes(entry["peak_pss_bytes"]),
        format_bytes(entry["peak_unreclaimable_bytes"]),
        format_count(entry["rows"]) if entry["rows"] else "–",
        one_line(str(entry["outcome"]), 20),
    ]


def _node_row(place: Mapping[str, Any]) -> list[str]:
    return [
        str(place["node"]),
        format_count(len(place["ranks"])),
        format_count(len(place["leaking"])),
        format_bytes(place["growth_bytes"], signed=True) if place["leaking"] else "–",
        format_bytes(place["peak_pss_bytes"]),
        format_bytes(place["peak_unreclaimable_bytes"]),
    ]


def _ranks_left(entries: Sequence[Mapping[str, Any]]) -> str:
    counts: dict[str, int] = {}
    for entry in entries:
        word = VERDICT_WORDS.get(entry["verdict"], "").lower()
        counts[word] = counts.get(word, 0) + 1
    told = ", ".join(f"{count:,} {word}" for word, count in counts.items())
    return f"and {len(entries):,} more ranks: {told} ({_IN_JSON})" if entries else ""


# A run under a limit, and the runs of `fit`.

_LIMIT_ROWS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("Limit", "bytes", format_bytes),
    ("Swap beyond it", "swap_bytes", format_bytes),
    ("Enforced by", "how", str),
    ("Peak", "peak_bytes", format_bytes),
    ("File pages at the peak", "file_bytes_at_peak", format_bytes),
    ("Peak not reclaimable", "peak_unreclaimable_bytes", format_bytes),
    ("OOM kills", "oom_kills", format_count),
    ("Times at the limit", "limit_hits", format_count),
    ("Times throttled", "throttled", format_count),
    ("Waited for memory", "stalled_seconds", format_seconds),
    ("Pages read from disk", "major_faults", format_count),
    ("Outcome", "outcome", str),
    ("Exit status", "exit_status", str),
    ("Wall time", "seconds", format_seconds),
)


def limit_table(limit: Mapping[str, Any]) -> Table:
    """Returns a run under a limit as rows of a label and a value."""
    rows = [
        [label, one_line(show(limit[key]), 80)]
        for label, key, show in _LIMIT_ROWS
        if limit.get(key) is not None
    ]
    return Table(["", "Value"], rows)


def fit_table(fit: Mapping[str, Any]) -> Table:
    """Returns the runs of `fit`: the one without a limit, then from the largest limit down."""
    free = fit["free"]
    trials = sorted(fit["tried"], key=lambda trial: trial["bytes"], reverse=True)
    header = ["Limit", "Outcome", "Time", "Times as long", "Pages read from disk", "Waited for memory"]
    rows = [
        [
            "none" if trial["bytes"] is None else format_bytes(trial["bytes"]),
            one_line(trial["outcome"], 40),
            format_seconds(trial["seconds"]),
            f"{trial['seconds'] / free['seconds']:.1f}" if trial["outcome"] == "completed" else "–",
            format_count(trial["major_faults"]),
            format_seconds(trial["stalled_seconds"]),
        ]
        for trial in (free, *trials)
    ]
    return Table(header, rows, frozenset({1}))


def with_bars(table: Table, fit: Mapping[str, Any], width: int = 16) -> Table:
    """Returns the table of `fit` with the curve: for each run that finished a bar as long as its time."""
    trials = [fit["free"], *sorted(fit["tried"], key=lambda trial: trial["bytes"], reverse=True)]
    finished = [trial["seconds"] if trial["outcome"] == "completed" else 0.0 for trial in trials]
    bars = ["#" * max(1, round(width * s / max(finished))) if s else "" for s in finished]
    rows = [[*row, bar] for row, bar in zip(table.rows, bars, strict=True)]
    return replace(table, header=[*table.header, ""], rows=rows, text=table.text | {len(table.header)})
