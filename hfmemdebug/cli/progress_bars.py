"""Progress while arms run: what was loaded, a row per slice, a bar per arm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hfmemdebug.cli.output import Console
from hfmemdebug.units import format_bytes, format_count

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from hfmemdebug.measure.arm_pool import ArmProcess
    from hfmemdebug.recording.header import LoadReport
    from hfmemdebug.recording.sample import ArmSample

_COLUMNS = (
    ("slice", 7), ("row", 13), ("RSS", 9), ("Δ RSS", 9), ("anonymous", 9), ("file", 9),
    ("shared", 9), ("Arrow", 9), ("malloc", 9), ("blocks", 11),
)  # fmt: skip

STOPPING = "Stopping after this slice; what was measured is kept. Ctrl-C again stops now."


class _Listener:
    """Takes the events of arms; the notes of all of them are shown once.

    Args:
        console: Where lines go.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: set[str] = set()

    def __call__(self, arm: ArmProcess, event: dict[str, Any]) -> None:
        """Takes an event of an arm."""
        if event["event"] == "stopping":
            self._console.hint(STOPPING)
        elif event["event"] == "note":
            self._say_once(event["text"])
        else:
            self._take(arm, event["event"], event)

    def _take(self, arm: ArmProcess, name: str, event: dict[str, Any]) -> None:
        raise NotImplementedError

    def _say_once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._console.hint(line)


class SliceTable(_Listener):
    """Prints a row for each slice as it happens, as `profile` does."""

    _epoch = 0
    _rss: int | None = None

    def _take(self, arm: ArmProcess, name: str, event: dict[str, Any]) -> None:
        loaded = "take_done" if arm.mode == "in-memory" else "load_done"
        if name in (loaded, "take_done") and arm.report is not None:
            self._console.say(describe_load(arm.report))
        elif name == "sample":
            self._sample(event["sample"])

    def _sample(self, sample: ArmSample) -> None:
        if sample.kind == "settle":
            if sample.step == "start":
                self._rss = sample.rss
            return
        if sample.epoch != self._epoch:
            self._epoch = sample.epoch
            self._console.say()
            self._console.say(f"epoch {self._epoch}")
            self._console.say("  ".join(f"{title:>{width}}" for title, width in _COLUMNS))
        rss = sample.rss
        change = rss - self._rss if rss is not None and self._rss is not None else None
        self._rss = rss
        cells = (
            f"{sample.slice}{' w' if sample.warmup else '  '}",
            format_count(sample.start_row),
            format_bytes(rss),
            format_bytes(change, signed=True),
            *map(format_bytes, (sample.anon, sample.file, sample.shmem, sample.arrow, sample.malloc)),
            format_count(sample.blocks),
        )
        self._console.say("  ".join(f"{c:>{width}}" for c, (_, width) in zip(cells, _COLUMNS, strict=True)))

    def close(self) -> None:
        """Says what the mark on a row means, below the last one."""
        if self._epoch:
            self._console.say("(w: warm-up, shown and not judged; readings after the slice was dropped)\n")


class ArmBars(_Listener):
    """Draws a bar for each arm, as `diagnose` does.

    Args:
        console: Where lines go.
        progress: Where the bars are drawn.
    """

    def __init__(self, console: Console, progress: Progress) -> None:
        super().__init__(console)
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def _take(self, arm: ArmProcess, name: str, event: dict[str, Any]) -> None:
        if name == "load_done" and arm.report is not None:
            self._say_once(describe_load(arm.report))
        task = self._tasks.get(arm.name)
        if task is None:
            task = self._tasks[arm.name] = self._progress.add_task(
                f"{arm.name}: loading", total=None, detail=""
            )
        if name == "planned":
            self._progress.update(task, total=event["slices"])
        elif name == "sample" and event["sample"].kind == "slice":
            sample = event["sample"]
            self._progress.update(
                task,
                description=f"{arm.name}: epoch {sample.epoch}",
                advance=1,
                detail=f"RSS {format_bytes(sample.rss)}, anonymous {format_bytes(sample.anon)}",
            )
        elif name in ("closed", "gone"):
            self._progress.update(task, visible=False)


def describe_load(report: LoadReport) -> str:
    """Returns what was really loaded, in a line."""
    parts = [f"{report.source} {report.name}"]
    if report.split:
        parts.append(f"split {report.split}")
    parts.append("a stream" if report.rows is None else f"{report.rows:,} rows, {report.storage}")
    if report.record_batches:
        parts.append(f"{report.record_batches:,} record batches")
    if report.data_bytes:
        parts.append(format_bytes(report.data_bytes))
    if report.files:
        first = report.files[0].path
        more = f" and {len(report.files) - 1} more" if len(report.files) > 1 else ""
        parts.append(f"file {first}{more}")
    if report.from_cache is not None:
        parts.append("from the cache" if report.from_cache else "built now")
    return ", ".join(parts)
