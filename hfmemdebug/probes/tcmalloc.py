"""What gperftools' tcmalloc has in use, where it was preloaded in place of the C library's malloc."""

from __future__ import annotations

import ctypes
from typing import Any


class Tcmalloc:
    """Reads tcmalloc's properties through its C interface (``malloc_extension_c.h``).

    Args:
        library: The process's symbols (``ctypes.CDLL(None)``).

    Raises:
        AttributeError: There is no such interface: another tcmalloc, or none.
        OSError: It does not know the properties.
    """

    def __init__(self, library: Any) -> None:
        self._property = library.MallocExtension_GetNumericProperty
        self._property.restype = ctypes.c_int
        self._property.argtypes = [ctypes.c_char_p, ctypes.POINTER(ctypes.c_size_t)]
        self._release = library.MallocExtension_ReleaseFreeMemory
        self._release.restype, self._release.argtypes = None, []
        # Kept, so that a reading allocates nothing of its own.
        self._value = ctypes.c_size_t()
        self.read()

    def read(self) -> tuple[int, int]:
        """Bytes in use, and bytes that it holds free in pages of its own. Two microseconds.

        Raises:
            OSError: There are no such properties.
        """
        in_use = self._get(b"generic.current_allocated_bytes")
        held = self._get(b"generic.heap_size") - self._get(b"tcmalloc.pageheap_unmapped_bytes")
        return in_use, max(held - in_use, 0)

    def trim(self) -> None:
        """Gives unused pages back to the kernel."""
        self._release()

    def _get(self, name: bytes) -> int:
        if not self._property(name, ctypes.byref(self._value)):
            raise OSError(f"tcmalloc has no property {name.decode()}")
        return int(self._value.value)
