"""The one interface of all mechanisms that limit memory: what is asked of them, what they tell, how they fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hfmemdebug.errors import EXIT_OWN_FAILURE, HfmemdebugError
from hfmemdebug.recording.end import LimitUsage


class Unavailable(Exception):
    """A mechanism does not work here; the text says why, in words for people."""


class LimitError(HfmemdebugError):
    """The limit or its command could not be started.

    Args:
        message: One line that says what is wrong.
        status: The exit status, as `env` and `timeout` have it.
        next: One line that says what to do about it, or None.
    """

    kind = "permission"

    def __init__(self, message: str, status: int = EXIT_OWN_FAILURE, *, next: str | None = None) -> None:
        super().__init__(message, next=next)
        self._status = status
        if status != EXIT_OWN_FAILURE:
            self.kind = "input"

    @property
    def exit_status(self) -> int:
        """The status that the command ends with."""
        return self._status


@dataclass(frozen=True)
class Request:
    """The limit that is asked for.

    Attributes:
        bytes: Memory at most.
        swap: Swap beyond that, in bytes.
    """

    bytes: int
    swap: int = 0


class MemoryLimiter(Protocol):
    """A limit that is set up, for one command and all that it starts.

    Attributes:
        prefix: What the command line of the exec shim is put behind.
        environment: Variables that `prefix` needs and the command does not get.
        enter: Files to which the exec shim writes itself.
        needs_holder: A process must stay in it until the figures were read.
        interval: Seconds between two calls of `sample`.
        killed: `sample` has killed the tree.
    """

    prefix: tuple[str, ...]
    environment: dict[str, str]
    enter: tuple[str, ...]
    needs_holder: bool
    interval: float
    killed: bool

    def confirm(self, pid: int) -> str:
        """Sees to it that the limit holds for the process, and names its group.

        Raises:
            Unavailable: It does not.
        """
        ...

    def sample(self) -> None:
        """Reads what is used; a watchdog kills here."""
        ...

    def pids(self) -> set[int]:
        """Lists the processes that are in it."""
        ...

    def usage(self) -> LimitUsage:
        """Returns the limit, and what has been used of it until now."""
        ...

    def drop_pages(self) -> None:
        """Has the kernel take back the file pages that are charged to it, so that the next run reads them anew."""
        ...

    def close(self) -> None:
        """Kills what is left in it and removes it."""
        ...


# Sets a limit up for a run of this name, or raises Unavailable.
Opener = Callable[[Request, str], MemoryLimiter]
