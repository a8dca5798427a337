"""The first line of a recording: what was measured, on what, and how."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class ArmInfo:
    """Tells one run from the others of a command.

    Attributes:
        name: ``memory-mapped``, ``in-memory + consumer``, ``program``, …
        mode: ``"mmap"``, ``"in-memory"``, ``"streaming"``, or ``"program"`` for a program that is not ours.
        consumer: Whether the user's code ran in it.
    """

    name: str
    mode: str
    consumer: bool


@dataclass(frozen=True)
class Workload:
    """Names what was read, as it was asked for and as it was planned; of a watched program nothing is known.

    Attributes:
        dataset: The dataset as it was named; `config` to `yes` are the other fields of a `DatasetSpec`.
        consumer: ``FILE.py:FUNC`` or ``MODULE:FUNC``, or None.
        streaming: Rows came as a stream.
        epochs_asked: Epochs that the user asked for, or None.
        budget_seconds: Wall time that the user asked for, or None.
        rows: Rows in the dataset; None for a stream.
        step: Rows in a slice.
        count: Slices in an epoch.
        packed: Only the rows of the slices were held in memory.
        warmup: Slices at the start that are shown and not judged.
        bytes_per_row: Bytes that a row decodes to, as calibrated.
        pid: Of a process that was attached to.
        name: Its name.
    """

    dataset: str | None = None
    config: str | None = None
    split: str | None = None
    revision: str | None = None
    data_files: tuple[str, ...] = ()
    format: str | None = None
    decode: bool | None = None
    dtype: str | None = None
    shape: tuple[int, ...] | None = None
    yes: bool = False
    consumer: str | None = None
    streaming: bool = False
    epochs_asked: int | None = None
    budget_seconds: float | None = None
    rows: int | None = None
    step: int | None = None
    count: int = 0
    packed: bool = False
    warmup: int = 0
    bytes_per_row: float = 0.0
    pid: int | None = None
    name: str | None = None


@dataclass(frozen=True)
class LoadedFile:
    """A file behind a loaded dataset.

    Attributes:
        path: Absolute path.
        size_bytes: Its size on disk.
        filesystem: The type of the file system that holds it (``ext4``, ``tmpfs``, ``nfs4``), or None.
        memory_backed: Whether its pages live in memory only (tmpfs, ramfs): they cannot be taken back.
    """

    path: str
    size_bytes: int
    filesystem: str | None = None
    memory_backed: bool = False


@dataclass(frozen=True)
class LoadReport:
    """Describes what was really loaded, to be printed and recorded.

    Attributes:
        source: Which kind of thing the name turned out to be (``save_to_disk folder``, ``Parquet``, ``Hub``, …).
        name: The name after mapping (``wmt/wmt19`` for ``wmt19``) or the path as given.
        split: The split that was taken, or None where there are none.
        storage: ``memory-mapped``, ``in memory``, ``mixed`` or ``streaming``.
        rows: Rows, or None for a stream.
        columns: Column names.
        record_batches: Number of record batches over all files, or None.
        data_bytes: Bytes of the Arrow data, or None for a stream.
        files: The files that hold the rows.
        from_cache: Whether a prepared cache was used; None where there is no cache in play.
        notes: Lines that the user should read (``the folder ./wmt19 was taken, not the Hub's wmt19``).
        private: Whether the Hub shows the dataset to its owners alone; None where that is not known (from a
            copy, offline) or where it is not from the Hub.
        step: Rows in a slice where the source decides it (an iterable gives one item at a time), or None.
    """

    source: str
    name: str
    split: str | None = None
    storage: str = "memory-mapped"
    rows: int | None = None
    columns: tuple[str, ...] = ()
    record_batches: int | None = None
    data_bytes: int | None = None
    files: tuple[LoadedFile, ...] = ()
    from_cache: bool | None = None
    notes: tuple[str, ...] = ()
    private: bool | None = None
    step: int | None = None


@dataclass(frozen=True)
class Launch:
    """One rank of a run.

    Attributes:
        rank: Its number, from 0.
        world: How many there are; None where the launcher does not say.
        node: The launcher's number of its node, from 0; None where it does not say.
        place: Tells machines apart where `node` does not, and names none: a hash of the kernel's random boot
            number, which is different for each run. None where there is no such number.
        job: Tells runs apart, a hash as well; None where the launcher has no name for one.
        restart: How often the launcher has started the ranks anew.
        began: When it was started, in seconds of the epoch by its node's clock.
    """

    rank: int
    world: int | None = None
    node: int | None = None
    place: str | None = None
    job: str | None = None
    restart: int = 0
    began: float | None = None


@dataclass(frozen=True)
class Limit:
    """The memory limit that a process was started under.

    Attributes:
        bytes: The limit.
        swap_bytes: Swap beyond it.
        backend: The mechanism, by its short name.
        how: The same in words.
        is_limit: Whether the kernel enforces it; else a watchdog of ours does.
    """

    bytes: int
    swap_bytes: int | None
    backend: str
    how: str
    is_limit: bool


@dataclass(frozen=True)
class Header:
    """Describes a run, before its first sample.

    Attributes:
        command: The command that has recorded it: ``diagnose``, ``profile``, ``run``, ``attach``, ``watch``.
        arm: Which run of several it is.
        workload: What was read.
        command_line: The command as it was typed, without secrets.
        reproduce: Commands that build a like dataset and run the same on it, or None.
        iteration: What an item of the work is called.
        min_leak: The user's floor of what is called a leak, in bytes per item or over the run; None for the default.
        memory_bytes: Memory that the machine or the container has.
        created: When it began, by ISO 8601.
        notes: Lines for the user.
        missing: What cannot be measured here, a line each.
        environment: Versions and the machine, by name.
        loaded: What was loaded; None where no dataset was.
        launch: Which rank of a distributed run it is, or None.
        limit: The memory limit that it runs under, or None.
    """

    command: str
    arm: ArmInfo
    workload: Workload
    command_line: str | None = None
    reproduce: str | None = None
    iteration: str = "slice"
    min_leak: float | None = None
    memory_bytes: int | None = None
    created: str | None = None
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    loaded: LoadReport | None = None
    launch: Launch | None = None
    limit: Limit | None = None

    @property
    def subject(self) -> Literal["arm", "loop", "program"]:
        """Returns what was measured: slices that we read, a program's own loop from within, a program from outside."""
        if self.arm.mode != "program":
            return "arm"
        return "program" if self.command in ("run", "attach") else "loop"
