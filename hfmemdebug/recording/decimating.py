"""Writes the looks at a watched program ever more seldom, so that a day of them is a few megabytes."""

from __future__ import annotations

from hfmemdebug.recording.file import RecordingWriter
from hfmemdebug.recording.sample import TreeSample

# As many looks are kept at first; from then on the time between two grows with the run.
FULL_RATE_LOOKS = 1000


class DecimatingWriter:
    """Writes looks at a tree; those that it leaves out lie between two that it keeps.

    Args:
        writer: The recording.
    """

    def __init__(self, writer: RecordingWriter) -> None:
        self._writer = writer
        self._kept = -1.0

    def keep(self, tree: TreeSample) -> bool:
        """Writes a look where it is time to, and returns whether it did."""
        if tree.seconds - self._kept < tree.seconds / FULL_RATE_LOOKS:
            return False
        self._kept = tree.seconds
        self._writer.look(tree)
        return True
