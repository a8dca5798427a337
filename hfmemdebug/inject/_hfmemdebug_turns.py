"""Who has the interpreter: where rows are read, the program's thread lets the sampler's have it, once a reading is due.

To wait for it beside a program that lets go of it for microseconds all the time, as Arrow and NumPy do, takes dozens
of wake-ups, each of which interrupts the program. A program's thread that waits for the reading makes it two.

Runs on CPython 3.8 and later with the standard library alone.
"""

from __future__ import annotations

import _thread
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NEVER = float("inf")
# The program's thread waits no longer: the interpreter lets a thread wait as long before it takes it from another.
MOST_SECONDS = 0.005
# What the program's threads ring for comes a little later than what ours wakes for by itself.
_LATER = 1.2


class Turns:
    """The sampler's thread sleeps in it, and the program's threads wake it.

    Attributes:
        now: The clock, whatever a test of the program's puts in its place later.
        new_lock: Makes an interpreter's lock, whatever a library puts in its place later.
        due: The one entry is when a thread of the program's that reads rows shall give way, by `time.perf_counter`.
    """

    def __init__(self) -> None:
        self.now, self.new_lock = time.perf_counter, _thread.allocate_lock
        self.due = [NEVER]
        self._bell: Any = None
        self._waiting: list[Any] = []
        self._rung = False

    def begin(self) -> None:
        """Before the sampler's thread starts, and in a forked process, which has none of its parent's threads."""
        bell = self.new_lock()
        bell.acquire()
        self.due[0] = NEVER
        # Nobody may wait for one that another thread has put in its place.
        self._bell, self._waiting, self._rung = bell, [], False

    def ring(self) -> None:
        """Wakes the sampler's thread."""
        try:
            self._bell.release()
        except RuntimeError:
            # Somebody else has.
            pass

    def sleep(self, seconds: float) -> None:
        """The sampler's: until somebody rings or gives way, or so many seconds have passed."""
        self.due[0] = self.now() + seconds
        self._rung = self._bell.acquire(True, seconds * _LATER if self._rung else seconds)
        self.due[0] = NEVER

    def done(self) -> None:
        """The sampler's: those who have given way go on."""
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
        self.ring()
        mine.acquire(True, MOST_SECONDS)
