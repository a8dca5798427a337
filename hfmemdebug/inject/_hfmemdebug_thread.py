"""Runs the sampler's thread: where rows are read, the program's thread waits for a sample once one is due.

A thread that wants the interpreter beside a program that lets go of it for microseconds all the time, as Arrow and
NumPy do, takes dozens of wake-ups to get it, each of which interrupts the program. So the program's thread, which
comes by where rows are read, wakes the sampler's and waits on a lock until the sample is taken: two switches. It never
waits longer than the interpreter's own switch interval, for the sampler may be gone or be held up itself. Where no
rows are read, the sampler wakes by itself, a little later each time than it could have been woken.

The thread is unknown to `threading`, whose threads programs count; its locks and clock are the interpreter's own,
taken before a library or a test can put others in their place. Before a fork it is ended, after it begun again: the
child has none of its parent's threads, and a lock that such a thread held stays locked there.

Runs on CPython 3.8 and later with the standard library alone.
"""

from __future__ import annotations

import _thread
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

NEVER = float("inf")
# The program's thread waits no longer: the interpreter's own switch interval (sys.setswitchinterval), by default.
MOST_SECONDS = 0.005
# After a sample that the program woke it for, the thread waits so many times as long, for the next one to come.
_LATER = 1.2


class SamplerThread:
    """Takes samples in a thread; the program's threads wake it and wait.

    Attributes:
        now: The clock, whatever a test of the program's puts in its place later.
        new_lock: Makes an interpreter's lock, whatever a library puts in its place later.
        due: The one entry is when a thread of the program's that reads rows shall wait, by `time.perf_counter`.
    """

    def __init__(self) -> None:
        self.now, self.new_lock, self._new_thread = (
            time.perf_counter,
            _thread.allocate_lock,
            _thread.start_new_thread,
        )
        self.due = [NEVER]
        self._event = self.new_lock()
        self._waiting: list[Any] = []
        self._woken = False
        self.forget()

    def forget(self) -> None:
        """Begins anew in a forked process, which has none of its parent's threads."""
        # The thread's, while there is one; it is locked until that has ended.
        self._stopped: Any = None
        # Held by the thread that starts it.
        self._starting = self.new_lock()

    def begin(self, sample: Callable[[], None], seconds: float) -> None:
        """Starts the thread, which takes a sample every so many seconds. There is one at most."""
        if not self._starting.acquire(False):
            return
        try:
            if self._stopped is None:
                # Its own from here on: another thread that forks may end it before it has begun.
                stopped, event = self.new_lock(), self.new_lock()
                stopped.acquire()
                event.acquire()
                self.due[0] = NEVER
                self._event, self._waiting, self._woken = event, [], False
                self._stopped = stopped
                self._new_thread(self._run, (sample, seconds, stopped))
        finally:
            self._starting.release()

    def end(self) -> None:
        """Stops the thread and waits for it: a fork must not find a second thread, nor teardown."""
        # In one go: threads may fork at the same time.
        stopped, self._stopped = self._stopped, None
        if stopped is not None:
            self._wake()
            stopped.acquire(True, 2.0)

    def _run(self, sample: Callable[[], None], seconds: float, stopped: Any) -> None:
        try:
            while self._stopped is stopped:
                self._sleep(seconds)
                if self._stopped is stopped:
                    sample()
                    self._done()
        except Exception:
            if os.environ.get("HFMEMDEBUG_RUN_DEBUG"):
                raise
        finally:
            stopped.release()

    def _wake(self) -> None:
        try:
            self._event.release()
        except RuntimeError:
            # Another thread has, or there is none yet.
            pass

    def _sleep(self, seconds: float) -> None:
        """Sleeps until it is woken, or so many seconds have passed."""
        self.due[0] = self.now() + seconds
        self._woken = self._event.acquire(True, seconds * _LATER if self._woken else seconds)
        self.due[0] = NEVER

    def _done(self) -> None:
        """Lets the threads that wait go on."""
        # A thread that came while ours waited for the interpreter has woken it too, and needs no other sample.
        self._woken = self._event.acquire(False) or self._woken
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.release()

    def wait_for_sample(self) -> None:
        """Makes a thread of the program wait until a sample is taken, if that is soon."""
        self.due[0] = NEVER
        mine = self.new_lock()
        mine.acquire()
        self._waiting.append(mine)
        self._wake()
        mine.acquire(True, MOST_SECONDS)
