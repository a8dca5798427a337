"""Consumers with a leak of a known size, for `sensitivity.py`: so many bytes at every slice, and nothing else."""

from __future__ import annotations

import ctypes
import itertools
import os
from typing import Any

# Rounded up to 16, as both allocators do: a malloc chunk has 8 bytes of its own, a bytes object 33.
SIZE = -(-int(os.environ.get("PLANTED_BYTES", "64")) // 16) * 16

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]

# A list of half a million with room for as many more, so that the leak is the object alone. It has no bound: one whose
# slots are all there is full some day, and to fill it is no leak.
kept: list[object] = [None] * 1_000_000
del kept[500_000:]
calls = itertools.count(1)


def python(batch: dict[str, Any]) -> None:
    """One object: a float where no bytes object is as small."""
    sorted(batch["text"])
    number = next(calls)
    kept.append(number.to_bytes(SIZE - 33, "little") if SIZE > 32 else float(number))


def native(batch: dict[str, Any]) -> None:
    """One block of malloc's."""
    sorted(batch["text"])
    libc.malloc(SIZE - 8 if "PLANTED_BYTES" in os.environ else 64)


def nothing(batch: dict[str, Any]) -> None:
    """The same work without a leak."""
    sorted(batch["text"])
    next(calls)
