"""Recording a program's own loop from within: `Recorder` and `watch`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from hfmemdebug.errors import InputError
from hfmemdebug.probes.environment import environment
from hfmemdebug.probes.launch import read_launch
from hfmemdebug.probes.process import ProcessProbe
from hfmemdebug.recording.end import End, Trace
from hfmemdebug.recording.file import RecordingWriter, load_recording
from hfmemdebug.recording.header import ArmInfo, Header, Launch, Workload
from hfmemdebug.recording.ranks import is_folder, rank_file, single_file
from hfmemdebug.recording.sample import ArmSample
from hfmemdebug.recording.store import end_run, new_run, resume_run
from hfmemdebug.units import parse_size
from hfmemdebug.workload.settle import settle, settle_once

if TYPE_CHECKING:
    from hfmemdebug.result import Result

T = TypeVar("T")

# Our own readings keep a few blocks each until CPython's free lists are as long as they need: 20 of them,
# measured on CPython 3.11. Beside a program's warm-up that is nothing; beside a limit of 64 bytes it is not.
REHEARSALS = 24

# Items that are recorded and not judged: what a loop sets up on its first turns is not its leak.
WARMUP = 4


class Recorder:
    """Records the memory of this process, item by item and epoch by epoch.

    At the ends of epochs the process is settled as in an arm of `diagnose`: garbage is collected (not
    where the collector is off), Arrow's pools and malloc give back what they hold free. Nothing of the
    program's is touched. A process that was forked meanwhile records nothing. A recording that was closed goes on
    with the next `mark` or `with`, as a further epoch.

    Args:
        output: The recording's file, or a folder in which every rank of a run records; without one it is kept as a
            run, for `hfmemdebug report --last`.
        name: What the arm is called.
        iteration: What an item is called: ``item``, ``step``, ``call``.
        min_leak: Floor per item of what is called a leak, in bytes or as a size such as ``"1K"``; None for the default.

    Raises:
        UsageError: `min_leak` is no size.
    """

    # Notebooks show it by this: `hfmemdebug.render.notebook`, which the public names import.
    _repr_html_: ClassVar[Callable[[Recorder], str]]

    def __init__(
        self,
        output: str | os.PathLike[str] | None = None,
        *,
        name: str = "program",
        iteration: str = "item",
        min_leak: str | float | None = None,
    ) -> None:
        self._output = Path(output) if output is not None else None
        self._folder = output is not None and is_folder(output)
        self._launch: Launch | None = None
        self._name = name
        self._iteration = iteration
        self._min_leak = float(parse_size(min_leak)) if isinstance(min_leak, str) else min_leak
        self._run: Path | None = None
        self._writer: RecordingWriter | None = None
        self._probe = ProcessProbe()
        self._pid = 0
        self._epoch = 1
        self._items = 0
        self._observer_seconds = 0.0
        self._began = 0.0

    @property
    def path(self) -> Path:
        """The recording's file; it exists once recording has begun.

        Raises:
            InputError: It has not, and where it will be is not known yet.
        """
        if self._output is None:
            raise _nothing_yet()
        return self._output

    def start(self) -> Recorder:
        """Begins the recording, or goes on with one that was closed. Nothing happens where it goes on already.

        Raises:
            OSError: The file cannot be written.
        """
        if self._writer is not None or self._pid not in (0, os.getpid()):
            return self
        if self._pid:
            if self._run is not None:
                resume_run(self._run)
            self._writer = RecordingWriter(self.path, resume=True)
            return self
        if self._output is None:
            self._run = new_run("watch")
            self._output = self._run / f"{self._name.replace('/', '-')}.jsonl"
        elif self._folder:
            self._launch = launch = read_launch(os.environ)
            self._output = (
                rank_file(
                    self._output, launch.rank, world=launch.world, node=launch.node, restart=launch.restart
                )
                if launch is not None
                else single_file(self._output)
            )
        if "pyarrow" in sys.modules:
            self._probe.watch_arrow()
        self._pid = os.getpid()
        self._writer = RecordingWriter(self._output)
        self._writer.header(self._header())
        for _ in range(REHEARSALS):
            self._probe.read_settled()
        settle_once(self._probe)
        self._probe.reset_peak()
        self._began = self._probe.clock()
        self._writer.sample(
            ArmSample(kind="settle", epoch=0, slice=0, step="start", **self._probe.read_settled())
        )
        return self

    @property
    def has_begun(self) -> bool:
        """Whether there is a recording, ended or not."""
        return self._pid != 0

    def mark(self, rows: int | None = None) -> ArmSample | None:
        """Says that an item is done, and takes a reading.

        Args:
            rows: Rows in the item, where that is known.

        Returns:
            The reading; None in a process that was forked meanwhile.
        """
        if self._writer is None:
            self.start()
        writer = self._writer
        if writer is None or os.getpid() != self._pid:
            return None
        looked = self._probe.clock()
        sample = ArmSample(
            kind="slice",
            epoch=self._epoch,
            slice=self._items,
            warmup=self._epoch == 1 and self._items < WARMUP,
            rows=rows,
            **self._probe.read(),
        )
        writer.sample(sample)
        self._items += 1
        self._observer_seconds += self._probe.clock() - looked
        return sample

    def end_epoch(self) -> None:
        """Says that the same items come again from here on, and settles. An epoch without items is none."""
        writer = self._writer
        if writer is None or self._items == 0 or os.getpid() != self._pid:
            return
        epoch, items = self._epoch, self._items
        settle(
            self._probe,
            frozenset(),
            lambda step, values: writer.sample(
                ArmSample(kind="settle", epoch=epoch, slice=items, step=step, **values)
            ),
        )
        self._epoch += 1
        self._items = 0

    def close(
        self, outcome: str = "completed", *, detail: str | None = None, trace: Trace | None = None
    ) -> None:
        """Ends the recording; the epoch that goes on is its last.

        Args:
            outcome: ``"completed"``, ``"failed"`` or ``"interrupted"``.
            detail: What ended it, if not the loop's own end.
            trace: Lines and holders of a leak, where they were looked for.
        """
        if self._writer is None or os.getpid() != self._pid:
            return
        self.end_epoch()
        self._writer.end(
            End(
                outcome,
                detail,
                trace=trace,
                observer_seconds=round(self._observer_seconds, 6),
                loop_seconds=round(self._probe.clock() - self._began, 6),
            )
        )
        self._writer.close()
        self._writer = None
        if self._run is not None:
            end_run(self._run)

    def result(self) -> Result:
        """The verdict on what was recorded so far.

        Raises:
            InputError: Nothing was recorded yet.
        """
        from hfmemdebug.analysis.verdict import judge

        # A file that is there before may be an earlier run's.
        if not (self.has_begun and self.path.is_file()):
            raise _nothing_yet()
        recording = load_recording(self.path)
        if not recording.slices:
            raise _nothing_yet()
        if recording.end.is_missing and self._writer is not None:
            # It goes on: nothing has ended it.
            recording = replace(recording, end=End("completed"))
        return judge([recording])

    def __repr__(self) -> str:
        return f"<Recorder {self._name!r}: epoch {self._epoch}, {self._items} {self._iteration}s in it>"

    def __enter__(self) -> Recorder:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.close("interrupted" if isinstance(error, KeyboardInterrupt) else "failed", detail=_of(error))

    def _header(self) -> Header:
        return Header(
            "watch",
            ArmInfo(self._name, "program", consumer=True),
            Workload(warmup=WARMUP),
            iteration=self._iteration,
            min_leak=self._min_leak,
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            missing=tuple(self._probe.missing),
            environment=environment(),
            launch=replace(self._launch, began=time.time()) if self._launch else None,
        )


def _nothing_yet() -> InputError:
    return InputError("nothing is recorded yet", next="Pass over it, or call mark().")


def _of(error: BaseException) -> str:
    """What ended a program; its own text may hold its data."""
    return f"ended by {type(error).__name__}"


class Watched(Generic[T]):
    """An iterable that records while it is iterated; each pass over it is an epoch."""

    _repr_html_: ClassVar[Callable[[Watched[Any]], str]]

    def __init__(self, iterable: Iterable[T], recorder: Recorder, *, own: bool) -> None:
        self._iterable = iterable
        self._own = own
        self._passes = 0
        self.recorder = recorder

    def __len__(self) -> int:
        return len(self._iterable)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[T]:
        recorder = self.recorder.start()
        self._passes += 1
        try:
            for item in self._iterable:
                yield item
                # Ours would hold it until the next one is there.
                del item
                recorder.mark()
        finally:
            self._passes -= 1
            recorder.end_epoch()

    def __repr__(self) -> str:
        return f"<watched by {self.recorder!r}>"

    def result(self) -> Result:
        """The verdict on the passes so far; after a pass, a recorder of its own ends its recording until the next one.

        Raises:
            InputError: Nothing was recorded yet.
        """
        if self._own and not self._passes:
            self.recorder.close()
        return self.recorder.result()


def watch(
    iterable: Iterable[T],
    output: str | os.PathLike[str] | None = None,
    *,
    name: str = "program",
    recorder: Recorder | None = None,
) -> Watched[T]:
    """Yields the items of a loop unchanged and records the memory of this process after each.

    Pass over the returned object once an epoch: a leak is told from a warm-up by comparing epochs.

    Args:
        iterable: A DataLoader, a dataset, a list: whatever the loop goes over.
        output: The recording's file; without one it is kept as a run, for `hfmemdebug report --last`.
        name: What the arm is called.
        recorder: Record into this one instead, which its owner closes.

    Raises:
        TypeError: It cannot be iterated.
    """
    if not (hasattr(iterable, "__iter__") or hasattr(iterable, "__getitem__")):
        raise TypeError(f"{type(iterable).__name__!r} object is not iterable")
    own = recorder is None
    return Watched(iterable, recorder or closed_at_exit(Recorder(output, name=name)), own=own)


def closed_at_exit(recorder: Recorder) -> Recorder:
    """A recorder whose loop may have no end that it tells us of: the program's own end closes it."""
    import atexit
    import weakref

    known = weakref.ref(recorder)

    def close() -> None:
        left = known()
        if left is not None:
            left.close()

    atexit.register(close)
    return recorder
