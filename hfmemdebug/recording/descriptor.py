"""A file descriptor of ours in a process that runs somebody else's code."""

from __future__ import annotations

import errno
import os


class LostDescriptorError(OSError):
    """Somebody has closed a descriptor of ours: `os.closerange`, as programs do that become daemons."""

    def __init__(self) -> None:
        super().__init__(errno.EBADF, "a file descriptor was closed by code that had not opened it")


class Descriptor:
    """A file descriptor that is used only while it is still what it was.

    Once another's code has closed it, its number may be a file of theirs, which we would spoil.

    Args:
        number: The descriptor, which is ours to close.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._file = self._identity()

    def write(self, data: bytes | memoryview) -> int:
        """Writes some of the bytes, and returns how many.

        Raises:
            LostDescriptorError: It is no longer ours.
        """
        return os.write(self._checked(), data)

    def read(self, size: int) -> bytes:
        """Reads at most so many bytes; none at the end.

        Raises:
            LostDescriptorError: It is no longer ours.
        """
        return os.read(self._checked(), size)

    def close(self) -> None:
        """Closes it, if it is still ours and was not closed before."""
        if self._file is not None and not self.lost:
            os.close(self._number)
        self._file = None

    @property
    def lost(self) -> bool:
        """Returns whether it is no longer what it was."""
        return self._identity() != self._file

    def _checked(self) -> int:
        if self.lost:
            raise LostDescriptorError
        return self._number

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = os.fstat(self._number)
        except OSError:
            return None
        return status.st_dev, status.st_ino
