"""The verdict in a sentence that a tired person understands, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hfmemdebug.analysis.assess import Assessment
from hfmemdebug.recording.file import Recording
from hfmemdebug.result import Finding
from hfmemdebug.sizes import format_bytes

# What the tracing pass says of C functions where the extra is missing.
NO_MEMRAY = "not installed"

OWNER = {
    "python": "Python objects",
    "malloc": "memory from malloc",
    "arrow": "Arrow buffers",
    "copied": "private copies of files' pages",
    "other": "anonymous memory that no counter owns",
    "shmem": "shared memory",
    "dev_shm": "files in /dev/shm",
    "file_maps": "the number of file mappings",
    "fds": "the number of open file descriptors",
    "threads": "the number of threads",
    "children": "the number of child processes",
    "children_anon": "memory of the child processes",
}

LEAKED = {
    "python-objects": "Python objects",
    "native-heap": "memory from malloc",
    "arrow-pool": "Arrow buffers",
    "shared-memory": "shared memory",
    "file-mapping": "file mappings or descriptors that pile up",
    "anonymous-other": "anonymous memory",
    "copy-on-write": "private copies of pages",
}


def summary(
    verdict: str,
    cause: str | None,
    origin: str | None,
    rate: float,
    assessments: Sequence[Assessment],
    benign: Sequence[Finding],
    *,
    open_question: str | None,
) -> str:
    """One sentence, two at most."""
    if verdict == "leak":
        guilty = next(a for a in sorted(assessments, key=lambda a: a.control is None) if a.growing)
        only_children = {c.name for c in guilty.growing} == {"children_anon"}
        what = "memory in its child processes" if only_children else LEAKED.get(cause or "", "memory")
        slices = len(guilty.recording.slices)
        iterable = is_iterable(guilty.recording)
        step = guilty.recording.header["workload"].get("step") or 1
        unit = "item" if iterable else guilty.recording.header.get("iteration") or "slice"
        per = f"slice of {step:,} rows" if unit == "slice" else unit
        rate_text = f"{format_bytes(rate)} of {what} per {per}, in every epoch ({slices} {unit}s)"
        if origin == "user-code":
            return f"Leak in your code: it keeps {rate_text}; without it, the same rows keep nothing."
        if origin is None:
            where = "your code" if guilty.recording.header["arm"]["consumer"] else "your iterable"
            return f"Leak, in {where} or in what it calls: {rate_text} stay behind."
        return f"Leak in a library, without any code of yours: {rate_text} stay behind."
    if verdict == "inconclusive":
        return f"Inconclusive: {open_question}."
    copies = [f for f in benign if f.cause == "copy-on-write"]
    if cause == "copy-on-write":
        return f"No leak: {_copied(copies)}"
    more = f" Besides, {_copied(copies)}" if copies else ""
    return f"No leak: {_no_leak(cause, benign, assessments)}{more}"


def is_iterable(recording: Recording) -> bool:
    """Whether the rows came from an iterable of the user's own."""
    return (recording.header.get("loaded") or {}).get("step") is not None


def _copied(copies: Sequence[Finding]) -> str:
    return (
        f"{format_bytes(copies[0].growth_bytes)} are {copies[0].detail}: bounded by what is mapped, and not to "
        "be taken back."
    )


def _no_leak(cause: str | None, benign: Sequence[Finding], assessments: Sequence[Assessment]) -> str:
    if cause == "mmap-file-pages":
        mapped = [f for f in benign if f.cause == cause]
        # The same files are mapped in every arm, and one arm takes their pages back for all.
        pages = next((f for f in mapped if f.reclaimable), mapped[0])
        in_memory = next((a for a in assessments if a.recording.header["arm"]["mode"] == "in-memory"), None)
        proved = {
            True: "the kernel took them back when asked",
            None: "the kernel takes them back when memory is short",
            False: "they are memory themselves (tmpfs): bounded by the files, but not to be taken back",
        }[pages.reclaimable]
        contrast = " Of the same rows in memory, nothing grows." if in_memory is not None else ""
        return (
            f"up to {format_bytes(pages.growth_bytes)} of RSS are pages of the dataset's mapped files; "
            f"{proved}.{contrast}"
        )
    if cause is None:
        return "nothing grew after the warm-up."
    largest = benign[0]
    if cause == "allocator-retention":
        return (
            f"{format_bytes(largest.growth_bytes)} were free memory that the allocators kept for reuse; what is "
            "in use did not grow."
        )
    return f"{format_bytes(largest.growth_bytes)} came once and did not go on growing."


def advice(
    verdict: str,
    cause: str | None,
    origin: str | None,
    assessments: Sequence[Assessment],
    benign: Sequence[Finding],
    *,
    open_question: str | None,
    died: bool,
    sites: Sequence[dict[str, Any]],
    holders: Sequence[dict[str, Any]],
    no_frames: str | None = None,
) -> tuple[str, ...]:
    """What to do next, one line each."""
    if verdict == "inconclusive":
        if died:
            return ("Mend what ended it, or give it less to do (--step, --iterations), and run it again.",)
        return (f"To decide: {open_question}.",)
    if verdict == "no-leak":
        return _advice_without_leak(cause, assessments, benign)
    if origin == "library":
        return (
            "Report it to the library with this result attached (-o report.md): it needs none of your code.",
        )
    lines = _advice_from_trace(sites, holders) or _ADVICE_OF_LEAK.get(cause or "", ())
    if no_frames == NO_MEMRAY and cause in ("native-heap", "arrow-pool", "anonymous-other"):
        lines = (
            *lines,
            "To see the C functions behind it: pip install 'hfmemdebug[native]', and run it again.",
        )
    ours = any(a.growing and a.recording.header["arm"]["consumer"] for a in assessments)
    if origin is None and ours and not _is_a_program(assessments):
        return (
            *lines,
            "hfmemdebug diagnose with the same options tells whether your code or a library leaks.",
        )
    return lines


def _is_a_program(assessments: Sequence[Assessment]) -> bool:
    """Whether somebody's own loop was recorded, which no command of ours can run once more."""
    return all(a.recording.header["arm"]["mode"] == "program" for a in assessments)


def _advice_from_trace(sites: Sequence[dict[str, Any]], holders: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """The line to look at and the container to bound, where the tracing pass has found them."""
    lines = []
    if sites:
        where = f" in {sites[0]['function']}" if sites[0].get("function") else ""
        lines.append(f"Look at {sites[0]['file']}:{sites[0]['line']}{where}: what stays comes from there.")
    if holders and "lru_cache (unbounded)" in holders[0]["path"]:
        lines.append(f"Give the cache a bound, lru_cache(maxsize=…): {holders[0]['path']}.")
    elif holders:
        lines.append(f"Clear or bound what keeps it: {holders[0]['path']}.")
    return tuple(lines)


_ADVICE_OF_LEAK = {
    "python-objects": (
        "Look in the consumer for what it appends to, caches in or assigns to anything that outlives the call.",
    ),
    "arrow-pool": (
        "Something keeps Arrow tables or views of them: a small slice or a numpy view pins the whole buffer; "
        "copy what you keep.",
    ),
    "native-heap": (
        "A native library keeps memory, or Python keeps large buffers: look at what each call creates.",
    ),
    "copy-on-write": (
        "Map the file once, or close each private mapping (mode 'c') when it is done with: what was written to "
        "it stays in memory until then.",
    ),
    "file-mapping": ("Close files and mappings that are opened in each call, or open them once.",),
    "shared-memory": ("Unlink and close shared memory when it is done with.",),
    "anonymous-other": (
        "Look for threads, pools and processes that each call starts and nothing ends, and for what workers "
        "keep from call to call.",
    ),
}


def _advice_without_leak(
    cause: str | None, assessments: Sequence[Assessment], benign: Sequence[Finding]
) -> tuple[str, ...]:
    lines: list[str] = []
    modes = {a.recording.header["arm"]["mode"] for a in assessments}
    if modes == {"mmap"}:
        lines.append(
            "In memory (--in-mem) the file pages are not there, and what still grows stands alone; "
            "hfmemdebug diagnose runs both modes."
        )
    elif modes == {"in-memory"}:
        lines.append(
            "Memory-mapped (without --in-mem) RSS will rise by the pages that are read; hfmemdebug diagnose "
            "runs both modes and shows that they can be taken back."
        )
    if not any(a.control is not None for a in assessments) and not _is_a_program(assessments):
        lines.append("To test your own code on the same rows: --consumer FILE.py:FUNC.")
    in_memory_files = any(
        file.get("memory_backed")
        for a in assessments
        for file in (a.recording.header.get("loaded") or {}).get("files") or ()
    )
    if cause == "mmap-file-pages" and in_memory_files:
        lines.insert(0, "Move the dataset to a disk: on tmpfs it counts in full towards a container's limit.")
    elif cause == "mmap-file-pages":
        lines.insert(
            0,
            "Your dashboard's RSS will rise to the size of the dataset and stay there. What ends in an OOM "
            "kill is memory that cannot be taken back: watch RssAnon and RssShmem, not RSS.",
        )
    if any(finding.cause == "copy-on-write" for finding in benign):
        lines.insert(
            0,
            "Private copies (mode 'c') are anonymous memory and count in full towards a limit; flush() does "
            "nothing for them. Write to a copy of the slice, or map a copy of the file with mode 'r+', whose "
            "pages go back to the file.",
        )
    if cause == "allocator-retention":
        lines.insert(
            0,
            "To give it back by hand: pyarrow.default_memory_pool().release_unused(); or start with "
            "ARROW_DEFAULT_MEMORY_POOL=system.",
        )
    return tuple(lines)
