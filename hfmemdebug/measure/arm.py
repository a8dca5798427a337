"""One arm: the process that loads a dataset, reads slices of it and records itself.

It does what its supervisor tells it, one command at a time: ``prepare``, ``load``, ``take``, ``calibrate``,
``epoch``, ``trace``, ``prove``, ``end``. Every sample is written to the recording before the supervisor hears of it.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from hfmemdebug.data.explain import explain, scrub
from hfmemdebug.data.load import is_iterable
from hfmemdebug.data.spec import DatasetSpec
from hfmemdebug.decode import decode, encode
from hfmemdebug.errors import HfmemdebugError
from hfmemdebug.measure.failure import ProgramError, describe
from hfmemdebug.measure.mapped import MappedSince
from hfmemdebug.measure.protocol import Channel
from hfmemdebug.probes.environment import environment
from hfmemdebug.probes.mounts import describe_files
from hfmemdebug.probes.pages import drop_cached
from hfmemdebug.probes.process import ProcessProbe
from hfmemdebug.recording.end import DataError, End, Trace
from hfmemdebug.recording.file import RecordingWriter
from hfmemdebug.recording.header import Header, LoadReport
from hfmemdebug.recording.sample import ArmSample
from hfmemdebug.workload.consumer import Consumer, load_consumer
from hfmemdebug.workload.read import calibrate, epoch_reader, rows_in, take_into_memory
from hfmemdebug.workload.reclaim import prove_reclaim
from hfmemdebug.workload.settle import settle, settle_once
from hfmemdebug.workload.slices import SlicePlan


class _StoppedError(BaseException):
    """The supervisor wants this process to end; no tracer may take it for its own failure."""


class Arm:
    """The state of one arm between commands.

    Args:
        channel: To and from the supervisor.
        task: What the supervisor said first: ``spec``, ``mode`` (``"mmap"``, ``"in-memory"``,
            ``"streaming"``), ``consumer`` (or None), ``recording`` (a path), ``header``.
    """

    def __init__(self, channel: Channel, task: dict[str, Any]) -> None:
        self.channel = channel
        self.spec = decode(DatasetSpec, task["spec"])
        self.from_iterable = is_iterable(self.spec)
        self.mode: str = task["mode"]
        self.header = decode(Header, task["header"])
        self.recorder = RecordingWriter(Path(task["recording"]))
        # The user's code may change it on import; the dataset's name was typed here.
        self.started_in = working_directory()
        self.probe = ProcessProbe()
        self.consumer: Consumer | None = None
        self.stopping = False
        self.dataset: Any = None
        self.report: LoadReport | None = None
        self.files: frozenset[str] = frozenset()
        self.plan: SlicePlan | None = None
        self.reproduce: str | None = None
        self.before_load: MappedSince | None = None
        self.before_epochs: MappedSince | None = None
        self.end = End("completed")
        self._loop_seconds = 0.0
        self._slices_done = 0
        self._observer_seconds = 0.0

    def import_consumer(self, target: str) -> None:
        """Imports the user's code."""
        try:
            self.consumer = load_consumer(target)
        except HfmemdebugError:
            raise
        except BaseException as error:
            raise ProgramError("importing the consumer") from error

    def obey(self) -> None:
        """Carries out commands until ``end`` comes or the supervisor has gone."""
        commands: dict[str, Callable[..., None]] = {
            "prepare": self.prepare,
            "load": self.load,
            "take": self.take,
            "calibrate": self.calibrate,
            "epoch": self.epoch,
            "trace": self.trace,
            "prove": self.prove,
        }
        for command in self.channel.lines():
            name = command.pop("do")
            if name == "end":
                break
            commands[name](**command)
            self.channel.send(event=f"{name}_done")

    def prepare(self) -> None:
        """Imports what loading needs, while another arm loads."""
        import datasets  # noqa: F401

    def load(self) -> None:
        """Loads the dataset: memory-mapped, or as a stream. What goes into memory is taken from there."""
        streaming = self.mode == "streaming"
        self._load(streaming=streaming)
        if self.header.limit and self.files:
            # What others have brought into the cache is charged to them: the limit would not see it. And
            # what is mapped cannot be dropped, so it is loaded anew.
            self.dataset = None
            gc.collect()
            for path in self.files:
                with contextlib.suppress(OSError):
                    drop_cached(path)
            self._load(streaming=streaming)
        self.channel.send(event="loaded", report=encode(self._loaded), missing=list(self.probe.missing))

    def take(self, plan: dict[str, Any], whole: bool) -> None:
        """Takes rows into memory.

        Args:
            plan: The slices that are going to be read.
            whole: All rows, as `keep_in_memory` does; else the planned ones alone, since not all fit.
        """
        if whole:
            # The mapping goes first: the files' pages would be counted beside the copy.
            self.dataset = None
            self._load(keep_in_memory=True)
        else:
            self.plan = SlicePlan(**plan)
            self.dataset = take_into_memory(self.dataset, self.plan)
            self.report = replace(self._loaded, storage="in memory", files=())
            self.files = frozenset()
        gc.collect()
        self.channel.send(event="loaded", report=encode(self._loaded), missing=list(self.probe.missing))

    def _load(self, *, keep_in_memory: bool = False, streaming: bool = False) -> None:
        from hfmemdebug.data.load import load

        def say(line: str) -> None:
            self.channel.send(event="note", text=line)

        changed_to = working_directory()
        if self.started_in is not None:
            os.chdir(self.started_in)
        self.before_load = MappedSince() if self.from_iterable else None
        with self._reading("making the iterable"):
            self.dataset, self.report = load(
                self.spec, keep_in_memory=keep_in_memory, streaming=streaming, say=say
            )
        if changed_to is not None:
            os.chdir(changed_to)
        mapped = self.report.storage in ("memory-mapped", "mixed")
        self.files = frozenset(file.path for file in self.report.files) if mapped else frozenset()
        self.probe.watch_arrow()

    @contextlib.contextmanager
    def _reading(self, doing: str) -> Iterator[None]:
        """Tells whose error it is where rows are read: the data's, or the program's where they are its own iterable.

        Raises:
            ProgramError: Reading failed; it carries the explanation where the data are to blame.
        """
        try:
            yield
        except (HfmemdebugError, StopIteration):
            raise
        except BaseException as error:
            if self.from_iterable or isinstance(error, MemoryError):
                raise ProgramError(doing) from error
            explanation = self._explain(error)
            if explanation is None:
                # A bug of ours.
                raise
            raise ProgramError(doing, explanation) from error

    def _explain(self, error: BaseException) -> HfmemdebugError | None:
        """Explains an error of the data without a value of theirs, as a recording may hold it."""
        loaded = self.report
        repo = loaded.name if loaded is not None and loaded.source == "Hub" else None
        files = [file.path for file in loaded.files] if loaded is not None and repo is None else []
        return explain(error, self.spec, repo=repo, files=files, quote=False)

    @property
    def _loaded(self) -> LoadReport:
        assert self.report is not None
        return self.report

    def calibrate(self, step: int | None) -> None:
        """Measures what a row costs, in slices of this size where the user has chosen it."""
        with self._reading(f"reading the first {'items' if self.from_iterable else 'rows'}"):
            found = calibrate(self.dataset, self._loaded.rows, self.probe, step=step)
        self.reproduce = self._reproduce(found.bytes_per_row)
        self.channel.send(
            event="calibrated", bytes_per_row=found.bytes_per_row, seconds_per_row=found.seconds_per_row
        )

    def _reproduce(self, bytes_per_row: float) -> str | None:
        """The same on rows that anybody can build, where the dataset is not for everybody to load."""
        rows = self._loaded.rows
        if rows is None or (self._loaded.source == "Hub" and self._loaded.private is False):
            return None
        from hfmemdebug.data.rows import synth_line

        try:
            line = synth_line(self.dataset, rows, bytes_per_row)
        except Exception:
            # A type that nobody thought of must not cost the measurement.
            return None
        consumer = self.header.workload.consumer
        options = f" --consumer {shlex.quote(consumer)}" if consumer else ""
        return f"{line}\nhfmemdebug {self.header.command} ./like-ds{options}" if line else None

    def epoch(self, number: int, plan: dict[str, Any], warmup: int, last: bool, bytes_per_row: float) -> None:
        """Reads all slices of one epoch and settles.

        Args:
            number: The epoch, from 1.
            plan: The slices.
            warmup: Slices of the first epoch that are marked as warm-up.
            last: Known to be the last one: the mapped pages stay, for the proof to take them back.
            bytes_per_row: What a row decodes to, for the recording.
        """
        if self.stopping:
            return
        if number == 1:
            self._begin(SlicePlan(**plan), warmup, bytes_per_row)
        assert self.plan is not None
        read = epoch_reader(self.dataset, self.plan)
        clock = self.probe.clock
        began = clock()
        done = 0
        for index in range(self.plan.count):
            try:
                with self._reading(
                    f"reading slice {index} of epoch {number}, from row {self.plan.start(index):,}"
                ):
                    rows = read(index)
            except StopIteration:
                # The stream is shorter than the plan.
                break
            if self.consumer is not None:
                try:
                    self.consumer.call(rows)
                except BaseException as error:
                    raise ProgramError(f"the consumer at slice {index} of epoch {number}") from error
            length = self._loaded.step
            if length is None:
                # The last slice of a stream may be shorter than the plan.
                length = self.plan.length(index) if self.plan.rows is not None else rows_in(rows)
            # Dropped before the reading: what is still held then, somebody else holds.
            del rows
            looked = clock()
            self._emit(
                ArmSample(
                    kind="slice",
                    epoch=number,
                    slice=index,
                    warmup=number == 1 and index < warmup,
                    start_row=self.plan.start(index),
                    rows=length,
                    **self.probe.read(),
                )
            )
            self._observer_seconds += clock() - looked
            done += 1
            if self.stopping:
                break
        del read
        self._loop_seconds += clock() - began
        self._slices_done += done

        if self.from_iterable and number == 1:
            self._find_files()

        def emit(step: str, values: dict[str, Any]) -> None:
            self._emit(ArmSample(kind="settle", epoch=number, slice=done, step=step, **values))

        settle(self.probe, self.files, emit, drop=not last)

    def _begin(self, plan: SlicePlan, warmup: int, bytes_per_row: float) -> None:
        if self.plan is None:
            self.plan = plan
        self.header = replace(
            self.header,
            loaded=self._loaded,
            missing=tuple(self.probe.missing),
            reproduce=self.reproduce,
            environment=environment(),
            workload=replace(
                self.header.workload,
                **self.plan.to_dict(),
                warmup=warmup,
                bytes_per_row=round(bytes_per_row, 1),
            ),
        )
        self.recorder.header(self.header)
        self.channel.send(event="header", header=encode(self.header))
        if self.consumer is not None and self.consumer.setup is not None:
            try:
                self.consumer.setup()
            except BaseException as error:
                raise ProgramError("setup()") from error
        self.before_epochs = MappedSince()
        settle_once(self.probe, self.files)
        # The readings themselves leave a megabyte or two free behind, as every later one finds it given back.
        self.probe.trim()
        self.probe.reset_peak()
        self._emit(
            ArmSample(kind="settle", epoch=0, slice=0, step="start", **self.probe.read_settled(self.files))
        )

    def _find_files(self) -> None:
        """Which files an iterable maps, only the mappings say: they are treated as a dataset's from here on."""
        assert self.before_load is not None
        files = describe_files(self.before_load.new_files())
        if files:
            self.report = replace(self._loaded, files=files)
            self.files = frozenset(file.path for file in files)
            self.end = replace(self.end, mapped_files=files)
            self.channel.send(event="maps")

    def trace(self, native: tuple[str, float, int | None] | None) -> None:
        """Reads some more slices to find where the leaked memory comes from and what holds it.

        Args:
            native: The counter that leaks and by how much per slice, where Python's objects do not; where it
                counts things, bytes of each.
        """
        assert self.plan is not None
        plan, consumer = self.plan, self.consumer
        self.channel.send(event="note", text="something grows: a slower pass traces which line it comes from")

        def walk() -> Iterator[None]:
            read = epoch_reader(self.dataset, plan)
            for index in itertools.cycle(range(plan.count)):
                try:
                    with self._reading(f"reading slice {index}, as it was traced"):
                        rows = read(index)
                except StopIteration:
                    return
                try:
                    if consumer is not None:
                        consumer.call(rows)
                except BaseException as error:
                    raise ProgramError("the consumer, as it was traced") from error
                del rows
                if self.stopping:
                    raise _StoppedError
                yield

        try:
            found = self._trace(walk, native)
        except _StoppedError:
            # What was traced until now may miss what the rest would have shown.
            return
        except ProgramError:
            raise
        except Exception as error:
            # The verdict does not need it.
            traceback.print_exception(error)
            found = Trace(failed=describe(error))
        self.end = replace(self.end, trace=found)

    def _trace(
        self, walk: Callable[[], Iterator[None]], native: tuple[str, float, int | None] | None
    ) -> Trace:
        from hfmemdebug.origin.trace import NativeGrowth, trace

        if native is None:
            return trace(walk)
        counter, rate, bytes_each = native
        # memray takes memory of its own, which a limit might not leave.
        free = not self.header.limit
        growth = NativeGrowth(
            counter, self.probe.reader_of(counter), rate, memray=free, bytes_each=bytes_each
        )
        return trace(walk, growth)

    def prove(self) -> None:
        """Takes the dataset's pages back and reports what happened."""
        proof = prove_reclaim(self.probe, self._loaded.files if self.files else ())
        self.end = replace(self.end, reclaim=proof)

    def close(self) -> None:
        """The user's teardown, the closing line, the end."""
        if self.before_epochs is not None:
            self.end = replace(self.end, copies=self.before_epochs.copied())
        if self.consumer is not None and self.consumer.teardown is not None:
            try:
                self.consumer.teardown()
            except BaseException as error:
                self.fail("teardown()", error)
        if self.stopping and self.end.outcome == "completed":
            self.end = replace(self.end, outcome="interrupted")
        self.end = replace(
            self.end,
            observer_seconds=round(self._observer_seconds, 6),
            loop_seconds=round(self._loop_seconds, 6),
        )
        if self.plan is not None:
            self.recorder.end(self.end)
        self.recorder.close()
        self.channel.send(event="closed", end=encode(self.end))

    def fail(self, where: str, error: BaseException, explanation: HfmemdebugError | None = None) -> None:
        """Notes that the program failed, or that the data could not be read.

        A traceback of their own code is theirs, so they get it whole; of the data's readers the line says enough.
        """
        if explanation is None:
            traceback.print_exception(error)
            detail = describe(error)
        else:
            said = " ".join(traceback.format_exception_only(error))
            print(f"{where}: {explanation.line()}\n{scrub(said, token=self.spec.token)}", file=sys.stderr)
            detail = explanation.message
            data_error = DataError(explanation.kind, explanation.message, explanation.next)
            self.end = replace(self.end, data_error=data_error)
        self.end = replace(self.end, outcome="failed", detail=f"{where}: {detail}")

    def _emit(self, sample: ArmSample) -> None:
        self.recorder.sample(sample)
        self.channel.send(event="sample", sample=sample.to_dict())


def working_directory() -> Path | None:
    """Where we are; None where that folder was removed."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None
