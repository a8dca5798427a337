"""How long a run may take."""

from __future__ import annotations

import time


class Budget:
    """How long a run may take.

    Args:
        seconds: The user's bound, or None.
        default: The bound where the user has set none.
        asked: The user has said how much to read: that is read in full unless they set a bound too.
    """

    def __init__(self, seconds: float | None, *, default: float | None, asked: bool) -> None:
        now = time.monotonic()
        self._began = now
        extend = seconds if seconds is not None else default
        hard = seconds if asked else extend
        self._extend_until = None if extend is None else now + extend
        self._hard_until = None if hard is None else now + hard

    def is_over(self, ahead: float | None = None) -> bool:
        """Whether the time is up, or will be after so many seconds."""
        return self._hard_until is not None and time.monotonic() + (ahead or 0.0) > self._hard_until

    def may_extend(self, ahead: float | None, share: float = 1.0) -> bool:
        """Whether more epochs may be added to those that were asked for.

        Args:
            ahead: Seconds that one takes.
            share: Of the whole time, how much may be used.
        """
        return self._extend_until is not None and (
            time.monotonic() + (ahead or 0.0) < self._began + share * (self._extend_until - self._began)
        )

    @property
    def left(self) -> float:
        """Seconds in which epochs may be added."""
        return max(0.0, (self._extend_until or 0.0) - time.monotonic())
