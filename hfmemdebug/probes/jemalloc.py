"""What jemalloc has in use, where it was preloaded in place of the C library's malloc: its ``mallctl``."""

from __future__ import annotations

import ctypes
from typing import Any

# MALLCTL_ARENAS_ALL of jemalloc 5: in place of an arena's number it means all of them.
_ALL_ARENAS = 4096


class Jemalloc:
    """Reads jemalloc's statistics.

    Args:
        library: The process's symbols (``ctypes.CDLL(None)``).

    Raises:
        AttributeError: There is no ``mallctl``: symbols were built with a prefix.
        OSError: It was built without statistics.
    """

    def __init__(self, library: Any) -> None:
        self._mallctl = library.mallctl
        self._mallctl.restype = ctypes.c_int
        self._mallctl.argtypes = [
            ctypes.c_char_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_size_t), ctypes.c_void_p, ctypes.c_size_t,
        ]  # fmt: skip
        # Kept, so that a reading allocates nothing of its own.
        self._epoch, self._value = ctypes.c_uint64(1), ctypes.c_size_t()
        self._size = ctypes.c_size_t(ctypes.sizeof(self._value))
        self.read()

    def read(self) -> tuple[int, int]:
        """Bytes in use, and bytes that it holds free in pages of its own.

        Raises:
            OSError: There are no statistics.
        """
        self._flush()
        # The figures are those of the last time that the epoch was advanced.
        self._call(b"epoch", None, None, ctypes.byref(self._epoch), ctypes.sizeof(self._epoch))
        in_use = self._get(b"stats.allocated")
        return in_use, max(self._get(b"stats.active") - in_use, 0)

    def trim(self) -> None:
        """Gives unused pages of all arenas back to the kernel."""
        self._flush()
        self._call(b"arena.%d.purge" % _ALL_ARENAS, None, None, None, 0)

    def _flush(self) -> None:
        """Empties this thread's cache, whose blocks would count as in use. Fails where there is no cache."""
        self._mallctl(b"thread.tcache.flush", None, None, None, 0)

    def _get(self, name: bytes) -> int:
        self._call(name, ctypes.byref(self._value), ctypes.byref(self._size), None, 0)
        return int(self._value.value)

    def _call(self, name: bytes, *arguments: Any) -> None:
        error = self._mallctl(name, *arguments)
        if error:
            raise OSError(error, f"mallctl of {name.decode()} failed")
