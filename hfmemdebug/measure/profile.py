"""`profile`: one dataset, one mode, one arm."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hfmemdebug.errors import HfmemdebugError
from hfmemdebug.measure.budget import Budget
from hfmemdebug.measure.session import ArmKind, Listener, Round
from hfmemdebug.measure.settings import Settings
from hfmemdebug.recording.file import Recording

# What was asked for is read in full. Where the answer is open then, epochs follow for as long as this.
EXTENSION_SECONDS = 60.0


@dataclass(frozen=True)
class Measured:
    """What an experiment leaves.

    Attributes:
        recordings: One an arm.
        interrupted: Ctrl-C ended it.
        failures: What arms died of or were stopped for, a line each.
        timed_out: The budget ended it.
        unreadable: Why the data could not be read to their end, where that ended it.
    """

    recordings: tuple[Recording, ...]
    interrupted: bool
    failures: tuple[str, ...] = ()
    timed_out: bool = False
    unreadable: HfmemdebugError | None = None


def profile(settings: Settings, folder: Path, listen: Listener) -> Measured:
    """Reads slices of a dataset in one mode.

    Args:
        settings: What the user asked for.
        folder: Where the recording goes.
        listen: Takes every event of the arm.

    Raises:
        HfmemdebugError: The dataset or the consumer could not be loaded.
    """
    # An iterable is asked for in memory only to be refused where it is loaded.
    mode = "in-memory" if settings.in_memory else "streaming" if settings.reads_stream else "mmap"
    name = {"mmap": "memory-mapped"}.get(mode, mode)
    kind = ArmKind(name, mode, settings.consumer is not None)
    budget = Budget(settings.budget, default=EXTENSION_SECONDS, asked=True)
    measuring = Round(settings, "profile", [kind], folder, listen, clock=budget)
    recordings = measuring.run()
    return Measured(
        tuple(recordings),
        measuring.interrupted,
        tuple(measuring.failures()),
        budget.is_over(),
        measuring.unreadable(),
    )
