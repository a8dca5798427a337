"""Advises what to do next, in a line or two with the exact call, as it follows from what was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hfmemdebug.analysis.assess import Assessment
from hfmemdebug.analysis.judgement import Judgement
from hfmemdebug.analysis.program import Program
from hfmemdebug.analysis.summaries import what_settling_gave_back
from hfmemdebug.analysis.words import is_iterable
from hfmemdebug.leak import Holder, Site
from hfmemdebug.result import Finding
from hfmemdebug.units import format_bytes, format_seconds

# What the tracing pass says of C functions where the extra is missing.
NO_MEMRAY = "not installed"

# Objects, and the buffers of arrays, tables and tensors that objects own.
_TRACEABLE = ("python-objects", "native-heap", "arrow-pool", "shared-memory", "file-mapping")
# A second line that makes so much of the leak is named too.
LARGE_SHARE = 0.3


def advice(
    judgement: Judgement, assessments: Sequence[Assessment], *, no_frames: str | None = None
) -> tuple[str, ...]:
    """Advises what to do next about arms, one line each.

    Args:
        judgement: What was decided.
        assessments: The arms.
        no_frames: Why no C functions were seen, as the tracing pass says it.
    """
    if judgement.verdict == "inconclusive":
        if judgement.died:
            return ("Fix the error above, or give it less to do (--step, --iterations), and run it again.",)
        return (f"To decide: {judgement.question}.",)
    if judgement.verdict == "no-leak":
        return _without_leak(judgement.cause, assessments, judgement.benign)
    if judgement.origin == "library" and not any(is_iterable(a.recording) for a in assessments):
        return (
            "Report it to the library with this result attached (-o report.md): it needs none of your code.",
        )
    cause = judgement.main_cause
    lines = list(from_trace(judgement.sites, judgement.holders) or OF_LEAK.get(cause or "", ()))
    if no_frames == NO_MEMRAY and cause in ("native-heap", "arrow-pool", "anonymous-other"):
        lines.append("To see the C functions behind it: pip install 'hfmemdebug[native]', and run it again.")
    ours = any(a.growing and a.recording.header.arm.consumer for a in assessments)
    if judgement.origin is None and ours and not _is_a_program(assessments):
        lines.append("hfmemdebug diagnose with the same options tells whether your code or a library leaks.")
    return tuple(lines)


def program_advice(judgement: Judgement, program: Program) -> tuple[str, ...]:
    """Advises what to do next about a watched program, one line each."""
    lines = list(from_trace(judgement.sites, judgement.holders))
    if judgement.leaks and not program.attached:
        lines += _where_to_look(program, judgement.leaks)
    elif judgement.died:
        lines.append("Fix the error above, and run it again: what it did until then is in the recording.")
    elif judgement.verdict == "inconclusive" and not judgement.leaks:
        lines.append(f"To decide: {judgement.question}.")
    if judgement.verdict == "inconclusive" and not judgement.leaks:
        lines += _grown_while_traced(program)
    if any(finding.cause == "copy-on-write" for finding in judgement.benign):
        lines.append(
            "Workers copy what they inherit as they touch it: keep data in numpy arrays, Arrow or a memory-mapped "
            "dataset instead of lists of objects, or start workers by forkserver."
        )
    return tuple(lines)


def _where_to_look(program: Program, leaks: Sequence[Finding]) -> list[str]:
    """How to get to the line: tracing names those that go through Python's allocators."""
    cause = leaks[0].cause
    if cause == "anonymous-other" and _has_no_sampler(program):
        return [
            "Nothing was read inside of the process that grows. One of CPython 3.8 or newer, with the program's own "
            "environment and without -I, -E and -S, tells what keeps the memory, and with --trace the line."
        ]
    known = cause == "shared-memory" and program.recording.end.shm_lines
    if not program.exact or known or cause not in _TRACEABLE:
        return list(OF_LEAK.get(cause, ()))
    traces = program.recording.traces
    if traces is None:
        return [
            "To find the line and what holds it: hfmemdebug run --trace, with the same program behind it."
        ]
    if not any(trace.sites or trace.holders for trace in traces):
        return ["Tracing has seen no line that keeps it: a longer run shows more, or a C library has it."]
    return []


def _has_no_sampler(program: Program) -> bool:
    """True where it is a process that is seen from outside alone which has gained most of what no counter owns."""
    counter = program.counters.get("other") or program.counters.get("pages")
    return not program.exact or bool(counter and counter.gained and counter.gained[0][0].blocks is None)


def _grown_while_traced(program: Program) -> list[str]:
    """Returns what stayed while allocations were traced, to be looked at before it is decided."""
    for trace in program.recording.traces or ():
        sites, seconds = trace.sites, trace.to - trace.from_
        # At this pace it would have come to less than is called a leak.
        if (
            not sites
            or seconds <= 0
            or sites[0].bytes_per_iteration * program.seconds < program.floor * seconds
        ):
            continue
        site = sites[0]
        where = f" in {site.function}" if site.function else ""
        held = f", held by {trace.holders[0].path}" if trace.holders else ""
        return [
            "Not called a leak, but to be looked at: of what grew while allocations were traced, "
            f"{site.share or 0:.0%} ({format_bytes(site.bytes_per_iteration)} in {format_seconds(seconds)}) came from "
            f"{site.file}:{site.line}{where}{held}."
        ]
    return []


def _is_a_program(assessments: Sequence[Assessment]) -> bool:
    """True where a loop of the user's own was recorded, which no command of ours can run once more."""
    return all(a.recording.header.subject == "loop" for a in assessments)


def from_trace(sites: Sequence[Site], holders: Sequence[Holder]) -> tuple[str, ...]:
    """The line to look at and the container to bound, where the tracing pass has found them."""
    lines = []
    if sites:
        where = f" in {sites[0].function}" if sites[0].function else ""
        large = [site for site in sites[1:] if (site.share or 0.0) >= LARGE_SHARE]
        # A line may be there twice, as one of Python's and a native one.
        first, *others = dict.fromkeys(f"{site.file}:{site.line}" for site in (sites[0], *large))
        also = "".join(f", and {place}" for place in others)
        lines.append(f"Look at {first}{where}{also}: what stays comes from there.")
    if holders:
        lines.append(of_holder(holders[0]))
    return tuple(lines)


# What is right for the views that pin what they were cut from, by the kind of view.
_COPY_OF_VIEW = {
    "ndarray": "array[…].copy()",
    "memoryview": "bytes(view)",
    "Tensor": "tensor[…].clone()",
    "Table": "table.take(rows)",
    "RecordBatch": "batch.take(rows)",
}


def of_holder(holder: Holder) -> str:
    """Returns what to change about what keeps the memory."""
    pins = holder.pins
    if pins is not None:
        copy = _COPY_OF_VIEW.get(pins.kind, "array.take(rows)")
        return (
            f"Keep a copy of what you need, {copy}, and not the view: each {pins.kind} of "
            f"{format_bytes(pins.used_bytes)} holds {format_bytes(pins.held_bytes)}. It is kept by {holder.path}."
        )
    line = next((line for is_one, line in _OF_HOLDER if is_one(holder)), "Clear or bound what keeps it")
    return f"{line}: {holder.path}."


def _is(kind: str) -> Callable[[Holder], bool]:
    return lambda holder: holder.kind == kind


def _of_type(kind: str) -> Callable[[Holder], bool]:
    return lambda holder: holder.at is not None and holder.at.type == kind


def _through(*names: str, last: str | None = None, module: str | None = None) -> Callable[[Holder], bool]:
    """Tells whether steps of these names follow each other on the path to a holder.

    Args:
        names: The names.
        last: What follows them: the kind of the next step, or ``"nothing"``.
        module: The module at the root.
    """

    def is_one(holder: Holder) -> bool:
        if holder.at is None or (module is not None and holder.at.root.name != module):
            return False
        steps = holder.at.steps
        return any(
            tuple(step.name for step in steps[i : i + len(names)]) == names
            and (
                last is None or last in [*(step.kind for step in steps[i + len(names) :][:1]), "nothing"][:1]
            )
            for i in range(len(steps))
        )

    return is_one


# The first that is true of a holder.
_OF_HOLDER: tuple[tuple[Callable[[Holder], bool], str], ...] = (
    (
        lambda holder: holder.bound is not None,
        "Lower its bound, if there is less memory than what it holds when it is full",
    ),
    (
        lambda holder: holder.unreached is not None,
        "See that the condition under which it is emptied can be met",
    ),
    (_of_type("lru_cache"), "Give the cache a bound, lru_cache(maxsize=…)"),
    (_is("cycles"), "Turn the collector on again, gc.enable(), or call gc.collect() now and then"),
    (_through("garbage", module="gc"), "Unset gc.set_debug(gc.DEBUG_SAVEALL), or empty gc.garbage"),
    (_is("threads"), "Have them end and join() them, or start one pool outside of the call"),
    (_is("atexit"), "Register it once, outside of the call, or atexit.unregister() it"),
    (
        lambda holder: holder.at is not None and any(step.kind == "default" for step in holder.at.steps),
        "Do not collect in a default argument: let it be None, and make a new one inside",
    ),
    (_is("exceptions"), "Keep str(error) and not the error, or error.with_traceback(None)"),
    (_through("_handlerList"), "Remove each handler again, logger.removeHandler(handler), or add it once"),
    (
        _through("handlers", last="item"),
        "Empty what the handler keeps, or remove it, logger.removeHandler(handler)",
    ),
    (
        _through("handlers", last="nothing"),
        "Remove each handler again, logger.removeHandler(handler), or add it once",
    ),
    (
        _through("finalize", "_registry"),
        "weakref.finalize keeps its arguments as long as the object: call detach()",
    ),
    (_of_type("deque"), "Give it a bound, deque(maxlen=…) or Queue(maxsize=…)"),
)

OF_LEAK = {
    "python-objects": (
        "Look in the consumer for what it appends to, caches in or assigns to anything that outlives the call.",
    ),
    "arrow-pool": (
        "Something keeps Arrow tables or views of them: a small slice or a numpy view pins the whole buffer; "
        "keep table.take(rows) of Arrow, array.copy() of numpy.",
    ),
    "native-heap": (
        "A native library keeps memory, or Python keeps large buffers: look at what each call creates.",
    ),
    "copy-on-write": (
        "Map the file once, or close each private mapping (mode 'c') when it is done with: what was written to "
        "it stays in memory until then.",
    ),
    "file-mapping": ("Close files and mappings that are opened in each call, or open them once.",),
    "shared-memory": ("Call close() and unlink() on shared memory when it is done with.",),
    "anonymous-other": (
        "Look for threads, pools and processes that each call starts and nothing ends, and for what workers "
        "keep from call to call: on the whole program, hfmemdebug run --trace names the workers' lines too.",
    ),
}


def _without_leak(
    cause: str | None, assessments: Sequence[Assessment], benign: Sequence[Finding]
) -> tuple[str, ...]:
    lines: list[str] = []
    modes = {a.recording.header.arm.mode for a in assessments}
    in_memory_files = any(
        file.memory_backed
        for a in assessments
        for file in (a.recording.header.loaded.files if a.recording.header.loaded else ())
    )
    if any(finding.cause == "copy-on-write" for finding in benign):
        lines.append(
            "Private copies (mode 'c') are anonymous memory and count in full towards a limit; flush() does "
            "nothing for them. Write to a copy of the slice, or map a copy of the file with mode 'r+', whose "
            "pages go back to the file."
        )
    if cause == "mmap-file-pages" and in_memory_files:
        lines.append("Move the dataset to a disk: on tmpfs it counts in full towards a container's limit.")
    elif cause == "mmap-file-pages":
        lines.extend(_of_mapped_pages())
    if cause == "allocator-retention":
        lines.extend(_of_retention(assessments))
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
    return tuple(lines)


def _of_mapped_pages() -> tuple[str, ...]:
    """Returns what dashboards will show, and what ends in a kill."""
    return (
        "Your dashboard's RSS will rise to the size of the dataset and stay there, and so may a container's "
        "'working set', which counts file pages that were used lately. What ends in an OOM kill is memory that "
        "cannot be taken back: watch RssAnon and RssShmem, not RSS; anon and shmem in a container's memory.stat.",
        "To be without the file pages, keep_in_memory=True loads the same bytes as anonymous memory: RSS is then "
        "as large, and none of it can be taken back.",
    )


def _of_retention(assessments: Sequence[Assessment]) -> tuple[str, ...]:
    """How to have back what allocators keep free, for those that have given something back here."""
    gave = [what_settling_gave_back(a.recording) for a in assessments]
    by_pools = max((steps.get("release_pools") or 0 for steps in gave), default=0)
    by_malloc = max((steps.get("trim") or 0 for steps in gave), default=0)
    lines = []
    if by_pools >= by_malloc:
        lines.append(
            "To give it back by hand: pyarrow.default_memory_pool().release_unused(); or start with "
            "ARROW_DEFAULT_MEMORY_POOL=system."
        )
    if by_malloc > by_pools / 2:
        lines.append(
            "What malloc keeps, ctypes.CDLL('libc.so.6').malloc_trim(0) gives back (glibc); with many threads, "
            "start with MALLOC_ARENA_MAX=2, so that fewer heaps keep some."
        )
    return tuple(lines)
