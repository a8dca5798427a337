"""The memory of a training, logged to wherever the Trainer of transformers logs, and recorded for a verdict."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

from transformers.trainer_callback import (
    CallbackHandler,
    TrainerCallback,
    TrainerControl,
    TrainerState,
)
from transformers.training_args import TrainingArguments

import hfmemdebug.render.notebook  # noqa: F401 - results show themselves
from hfmemdebug.analysis.trend import LIBRARY_OVERHEAD
from hfmemdebug.errors import UsageError
from hfmemdebug.integrations.pace import Pace
from hfmemdebug.measure.recorder import Recorder, closed_at_exit
from hfmemdebug.recording.ranks import is_folder
from hfmemdebug.recording.sample import ArmSample
from hfmemdebug.result import Result
from hfmemdebug.units import parse_size

# What is logged, in the order in which it is shown.
ANONYMOUS, RECLAIMABLE, RATE = (
    "memory_anonymous_mb",
    "memory_reclaimable_mb",
    "memory_rate_bytes_per_step",
)
# The Trainer keeps all that it logs for its state, which with our figures is 0.6 to 1.3 KB each time (transformers
# 5.24); beyond that libraries lose crumbs.
KEPT_PER_LOG = 2048.0
# A training of a million steps is not to leave a recording of 250 MB: of more, each n-th is recorded.
_MOST_RECORDED = 20_000
_MB = 1 << 20


class MemoryCallback(TrainerCallback):
    """Logs the memory of a training with its loss, and records it step by step.

    Three figures go with each loss to TensorBoard, W&B, trackio or whatever the Trainer reports to:
    ``memory_anonymous_mb`` (with what of it was swapped out: the kernel cannot drop it),
    ``memory_reclaimable_mb`` (pages of mapped files, which it can) and ``memory_rate_bytes_per_step`` (how fast
    anonymous, swapped and shared memory grows, over the later half of the steps so far).

    The recording is that of `hfmemdebug.Recorder`: an item is an optimizer step, an epoch one of the training's.
    In a distributed training the first process alone logs and records; all record where the output is a folder.
    What goes wrong here never ends the training: it is warned of once, and no more is recorded.

    Args:
        output: The recording's file, or a folder that ends in a slash, for a recording a rank; without one it is kept
            as a run, for `hfmemdebug report --last`.
        min_leak: What keeps fewer bytes per step is not called a leak: a size such as ``"1K"``. By default 256 bytes,
            and 2 KB each time that the Trainer logs, since it keeps its logs.

    Raises:
        UsageError: `min_leak` is no size.
    """

    def __init__(
        self, output: str | os.PathLike[str] | None = None, *, min_leak: str | int | None = None
    ) -> None:
        self._output = output
        self._min_leak = None if min_leak is None else float(parse_size(str(min_leak)))
        self._recorder: Recorder | None = None
        self._recording = False
        self._every = 1
        self._pace = Pace()
        self._last: ArmSample | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Begins the recording."""
        # A training that failed has not told of its end.
        self._guarded(lambda recorder: recorder.close("interrupted"))
        self._recorder, self._recording, self._last = None, False, None
        if not state.is_world_process_zero and not (self._output and is_folder(self._output)):
            return
        _go_first(self)
        self._pace = Pace()
        self._every = max(1, -(-state.max_steps // _MOST_RECORDED))
        iteration = "step" if self._every == 1 else f"{self._every} steps"
        min_leak = self._min_leak if self._min_leak is not None else _floor(args, state)
        self._recorder = closed_at_exit(
            Recorder(self._output, name="training", iteration=iteration, min_leak=min_leak * self._every)
        )
        self._recording = True
        self._guarded(lambda recorder: recorder.start())

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Takes a reading: once for each optimizer step, however many batches it accumulates."""
        if self._recording and state.global_step % self._every == 0:
            self._guarded(lambda recorder: self._take(recorder.mark(), state.global_step))

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Adds the figures to what is logged with the loss."""
        # What evaluate() and train() log is what they return too: those stay as they are.
        if not self._recording or logs is None or "loss" not in logs:
            return
        figures = self.figures()
        logs.update(figures)
        if state.log_history and state.log_history[-1].get("step") == state.global_step:
            state.log_history[-1].update(figures)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Ends an epoch of the recording: garbage is collected, allocators give back what they hold free."""
        self._guarded(lambda recorder: recorder.end_epoch())

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Ends the recording."""
        self._guarded(lambda recorder: recorder.close())
        self._recording = False

    def figures(self) -> dict[str, float]:
        """Returns the last reading as it is logged, in MB of 1024 × 1024 bytes, without what cannot be read here."""
        last = self._last
        if last is None or last.anon is None:
            return {}
        found = {ANONYMOUS: round((last.anon + (last.swap or 0)) / _MB, 2)}
        if last.file is not None:
            found[RECLAIMABLE] = round(last.file / _MB, 2)
        if (rate := self._pace.rate()) is not None:
            found[RATE] = round(rate, 1)
        return found

    def result(self) -> Result:
        """The verdict on the training that was recorded last, also while it goes on.

        Raises:
            UsageError: Nothing was recorded yet.
        """
        if self._recorder is None or not self._recorder.has_begun:
            raise UsageError(
                "MemoryCallback has recorded nothing",
                next="Call trainer.train() with it among the callbacks.",
            )
        return self._recorder.result()

    def _take(self, sample: ArmSample | None, step: int) -> None:
        self._last = sample
        if sample is not None and sample.unreclaimable is not None:
            self._pace.add(step, sample.unreclaimable)

    def _guarded(self, act: Callable[[Recorder], object]) -> None:
        """Does something with the recorder; where that fails, the training goes on without it."""
        if self._recorder is None or not self._recording:
            return
        try:
            act(self._recorder)
        except OSError as error:
            self._recording = False
            warnings.warn(f"MemoryCallback records no more: {error.strerror or error}", stacklevel=2)


def _floor(args: TrainingArguments, state: TrainerState) -> float:
    """Bytes per step that a training without a leak keeps."""
    if args.logging_strategy != "steps":
        return LIBRARY_OVERHEAD
    return LIBRARY_OVERHEAD + KEPT_PER_LOG / max(1.0, float(state.logging_steps or args.logging_steps))


def _go_first(callback: MemoryCallback) -> None:
    """Puts a callback before those that report: what it adds to the logs has to be there when they look.

    The Trainer calls its reporters before the callbacks that it was given, and tells these nothing of the others.
    The caller knows them: the frame that stands above.
    """
    frame = sys._getframe(1)
    while frame.f_back is not None:
        frame = frame.f_back
        handler = frame.f_locals.get("self")
        if isinstance(handler, CallbackHandler) and callback in handler.callbacks:
            # A new list: the old one is being gone through.
            handler.callbacks = [callback, *(other for other in handler.callbacks if other is not callback)]
            return
    warnings.warn(
        "MemoryCallback did not find the Trainer's reporters; its figures may be missing there", stacklevel=3
    )
