"""A tree's samples into a recording, ever more seldom, so that a day's is a few megabytes."""

from __future__ import annotations

from collections.abc import Sequence

from hfmemdebug.recording.file import RecordingWriter
from hfmemdebug.recording.sample import Sample

# As many looks are kept at first; from then on the time between two grows with the run.
FULL_RATE_LOOKS = 1000


class Thinned:
    """Writes looks at a tree; those that it leaves out lie between two that it keeps.

    Args:
        writer: The recording.
    """

    def __init__(self, writer: RecordingWriter) -> None:
        self._writer = writer
        self._kept = -1.0

    def keep(self, looked: Sequence[Sample], *, last: bool = False) -> bool:
        """Writes a look where it is time to, and returns whether it did.

        Args:
            looked: The samples of the processes, then the tree's.
            last: It is the last one, and always kept.
        """
        if not looked:
            return False
        seconds = looked[-1].seconds
        if not last and seconds - self._kept < seconds / FULL_RATE_LOOKS:
            return False
        self._kept = seconds
        for sample in looked:
            self._writer.sample(sample)
        return True
