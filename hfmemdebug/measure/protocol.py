"""How an arm and its supervisor talk: JSON lines over two pipes.

Commands go down, events come up. The samples come up as events too, the moment they are in the
recording, so that the supervisor can show and judge them while the arm goes on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hfmemdebug.recording.descriptor import Descriptor

# An arm's exit status where it can say no more.
LOST_STATUS = 99


class Channel:
    """One end of a pair of pipes.

    Args:
        read_fd: Where the other side's lines arrive.
        write_fd: Where our lines go.
    """

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self._read_end = Descriptor(read_fd)
        self._arrived: list[bytes] = []
        self._rest = b""
        self._write_end = Descriptor(write_fd)

    def send(self, **document: Any) -> None:
        """Sends one line.

        Raises:
            BrokenPipeError: The other side has gone.
            LostDescriptorError: Somebody has closed our end.
        """
        line = memoryview(json.dumps(document, separators=(",", ":")).encode() + b"\n")
        while line:
            line = line[self._write_end.write(line) :]

    def lines(self) -> Iterator[dict[str, Any]]:
        """The other side's lines until it closes its end.

        Nothing of a line is kept once it is given out: a file object holds the last chunk that it has read,
        and how many commands came in that is no matter of the measured process.

        Raises:
            LostDescriptorError: Somebody has closed our end.
        """
        while True:
            while self._arrived:
                yield json.loads(self._arrived.pop(0))
            chunk = self._read_end.read(65536)
            if not chunk:
                break
            # A side that was killed can leave half a line behind, which stays here.
            *self._arrived, self._rest = (self._rest + chunk).split(b"\n")
            del chunk
        self._read_end.close()

    @property
    def lost(self) -> bool:
        """Whether code of the user's has closed one of our ends."""
        return self._read_end.lost or self._write_end.lost

    def close(self) -> None:
        """Closes our end: the other side's lines end. Its own may still be read to their end."""
        self._write_end.close()
