"""Runs arms side by side: the first one measures what a row costs, all read the same slices, and epochs
follow until the answer is known, the time is up or memory runs short.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from hfmemdebug.analysis.assess import Assessment
from hfmemdebug.analysis.confirm import counter_to_trace
from hfmemdebug.analysis.counters import EXACT
from hfmemdebug.analysis.verdict import assess_all, what_is_open
from hfmemdebug.data.load import is_iterable
from hfmemdebug.decode import encode
from hfmemdebug.errors import ERROR_OF_KIND, HfmemdebugError, UsageError
from hfmemdebug.measure.arm_pool import ArmPool, ArmProcess
from hfmemdebug.measure.budget import Budget
from hfmemdebug.measure.plan import KEPT_SHARE, LOOP_SECONDS_WITH_CONSUMER, choose_slices, fit_into_memory
from hfmemdebug.measure.settings import Settings
from hfmemdebug.probes.cgroup import memory_available, memory_total
from hfmemdebug.recording.file import Recording
from hfmemdebug.recording.header import ArmInfo
from hfmemdebug.workload.slices import SlicePlan

# The arms that hold rows in memory may take this share, together, of what this process may still use.
MEMORY_SHARE = 0.5
# With less than this left of what was there at the start, the arms are stopped: the machine comes first.
RESERVE_SHARE = 0.1
WARMUP = 4
EPOCHS = 3
# Where a dataset has few slices, epochs follow until the user's code was called as often as this.
FEWEST_CALLS = 150
# A leak is confirmed by so many times the work, if that takes no longer than so many seconds.
DOSE = 4
DOSE_SECONDS = 15.0
# ... or by twice the work, if that takes no more than this share of the time that is left.
LEAST_DOSE = 2
DOSE_SHARE = 0.4
# Where another round follows, the first one is open no longer than this share of the time: both are needed.
SHARE_OF_FIRST = 0.55
# A process that has said its last word ends within this time, or it is not waited for.
ENDING_SECONDS = 5.0

Listener = Callable[[ArmProcess, dict[str, Any]], None]


@dataclass(frozen=True)
class ArmKind:
    """Which arms an experiment has."""

    name: str
    mode: str
    consumer: bool


class Round:
    """Arms that run at the same time.

    Args:
        settings: What the user asked for.
        command: ``profile`` or ``diagnose``.
        kinds: The arms; the first one is the leader, which measures what a row costs.
        folder: Where the recordings go.
        listen: Takes every event, for whoever shows progress.
        clock: How long the run may take.
        earlier: Recordings of earlier rounds, which are judged together with these.
        dose: Epochs with which to begin, to confirm what an earlier round has found.
        confirm_here: Confirm a leak that is found by going on; else a later round does.
        environment: The arms' environment, where it is not ours.
        enough: Asked now and then; the arms are stopped when it says so.
    """

    def __init__(
        self,
        settings: Settings,
        command: str,
        kinds: Sequence[ArmKind],
        folder: Path,
        listen: Listener,
        *,
        clock: Budget,
        earlier: Sequence[Recording] = (),
        dose: int | None = None,
        confirm_here: bool = True,
        environment: Mapping[str, str] | None = None,
        enough: Callable[[], bool] | None = None,
    ) -> None:
        self.settings = settings
        self.command = command
        self.folder = folder
        self.clock = clock
        self.earlier = tuple(earlier)
        self.plan: SlicePlan | None = None
        self.bytes_per_row = 0.0
        # Of the library alone, crumbs count from 256 bytes a slice on, and without its caches malloc gives its top back
        # to the kernel at every slice: that takes half as long again.
        users = settings.consumer is not None or is_iterable(settings.spec)
        self.pool = ArmPool(listen, limit=settings.limit, environment=environment, thread_caches=not users)
        self._listen = listen
        self.arms = [
            ArmProcess(k.name, k.mode, k.consumer, folder / f"{k.name.replace(' ', '-')}.jsonl")
            for k in kinds
        ]
        self.target = settings.epochs or dose or EPOCHS
        self._share = 1.0 if confirm_here else SHARE_OF_FIRST
        self._few = settings.epochs is None and dose is None and command == "diagnose"
        self._unconfirmed = confirm_here and settings.epochs is None and dose is None
        self._enough = enough
        self.interrupted = False
        self._epoch_seconds: float | None = None
        self._epoch_began = 0.0
        self._free = memory_available()
        self._memory = _lower(memory_total(), settings.limit)
        self._available = _lower(self._free, settings.limit)
        self._last_look = 0.0
        self._stopped = False
        self._stopped_because: str | None = None
        self._prover: ArmProcess | None = None
        self._proved_after: int | None = None

    @property
    def leader(self) -> ArmProcess:
        """The arm that loads first and measures what a row costs."""
        return self.arms[0]

    def run(self) -> list[Recording]:
        """Runs the arms to their ends and returns their recordings.

        Raises:
            HfmemdebugError: The dataset could not be loaded, or we failed.
        """
        try:
            for arm in self.arms:
                self.pool.start(arm, self._task(arm))
            self.leader.send(do="load")
            for arm in self.arms[1:]:
                arm.send(do="prepare")
            events = self.pool.events()
            while any(arm.alive for arm in self.arms):
                try:
                    for arm, event in events:
                        self._on(arm, event)
                except KeyboardInterrupt:
                    if self.interrupted:
                        break
                    self.interrupted = True
                    self._listen(self.leader, {"event": "stopping"})
                    self._stop()
                    events = self.pool.events()
        finally:
            self.pool.kill()
        return self.recordings()

    def recordings(self) -> list[Recording]:
        """Returns what the arms have recorded so far."""
        return [recording for arm in self.arms if (recording := arm.recording) is not None]

    def failures(self) -> list[str]:
        """What arms died of or were stopped for, a line each."""
        stopped = [self._stopped_because] if self._stopped_because else []
        return stopped + [str(arm.end.detail) for arm in self.arms if arm.end is not None and arm.end.died]

    def unreadable(self) -> HfmemdebugError | None:
        """Why the data could not be read to their end, where that ended an arm."""
        errors = (arm.end.data_error for arm in self.arms if arm.end is not None)
        error = next(filter(None, errors), None)
        return None if error is None else ERROR_OF_KIND[error.kind](error.message, next=error.next)

    def _task(self, arm: ArmProcess) -> dict[str, Any]:
        header = replace(
            self.settings.header(self.command, ArmInfo(arm.name, arm.mode, arm.consumer)),
            memory_bytes=self._memory,
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        )
        return {
            "spec": encode(self.settings.spec),
            "mode": arm.mode,
            "consumer": self.settings.consumer if arm.consumer else None,
            "header": encode(header),
        }

    def _on(self, arm: ArmProcess, event: dict[str, Any]) -> None:
        name = event["event"]
        if name in ("sample", "tick"):
            self._watch()
        elif name == "load_done" and arm is self.leader:
            arm.send(do="calibrate", step=self.settings.step)
        elif name == "calibrated":
            self._plan(event["bytes_per_row"], event["seconds_per_row"])
            self._start_reading()
        elif name == "epoch_done":
            self._after_epoch(arm)
        elif name == "prove_done" and arm is self._prover:
            arm.send(do="end")
        elif name in ("closed", "gone"):
            self._after_end(arm)

    def _plan(self, bytes_per_row: float, seconds_per_row: float) -> None:
        """Chooses the slices, from what a row costs."""
        assert self.leader.report is not None
        settings = self.settings
        if settings.step is not None and self.leader.report.step is not None:
            raise UsageError(
                "--step means nothing for an iterable, of which a slice is one item",
                next="Have it make batches, and leave --step out.",
            )
        self.bytes_per_row = bytes_per_row
        self.plan = choose_slices(
            settings,
            self.leader.report,
            bytes_per_row=bytes_per_row,
            seconds_per_row=seconds_per_row,
            epochs=self.target,
            arms=len(self.arms),
            available=self._available,
            fewest_that_tell=self.command == "diagnose",
        )
        if self._few and settings.consumer is not None:
            self.target = max(self.target, -(-FEWEST_CALLS // self.plan.count))

    def _start_reading(self) -> None:
        """Loads the other arms, takes rows into memory where an arm is to, and begins the first epoch."""
        assert self.plan is not None
        assert self.leader.report is not None
        in_memory = sum(arm.mode == "in-memory" for arm in self.arms)
        for arm in self.arms:
            if arm is not self.leader:
                arm.send(do="load")
            if arm.mode == "in-memory":
                plan, whole = fit_into_memory(
                    self.plan, self.leader.report.data_bytes, self._memory_share(in_memory)
                )
                arm.send(do="take", plan=plan.to_dict(), whole=whole)
            self._next_epoch(arm)

    def _memory_share(self, arms: int) -> float | None:
        return None if self._available is None else MEMORY_SHARE * self._available / max(arms, 1)

    def _next_epoch(self, arm: ArmProcess) -> None:
        assert self.plan is not None
        self._listen(arm, {"event": "planned", "slices": self.plan.count * self.target})
        self._epoch_began = time.monotonic()
        arm.send(
            do="epoch",
            number=arm.epochs_done + 1,
            plan=self.plan.to_dict(),
            warmup=self._warmup(),
            last=arm.epochs_done + 1 == self.target,
            bytes_per_row=self.bytes_per_row,
        )

    def _warmup(self) -> int:
        assert self.plan is not None
        wanted = WARMUP if self.settings.warmup is None else self.settings.warmup
        return min(wanted, max(self.plan.count - 1, 0))

    def _after_epoch(self, arm: ArmProcess) -> None:
        self._epoch_seconds = time.monotonic() - self._epoch_began
        if self._stopped:
            return
        if self._few and self._epoch_seconds * self.target > LOOP_SECONDS_WITH_CONSUMER:
            self.target = max(EPOCHS, *(a.epochs_done for a in self.arms))
        if arm.epochs_done < self.target and not self.clock.is_over(self._epoch_seconds):
            self._next_epoch(arm)
        else:
            self._prove_while_others_read(arm)
            self._decide()

    def _prove_while_others_read(self, arm: ArmProcess) -> None:
        """Uses the time in which the arm waits; should epochs be added, their pages are read in anew."""
        mapped = [a for a in self.arms if a.maps_files]
        waits = any(a.alive and a.epochs_done < self.target for a in self.arms)
        if mapped == [arm] and waits and arm.epochs_done >= self.target:
            self._proved_after = arm.epochs_done
            arm.send(do="prove")

    def _decide(self) -> None:
        """With all arms at the same epoch: ends them, or has them go on where the answer is open."""
        running = [a for a in self.arms if a.alive]
        late = self.clock.is_over(self._epoch_seconds)
        if self._prover is not None or (any(a.epochs_done < self.target for a in running) and not late):
            return
        assessed = self._assess()
        if late or not self.clock.may_extend(self._epoch_seconds, self._share_of_time()):
            self._finish(running)
            return
        if what_is_open(assessed) is None:
            more = self.dose() if self._unconfirmed and any(a.growing for a in assessed) else self.target
            self._unconfirmed = False
            if more <= self.target:
                self._finish(running)
                return
            self.target = more
            for each in running:
                self._next_epoch(each)
            return
        # Half as many again: what is to be told from noise stands out by the number of epochs.
        self.target += max(1, self.target // 2)
        for each in running:
            self._next_epoch(each)

    def _share_of_time(self) -> float:
        """How much of the time this round may use: all, where what is left would not do for another one."""
        another = EPOCHS * (self._epoch_seconds or 0.0)
        return self._share if self.clock.may_extend(another, 1.0) else 1.0

    def dose(self) -> int:
        """Epochs that confirm a leak: several times the work, as far as time and memory allow.

        A cache with a bound looks like a leak until it is full.
        """
        epochs = self.leader.epochs_done
        if self.settings.epochs is not None or self.plan is None:
            return epochs
        epoch_seconds = max(self._epoch_seconds or 0.0, 1e-3)
        least = min(LEAST_DOSE * epochs, int(DOSE_SHARE * self.clock.left / epoch_seconds))
        bounds = [DOSE * epochs, max(least, int(DOSE_SECONDS / epoch_seconds))]
        kept = sum(max(c.trend.rate, 0.0) for a in self._assess() for c in a.growing if c.name in EXACT)
        if self._available is not None and kept > 0:
            bounds.append(int(KEPT_SHARE * self._available / (kept * self.plan.count)))
        return max(epochs, min(bounds))

    def repetition(self, slices: int) -> int | None:
        """Epochs in which so many slices are read once more; None where there is no time for them, or no leave."""
        if self.settings.epochs is not None or self.plan is None:
            return None
        epochs = -(-slices // self.plan.count)
        return epochs if epochs * (self._epoch_seconds or 0.0) < self.clock.left else None

    def _assess(self) -> tuple[Assessment, ...]:
        return assess_all([*self.earlier, *self.recordings()])

    def _finish(self, running: Sequence[ArmProcess]) -> None:
        """Ends the arms; one that maps the files takes its pages back, once no other maps them.

        A page that another process maps too cannot be paged out.
        """
        guilty = {a.name: a for a in self._assess() if a.growing}
        traced = any(recording.end.trace for recording in self.earlier)
        for arm in running:
            own_code = arm.consumer or is_iterable(self.settings.spec)
            leaking = guilty.get(arm.name)
            if own_code and leaking and not traced and not leaking.leaks_in_children_alone:
                arm.send(do="trace", native=counter_to_trace(leaking, list(guilty.values())))
        mapped = [arm for arm in running if arm.maps_files]
        self._prover = mapped[0] if mapped else None
        for arm in running:
            if arm is not self._prover:
                arm.send(do="end")
        if len(mapped) == 1:
            # What it was told before is done first.
            proved = self._proved_after == mapped[0].epochs_done
            mapped[0].send(do="end" if proved else "prove")

    def _after_end(self, arm: ArmProcess) -> None:
        others = [a for a in self.arms if a.alive]
        if not others or arm is self._prover or self._stopped:
            return
        if self.plan is None:
            # It was the leader: nobody says any more which rows to read.
            self._stop()
        elif arm.consumer and arm.end is not None and arm.end.died:
            # Its control has nothing to be compared with.
            self._stop()
        elif self._prover is None:
            self._decide()
        elif not any(a.maps_files for a in others if a is not self._prover) and arm.maps_files:
            # It has said its last word; its mappings go with its process.
            arm.wait_for_end(ENDING_SECONDS)
            self._prover.send(do="prove")

    def _stop(self) -> None:
        self._stopped = True
        self.pool.stop()

    def _watch(self) -> None:
        """Stops the arms where the time is up, and before the machine runs out of memory."""
        now = time.monotonic()
        if self._stopped or now - self._last_look < 0.25:
            return
        self._last_look = now
        left = memory_available()
        short = left is not None and self._free is not None and left < RESERVE_SHARE * self._free
        if short:
            self._stopped_because = "the arms were stopped, since memory ran short on this machine"
        elif self.clock.is_over():
            self._stopped_because = "the arms were stopped, since the time of --budget was up"
        if self._stopped_because or (self._enough is not None and self._enough()):
            self._stop()


def _lower(one: int | None, other: int | None) -> int | None:
    return min((value for value in (one, other) if value is not None), default=None)
