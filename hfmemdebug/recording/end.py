"""The last line of a recording: how the run ended, and what was found out once it had."""

from __future__ import annotations

from dataclasses import dataclass, field

from hfmemdebug.leak import Holder, Site
from hfmemdebug.recording.header import Limit, LoadedFile


@dataclass
class Reclaim:
    """The proof that mapped pages can be taken back: they were, and read once more.

    Attributes:
        asked_bytes: Resident pages of the dataset's files, which the kernel was asked to take.
        rss_before: RSS before that.
        rss_after: RSS after it.
        freed_bytes: Bytes that left memory, by mincore: a fall of RSS alone shows unmapping, not freeing.
        same_data: Whether they were the same when they were read again.
        checked_bytes: Bytes of them that were compared.
        how: The call.
        why_not: Why nothing was proved, or None.
    """

    asked_bytes: int = 0
    rss_before: int | None = None
    rss_after: int | None = None
    freed_bytes: int | None = None
    same_data: bool | None = None
    checked_bytes: int = 0
    how: str = "madvise(MADV_PAGEOUT)"
    why_not: str | None = None


@dataclass(frozen=True)
class Trace:
    """Findings of the tracing pass of an arm; growth is told per slice.

    Attributes:
        sites: The lines that made what leaks, the largest first.
        holders: What keeps it.
        traced_bytes_per_iteration: What of the leak went through Python's allocators.
        followed: The native counter whose lines were looked for, or None.
        native_frames: Why there are no C functions where there might be some, or None.
        failed: Why there is no trace, or None.
    """

    sites: tuple[Site, ...] = ()
    holders: tuple[Holder, ...] = ()
    traced_bytes_per_iteration: float = 0.0
    followed: str | None = None
    native_frames: str | None = None
    failed: str | None = None


@dataclass(frozen=True)
class Cache:
    """A container with a bound that it had not reached.

    Attributes:
        path: Its name in words.
        entries: Entries in it.
        bound: The most that it may have.
        blocks_an_entry: Blocks of CPython's allocator that some entries consist of, on average; None if not counted.
    """

    path: str
    entries: int
    bound: float
    blocks_an_entry: float | None = None


@dataclass(frozen=True)
class Variable:
    """A container with a bound, of a function that had returned.

    Attributes:
        path: Its name in words.
        bound: Entries that it may have.
    """

    path: str
    bound: float


@dataclass(frozen=True)
class BoundedText:
    """A text or an array that the program cuts to a length which it had not reached.

    Attributes:
        path: Its name in words.
        bytes: Its size.
        bound_bytes: The most that it may have.
        pid: The process.
        most_bytes: Of a function that had returned: what it had room for.
    """

    path: str
    bytes: int
    bound_bytes: float
    pid: int
    most_bytes: float | None = None


@dataclass(frozen=True)
class ProcessTrace:
    """Findings of the tracer inside a process of a watched program.

    Attributes:
        pid: The process.
        began: When tracing began, in seconds of the recording.
        from_: The look from which on growth is told, in seconds of the recording.
        to: The look up to which it is.
        blocks: Blocks of CPython's allocator that came between those.
        block_bytes: Bytes of one of them; None where too few came.
        sites: The lines that made what came and stayed. Their iteration is all the time between the two looks.
        holders: What keeps it.
    """

    pid: int
    began: float
    from_: float
    to: float
    blocks: float = 0.0
    block_bytes: float | None = None
    sites: tuple[Site, ...] = ()
    holders: tuple[Holder, ...] = ()


@dataclass(frozen=True)
class CopiedFile:
    """A file of whose pages private copies were made.

    Attributes:
        path: Its path.
        bytes: Bytes of the copies.
        size_bytes: Bytes of its mappings, the most that can be copied.
    """

    path: str
    bytes: int
    size_bytes: int


@dataclass(frozen=True)
class SegmentLine:
    """A line that made segments of shared memory, when there were most of them."""

    file: str
    line: int
    function: str | None
    bytes: int
    count: int


@dataclass(frozen=True)
class FileUsage:
    """A data file that a process had mapped.

    Attributes:
        path: Its path.
        resident_bytes: How much of it the process had resident.
        size_bytes: Its size on disk, or None.
        kind: Which kind of file it is, in words.
        fingerprint: Of a map cache: the fingerprint in its name.
        memory_backed: Its pages live in memory only.
    """

    path: str
    resident_bytes: int
    size_bytes: int | None = None
    kind: str = "file"
    fingerprint: str | None = None
    memory_backed: bool = False


@dataclass(frozen=True)
class ProcessUsage:
    """The memory of a process of a watched program, as the result document has it. Bytes; None where not read.

    Attributes:
        pid: The process.
        ppid: Its parent in the tree; None for the root.
        role: What it is for.
        pss_bytes: Its share of all that it has mapped.
        shared_bytes: Pages that others have mapped too.
        private_dirty_bytes: Written pages that no other process maps.
        reclaimable_bytes: What the kernel can take back.
        files: The data files that it had mapped; None where they were not read.
    """

    pid: int
    ppid: int | None = None
    role: str | None = None
    rss_bytes: int | None = None
    pss_bytes: int | None = None
    anonymous_bytes: int | None = None
    file_bytes: int | None = None
    shmem_bytes: int | None = None
    shared_bytes: int | None = None
    swap_bytes: int | None = None
    private_dirty_bytes: int | None = None
    reclaimable_bytes: int | None = None
    files: tuple[FileUsage, ...] | None = None


@dataclass(frozen=True)
class SharedMemory:
    """A file in memory (POSIX shared memory, memfd) that processes of the tree have open or mapped.

    Attributes:
        path: As the kernel prints it; without a name any more it ends in ``(deleted)``.
        size_bytes: Pages that it holds, mapped or not.
        holders: The processes that hold it open.
    """

    path: str
    size_bytes: int
    holders: tuple[int, ...] = ()


@dataclass(frozen=True)
class ObserverSeconds:
    """Time that watching a program took: in our process, and inside of the program."""

    outside: float
    inside: float


@dataclass(frozen=True)
class LimitUsage(Limit):
    """The ``limit`` line of an arm's recording: the limit, and what the arm used of it.

    Attributes:
        peak_bytes: The most that was charged.
        peak_unreclaimable_bytes: The most of it that could not be taken back.
        file_bytes_at_peak: Pages of files among the peak.
        oom_kills: Processes that the kernel killed.
        limit_hits: How often the limit was reached.
        throttled: How often it was slowed down before that.
        stalled_seconds: Time that it waited for memory.
        major_faults: Pages that were read from disk.
    """

    peak_bytes: int | None = None
    peak_unreclaimable_bytes: int | None = None
    file_bytes_at_peak: int | None = None
    oom_kills: int | None = None
    limit_hits: int | None = None
    throttled: int | None = None
    stalled_seconds: float | None = None
    major_faults: int | None = None


@dataclass(frozen=True)
class LimitOutcome(LimitUsage):
    """The limit of a watched program: the same, and how the program ended under it."""

    outcome: str | None = None
    exit_status: int | None = None
    signal: int | None = None
    killed_by: str | None = None
    left_running: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class DataError:
    """Explains why data could not be read, without a value of theirs.

    Attributes:
        kind: One of `hfmemdebug.errors.EXIT_STATUS_OF_KIND`.
        message: What is wrong.
        next: What to do, or None.
    """

    kind: str
    message: str
    next: str | None = None


@dataclass(frozen=True)
class End:
    """The closing line: how a run ended.

    Attributes:
        outcome: ``"completed"``, ``"failed"``, ``"killed"`` or ``"interrupted"``.
        detail: Where and of what it ended, if not by itself.
        data_error: Why the data could not be read to their end, where that ended it.
        observer_seconds: Time that measuring took.
        loop_seconds: Of a loop: wall time in it.
        reclaim: Of an arm that maps files: the proof that their pages can be taken back.
        trace: Of an arm that leaks: the lines and holders.
        mapped_files: Files that an iterable was found to map.
        copies: Files of whose pages private copies were made.
        cut: Of a watched program, as are all that follow: why its recording was not written to the end, or None.
        exit_status: As Python gives it: minus the signal.
        seconds: How long it ran.
        observer_share: Time that watching took as a share of that.
        notes: Lines for the user.
        versions: Versions that it ran on, by name.
        caches: Containers with a bound that they had not reached.
        variables: The same in functions that had returned.
        values: Texts and arrays that it cuts to a length.
        returned_values: The same in functions that had returned.
        garbage_blocks: Blocks that waited for the collector as it ended.
        samplers: Processes in which a sampler ran.
        traces: What was found in each process whose allocations were traced; None where none were to be.
        shm_of_ours: The most bytes that were in segments of shared memory which it had made.
        shm_lines: The lines that made those.
        shm_new_files_bytes: Bytes of its user's files in /dev/shm that came meanwhile.
        written_bytes: Bytes that it had written; None where that cannot be read.
        written_by_others_bytes: Bytes that other processes of its user had written meanwhile.
        processes: Its processes when they were the most.
        shared_memory: Files in memory that they had open.
        total_pss_bytes: Sum over them; shared pages counted once.
        total_reclaimable_bytes: Of that, what the kernel can take back.
        total_unreclaimable_bytes: Of that, what it cannot.
        limit: The memory limit that it ran under, with what came of it.
        is_missing: The recording has no such line: what wrote it was killed.
    """

    outcome: str
    detail: str | None = None
    data_error: DataError | None = None
    observer_seconds: float | ObserverSeconds | None = None
    loop_seconds: float | None = None
    reclaim: Reclaim | None = None
    trace: Trace | None = None
    mapped_files: tuple[LoadedFile, ...] = ()
    copies: tuple[CopiedFile, ...] = ()
    cut: str | None = None
    exit_status: int | None = None
    seconds: float | None = None
    observer_share: float | None = None
    notes: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    caches: tuple[Cache, ...] = ()
    variables: tuple[Variable, ...] = ()
    values: tuple[BoundedText, ...] = ()
    returned_values: tuple[BoundedText, ...] = ()
    garbage_blocks: int = 0
    samplers: int = 0
    traces: tuple[ProcessTrace, ...] | None = None
    shm_of_ours: int = 0
    shm_lines: tuple[SegmentLine, ...] = ()
    shm_new_files_bytes: int = 0
    written_bytes: int | None = None
    written_by_others_bytes: int | None = None
    processes: tuple[ProcessUsage, ...] = ()
    shared_memory: tuple[SharedMemory, ...] = ()
    total_pss_bytes: int | None = None
    total_reclaimable_bytes: int | None = None
    total_unreclaimable_bytes: int | None = None
    limit: LimitOutcome | None = None
    is_missing: bool = False

    @property
    def died(self) -> bool:
        """Returns whether the run failed or was killed."""
        return self.outcome in ("failed", "killed")


MISSING_END = End("killed", "the recording ends without a closing line", is_missing=True)
