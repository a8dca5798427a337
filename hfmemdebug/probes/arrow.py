"""Arrow's memory pools: bytes in use, and giving back what they retain."""

from __future__ import annotations

from typing import Any


class ArrowProbe:
    """Reads every pool that this pyarrow was built with, not the default one alone.

    A program may switch pools while it runs; the default pool's figure then leaves out what the other
    one still holds (apache/arrow#28339).
    """

    def __init__(self) -> None:
        import pyarrow

        self._pools: list[Any] = []
        for backend in pyarrow.supported_memory_backends():
            self._pools.append(getattr(pyarrow, f"{backend}_memory_pool")())
        self._system: Any = pyarrow.system_memory_pool()

    def in_use(self) -> int:
        """Bytes in use over all pools. Under a microsecond."""
        total = 0
        for pool in self._pools:
            total += pool.bytes_allocated()
        return total

    def in_malloc(self) -> int:
        """Bytes of them that are malloc's blocks as well: the system pool's, whichever pool is the default."""
        allocated: int = self._system.bytes_allocated()
        return allocated

    def release_unused(self) -> None:
        """Asks every pool to give back to the kernel what it retains."""
        for pool in self._pools:
            pool.release_unused()
