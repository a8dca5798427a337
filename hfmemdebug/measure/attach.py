"""Watching a live process from outside, into a recording: nothing is injected, and nothing is harmed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from hfmemdebug.probes import foreign
from hfmemdebug.recording.decimating import Thinned
from hfmemdebug.recording.end import End
from hfmemdebug.recording.file import Recording, RecordingWriter, load_recording
from hfmemdebug.recording.header import Header
from hfmemdebug.recording.sample import Sample
from hfmemdebug.supervise.tree import TreeReading, read_tree
from hfmemdebug.supervise.watch import TreeWatch

# Looking into every process (PSS of each file) may take at most this share of one core's time.
DEEP_SHARE = 0.02
LEAST_BETWEEN_DEEP = 2.0


@dataclass
class Attachment:
    """A process that is watched.

    Args:
        target: Who it is.
        recording: Where the recording is written.
        header: What its header says.
        interval: Seconds between looks, at first and at most.
        clock: Seconds, monotonic.
        sleep: Waits.
    """

    target: foreign.Stat
    recording: Path
    header: Header
    interval: tuple[float, float] = (0.1, 0.5)
    clock: Callable[[], float] = time.perf_counter
    sleep: Callable[[float], None] = time.sleep
    tree: TreeReading | None = None
    samples: list[Sample] = field(default_factory=list)
    why_ended: str | None = None
    _deep_due: float = 0.0

    def watch(
        self,
        show: Callable[[Attachment], bool],
        *,
        duration: float | None = None,
    ) -> Recording:
        """Watches until the time is over, the process has ended, or `show` has had enough.

        Args:
            show: Is called after each look; returns whether to go on.
            duration: Seconds, or None for no end.
        """
        began = self.clock()
        tree = TreeWatch(self.target.pid, clock=self.clock, without=os.getpid())
        detail = None
        with RecordingWriter(self.recording) as writer:
            writer.header(self.header)
            looks, seen = Thinned(writer), False
            try:
                while True:
                    looked = tree.look()
                    if not tree.alive or not self._is_same():
                        self.why_ended = f"process {self.target.pid} ended while it was watched"
                        detail = self.why_ended
                        break
                    if self.tree is None:
                        # To be shown alone: shared pages are counted in each, which would seem to shrink by the next.
                        self.samples[:] = looked
                    elif looks.keep(looked):
                        if not seen:
                            self.samples.clear()
                        seen = True
                        self.samples.extend(looked)
                    # Looking into ten GB takes as long as all that came before: the first figures go ahead.
                    goes_on = self.tree is not None or show(self)
                    self._look_deeper(tree)
                    over = duration is not None and self.clock() - began >= duration
                    if not (goes_on and show(self)) or over:
                        break
                    self.sleep(self._pause(self.clock() - began))
            except KeyboardInterrupt:
                # The usual way to end a live view: what was measured is the answer.
                detail = "ended by the user"
            tree.close()
            if not seen:
                looks.keep(self.samples)
            end = End(
                "completed", detail, observer_share=round(tree.cost / max(self.clock() - began, 1e-3), 4)
            )
            if self.tree is not None:
                notes = (*self.tree.notes, *([self.why_ended] if self.why_ended else []))
                end = replace(end, notes=notes, **self.tree.to_dict())
            writer.end(end)
        return load_recording(self.recording)

    def _pause(self, watched: float) -> float:
        """Often at first, so that an answer comes soon; then as often as a person looks."""
        least, most = self.interval
        return min(most, max(least, watched / 50))

    def _is_same(self) -> bool:
        """Whether the number is still that of the process that was meant."""
        stat = foreign.read_stat(self.target.pid)
        return stat is not None and stat.started == self.target.started and stat.state not in "ZX"

    def _look_deeper(self, watch: TreeWatch) -> None:
        now = self.clock()
        if now < self._deep_due:
            return
        tree = read_tree(self.target.pid, without=(os.getpid(),))
        if tree.processes and tree.processes[0].pid == self.target.pid:
            self.tree = tree
            watch.learn(tree)
        self._deep_due = now + max(LEAST_BETWEEN_DEEP, (self.clock() - now) / DEEP_SHARE)
