"""The sampler's thread: where rows are read, the program's gives way to it, once a reading is due.

To wait for the interpreter beside a program that lets go of it for microseconds all the time, as Arrow and NumPy do,
takes dozens of wake-ups, each of which interrupts the program. Where its thread waits for the reading, they are two.

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
# The program's thread waits no longer: the interpreter lets a thread wait as long before it takes it from another.
MOST_SECONDS = 0.005
# What the program's threads ring for comes a little later than what ours wakes for by itself.
_LATER = 1.2


class Turns:
    """The sampler's thread, unknown to `threading`: programs count theirs. The program's threads wake it.

    Attributes:
        now: The clock, whatever a test of the program's puts in its place later.
        new_lock: Makes an interpreter's lock, whatever a library puts in its place later.
        due: The one entry is when a thread of the program's that reads rows shall give way, by `time.perf_counter`.
    """

    def __init__(self) -> None:
        self.now, self.new_lock, self._new_thread = (
            time.perf_counter,
            _thread.allocate_lock,
            _thread.start_new_thread,
        )
        self.due = [NEVER]
        self._bell = self.new_lock()
        self._waiting: list[Any] = []
        self._rung = False
        self.forget()

    def forget(self) -> None:
        """In a forked process, which has none of its parent's threads."""
        # The thread's, while there is one; it is locked until that has ended.
        self._stopped: Any = None
        # Held by the thread that starts it.
        self._starting = self.new_lock()

    def begin(self, read: Callable[[], None], seconds: float) -> None:
        """Starts the thread, which makes a reading every so many seconds. There is one at most."""
        if not self._starting.acquire(False):
            return
        try:
            if self._stopped is None:
                # Its own from here on: another thread that forks may end it before it has begun.
                stopped, bell = self.new_lock(), self.new_lock()
                stopped.acquire()
                bell.acquire()
                self.due[0] = NEVER
                self._bell, self._waiting, self._rung = bell, [], False
                self._stopped = stopped
                self._new_thread(self._run, (read, seconds, stopped))
        finally:
            self._starting.release()

    def end(self) -> None:
        """Stops the thread and waits for it: a fork must not find a second thread, nor teardown."""
        # In one go: threads may fork at the same time.
        stopped, self._stopped = self._stopped, None
        if stopped is not None:
            self._ring()
            stopped.acquire(True, 2.0)

    def _run(self, read: Callable[[], None], seconds: float, stopped: Any) -> None:
        try:
            while self._stopped is stopped:
                self._sleep(seconds)
                if self._stopped is stopped:
                    read()
                    self._done()
        except Exception:
            if os.environ.get("HFMEMDEBUG_RUN_DEBUG"):
                raise
        finally:
            stopped.release()

    def _ring(self) -> None:
        try:
            self._bell.release()
        except RuntimeError:
            # Somebody else has, or there is no thread yet.
            pass

    def _sleep(self, seconds: float) -> None:
        """Until somebody rings or gives way, or so many seconds have passed."""
        self.due[0] = self.now() + seconds
        self._rung = self._bell.acquire(True, seconds * _LATER if self._rung else seconds)
        self.due[0] = NEVER

    def _done(self) -> None:
        """Those who have given way go on."""
        # Who came while ours waited for the interpreter has rung too, and needs no other reading.
        self._rung = self._bell.acquire(False) or self._rung
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.release()

    def give_way(self) -> None:
        """A program's thread's: waits until the reading is made, if that is soon."""
        self.due[0] = NEVER
        mine = self.new_lock()
        mine.acquire()
        self._waiting.append(mine)
        self._ring()
        mine.acquire(True, MOST_SECONDS)
