"""What the user asked for, for every experiment."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from hfmemdebug.data.load import is_iterable
from hfmemdebug.data.spec import DatasetSpec
from hfmemdebug.recording.header import ArmInfo, Header, Workload


@dataclass(frozen=True)
class Settings:
    """One run of `profile` or `diagnose`.

    Attributes:
        spec: The dataset.
        step: Rows in a slice; None chooses.
        warmup: Slices at the start that are shown and not judged.
        epochs: Epochs; None chooses, and more may follow where the answer is open.
        iterations: Slices in an epoch; None chooses.
        read_all: Read every row.
        consumer: ``FILE.py:FUNC`` or ``MODULE:FUNC``, or None.
        streaming: Read a stream.
        in_memory: For `profile`: with `keep_in_memory`.
        budget: Seconds of wall time at most; None for no bound.
        limit: Memory in bytes that each arm may use, or None.
        min_leak_per_slice: Floor of what is called a leak, in bytes per slice; None for the defaults.
        command_line: The command as it was typed, without secrets, for the report.
    """

    spec: DatasetSpec
    step: int | None = None
    warmup: int | None = None
    epochs: int | None = None
    iterations: int | None = None
    read_all: bool = False
    consumer: str | None = None
    streaming: bool = False
    in_memory: bool = False
    budget: float | None = None
    limit: int | None = None
    min_leak_per_slice: float | None = None
    command_line: str | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def reads_stream(self) -> bool:
        """Whether rows come one after the other, because the user said so or because the source is one."""
        return self.streaming or is_iterable(self.spec)

    def header(self, command: str, arm: ArmInfo) -> Header:
        """Returns what an arm's recording says of the run."""
        return Header(
            command,
            arm,
            Workload(
                **{name: value for name, value in asdict(self.spec).items() if name != "token"},
                consumer=self.consumer,
                streaming=self.reads_stream,
                epochs_asked=self.epochs,
                budget_seconds=self.budget,
            ),
            command_line=self.command_line,
            min_leak=self.min_leak_per_slice,
            notes=self.notes,
        )
