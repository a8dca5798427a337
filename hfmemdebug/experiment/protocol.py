"""How an arm and its supervisor talk: JSON lines over two pipes.

Commands go down, events come up. The samples come up as events too, the moment they are in the
recording, so that the supervisor can show and judge them while the arm goes on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any


class Channel:
    """One end of a pair of pipes.

    Args:
        read_fd: Where the other side's lines arrive.
        write_fd: Where our lines go.
    """

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self._reader = os.fdopen(read_fd, "r", encoding="utf-8", newline="\n")
        self._write_fd = write_fd

    def send(self, **document: Any) -> None:
        """Sends one line.

        Raises:
            BrokenPipeError: The other side has gone.
        """
        line = memoryview(json.dumps(document, separators=(",", ":")).encode() + b"\n")
        while line:
            line = line[os.write(self._write_fd, line) :]

    def lines(self) -> Iterator[dict[str, Any]]:
        """The other side's lines until it closes its end."""
        for line in self._reader:
            # A side that was killed can leave half a line behind.
            if line.endswith("\n"):
                yield json.loads(line)
        self._reader.close()

    def close(self) -> None:
        """Closes our end: the other side's lines end. Its own may still be read to their end."""
        os.close(self._write_fd)
