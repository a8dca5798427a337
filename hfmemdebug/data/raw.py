"""Files of raw numbers: do their size, the type and the shape agree, and which shapes would fit."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hfmemdebug.errors import InputError, UsageError

if TYPE_CHECKING:
    import numpy as np

# The types that people write to raw files, and the bytes of each.
_COMMON = {
    "float64": 8,
    "float32": 4,
    "float16": 2,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "int8": 1,
    "uint8": 1,
}


def raw_layout(
    name: str, size: int, dtype_name: str | None, shape: Sequence[int] | None
) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """What a raw file holds, which only its owner knows: the file has no header.

    `numpy.memmap` takes a part of a file that is too long without a word, so that a wrong type or shape
    goes unnoticed; here the size has to fit exactly.

    Args:
        name: The file, as it is shown.
        size: Its size in bytes.
        dtype_name: ``--dtype``.
        shape: ``--shape``; its first axis may be -1, which stands for all rows that there are.

    Returns:
        The type, and the shape without -1.

    Raises:
        UsageError: One of the two is missing, or there is no such type.
        InputError: The size does not fit them.
    """
    if dtype_name is None:
        raise UsageError(
            f"{name} holds raw numbers: nothing in it says of which type and shape",
            next="Give both: --dtype float32 --shape 1000,224,224,3 (the first may be -1).",
        )
    dtype = _dtype(dtype_name)
    numbers, rest = divmod(size, dtype.itemsize)
    if shape is None:
        fits = "" if rest else f" As {dtype} it holds {numbers:,} numbers in all."
        raise UsageError(
            f"{name} holds raw numbers, and a type alone says nothing of its rows.{fits}",
            next="Give --shape too, the first axis -1 for all rows: --shape -1,128.",
        )
    if not shape or min(shape[1:], default=1) < 1 or (shape[0] < 1 and shape[0] != -1):
        raise UsageError(f"--shape {_typed(shape)}: not a shape", next="For example --shape 1000,224,224,3.")
    row = math.prod(shape[1:])
    rows, left = divmod(size, row * dtype.itemsize)
    if shape[0] == -1 and not left:
        return dtype, (rows, *shape[1:])
    if shape[0] * row * dtype.itemsize == size:
        return dtype, tuple(shape)
    wanted = "" if shape[0] == -1 else f", which is {shape[0] * row * dtype.itemsize:,} bytes"
    raise InputError(
        f"{name} has {size:,} bytes and does not hold {dtype} of shape {_typed(shape)}{wanted}",
        next=_what_fits(size, dtype, shape),
    )


def _dtype(name: str) -> np.dtype[Any]:
    import numpy as np

    try:
        dtype = np.dtype(name)
    except (TypeError, ValueError, SyntaxError):
        near = difflib.get_close_matches(name, _COMMON, n=3)
        raise UsageError(
            f"--dtype {name}: numpy knows no such type",
            next=f"For example {', '.join(near or list(_COMMON)[:4])}.",
        ) from None
    if dtype.hasobject or dtype.itemsize == 0:
        raise UsageError(f"--dtype {name}: not a type of numbers", next="For example float32.")
    return dtype


def _what_fits(size: int, dtype: np.dtype[Any], shape: Sequence[int]) -> str:
    """Shapes and types near the ones given that the size would fit."""
    row = math.prod(shape[1:])
    widths = {name: width for name, width in _COMMON.items() if name != dtype.name}
    fits = []
    if size and size % (row * dtype.itemsize) == 0:
        fits.append(f"--shape {_typed((size // (row * dtype.itemsize), *shape[1:]))}")
    if shape[0] != -1:
        same = [name for name, width in widths.items() if shape[0] * row * width == size]
        fits += [f"--dtype {name} with that shape" for name in same]
    if size and not fits:
        even = [name for name, width in widths.items() if size % (row * width) == 0][:3]
        fits += [f"--dtype {n} --shape {_typed((size // (row * widths[n]), *shape[1:]))}" for n in even]
    if size and not fits and size % dtype.itemsize == 0:
        fits.append(f"--shape {size // dtype.itemsize} (rows of {row:,} numbers do not come out even)")
    if not fits:
        return "No shape fits: it is another type, or the file is cut short."
    return f"It would fit {', or '.join(fits)}."


def _typed(shape: Sequence[int]) -> str:
    """A shape as it is typed."""
    return ",".join(map(str, shape))
