"""A process of ours or a program under a memory limit: sampled while it runs, its figures put into the recording."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from hfmemdebug.recording.header import Limit
from hfmemdebug.supervise.child import Exit, SignalRelay
from hfmemdebug.supervise.limits.command import LimitedRun
from hfmemdebug.supervise.limits.limiter import Request
from hfmemdebug.supervise.limits.start import start


class LimitedProcess:
    """A command under a limit, which a thread samples: a watchdog has to do that often.

    Args:
        command: The command and its arguments.
        request: The limit.
        environment: The command's environment.
        relay: What passes signals on to it, or None.
        options: Arguments of `subprocess.Popen`.

    Raises:
        LimitError: No limit can be set here.
        CommandError: The command cannot be executed.
    """

    def __init__(
        self,
        command: Sequence[str],
        request: Request,
        *,
        environment: Mapping[str, str],
        relay: SignalRelay | None = None,
        **options: Any,
    ) -> None:
        self._started = start(command, request, environment=environment, relay=relay, **options)
        self._began = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The command."""
        return self._started.process

    @property
    def limit(self) -> Limit:
        """The limit that is in force."""
        used = self._started.limiter.usage()
        return Limit(used.bytes, used.swap_bytes, used.backend, used.how, used.is_limit)

    def exit_of(self, ended: Exit) -> Exit:
        """Adds to how the command ended what was seen to kill it for its memory."""
        return self._started.exit_of(ended)

    def close(self, ended: Exit) -> LimitedRun | None:
        """Ends what is left and removes the limit.

        Args:
            ended: How the command ended.

        Returns:
            The run; None where the limit was removed before.
        """
        if self._ended.is_set():
            return None
        self._ended.set()
        self._thread.join()
        seconds = time.monotonic() - self._began
        run = LimitedRun(self.exit_of(ended), self._started.limiter.usage(), seconds)
        self._started.close()
        return run

    def _sample(self) -> None:
        limiter = self._started.limiter
        while not self._ended.wait(limiter.interval):
            limiter.sample()
