"""An arm under a memory limit: started in it, looked at while it runs, its figures put into the recording."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hfmemdebug.recording.end import LimitUsage
from hfmemdebug.recording.file import append
from hfmemdebug.recording.header import Limit
from hfmemdebug.supervise.limits.enclosure import Request
from hfmemdebug.supervise.limits.start import start


class ArmLimit:
    """The limit of one arm.

    Args:
        command: What runs in it.
        limit: Memory in bytes; no swap beyond it.
        environment: The command's environment.
        options: Arguments of `subprocess.Popen`.

    Raises:
        LimitError: No limit can be set here.
    """

    def __init__(
        self, command: Sequence[str], limit: int, *, environment: Mapping[str, str], **options: Any
    ) -> None:
        self._started = start(command, Request(limit), environment=environment, **options)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The command."""
        return self._started.process

    @property
    def header(self) -> Limit:
        """What the recording's header says of it."""
        request, enclosure = self._started.request, self._started.enclosure
        return Limit(request.bytes, request.swap, enclosure.backend, enclosure.how, enclosure.is_limit)

    def what_killed(self) -> str | None:
        """Who has killed the arm, or a process of it, for the memory that it used; None if nobody has."""
        if self._started.enclosure.killed:
            return "the watchdog"
        return "the kernel's OOM killer" if self._started.enclosure.usage().oom_kills else None

    def close(self, recording: Path) -> None:
        """Ends what is left, removes the limit, and adds what was used to the recording."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._thread.join()
        usage = self._started.enclosure.usage()
        self._started.close()
        if recording.exists() and recording.stat().st_size:
            used = LimitUsage(
                **asdict(self.header),
                peak_bytes=usage.peak,
                peak_unreclaimable_bytes=usage.unreclaimable_peak,
                file_bytes_at_peak=usage.file_at_peak,
                oom_kills=usage.oom_kills,
                limit_hits=usage.limit_hits,
                throttled=usage.throttled,
                stalled_seconds=usage.stalled_seconds,
                major_faults=usage.major_faults,
            )
            append(recording, used)

    def _look(self) -> None:
        enclosure = self._started.enclosure
        while not self._ended.wait(enclosure.tick):
            enclosure.look()
