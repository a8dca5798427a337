"""Arrays of numbers as datasets: ``.npy`` files and files of raw numbers, mapped or in memory."""

from __future__ import annotations

import difflib
import math
import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hfmemdebug.data.iterables import refuse_options
from hfmemdebug.data.local_files import check_regular, shown, sniff
from hfmemdebug.data.spec import IN_MEMORY, MAPPED, DatasetSpec, Reading
from hfmemdebug.errors import InputError, UsageError
from hfmemdebug.probes.mounts import describe_files
from hfmemdebug.recording.header import LoadReport

if TYPE_CHECKING:
    import numpy as np

NPY_MAGIC = b"\x93NUMPY"
# Endings under which raw numbers are kept; others are taken for them where --dtype is given.
RAW_SUFFIXES = (".memmap", ".mmap", ".raw", ".rbf", ".bin", ".dat")
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


class Rows:
    """An array, of which a slice is rows of the first axis.

    A slice is a view, as in a program that maps its array. Its pages are read when it is taken, so that
    a run without any code of the user's shows what reading does.

    Args:
        array: The array, mapped or in memory.
    """

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self._array = array

    def __getitem__(self, rows: slice) -> np.ndarray[Any, Any]:
        part: np.ndarray[Any, Any] = self._array[rows]
        if part.flags.c_contiguous:
            # One byte of each page, and the last one.
            part.reshape(-1).view("u1")[:: mmap.PAGESIZE].max(initial=0)
            part.reshape(-1)[-1:].tobytes()
        else:
            part.copy()
        return part

    def take(self, parts: Sequence[slice]) -> Rows:
        """Copies some rows, one part behind the other, in memory."""
        import numpy as np

        rows = sum(part.stop - part.start for part in parts)
        taken = np.empty((rows, *self._array.shape[1:]), self._array.dtype)
        np.concatenate([self._array[part] for part in parts], out=taken)
        return Rows(taken)


def is_array(spec: DatasetSpec) -> bool:
    """Tells whether a name and its options mean a file of numbers, whether it exists or not."""
    path = Path(spec.dataset).expanduser()
    suffix = path.suffix.lower()
    if spec.dtype is not None or spec.shape is not None or suffix == ".npy":
        return True
    try:
        if not path.is_file():
            return suffix in RAW_SUFFIXES
        return _starts_as_npy(path) or (suffix in RAW_SUFFIXES and sniff(str(path)) is None)
    except OSError:
        # It is said where it is loaded why it cannot be read.
        return False


def _starts_as_npy(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(NPY_MAGIC)) == NPY_MAGIC


def load_array(spec: DatasetSpec, reading: Reading) -> tuple[Rows, LoadReport]:
    """Maps a file of numbers, or reads it into memory.

    Args:
        spec: The file; with `dtype` and `shape` where it is raw.
        reading: Mapped or in memory; a stream is refused, since an array has a length.

    Raises:
        UsageError: An option means nothing for an array, or one is missing.
        InputError: The file is no such array, or of another size than it should be.
        OSError: It may not be read.
    """
    import numpy as np

    refuse_options(spec, "an array")
    if reading.streaming:
        raise UsageError("--streaming means nothing for an array, which has a length", next="Leave it out.")
    path, name = Path(spec.dataset).expanduser(), shown(spec.dataset)
    check_regular(str(path))
    is_npy = _starts_as_npy(path)
    if is_npy:
        array = _open_npy(path, name, "r")
        if spec.dtype is not None or spec.shape is not None:
            raise UsageError(
                f"{name} is a .npy file: its header says {array.dtype} of shape {array.shape}, and as raw numbers "
                "the header would be read as data",
                next="Leave --dtype and --shape out.",
            )
        if reading.keep_in_memory:
            array = _open_npy(path, name, None)
    elif path.suffix.lower() == ".npy":
        raise InputError(
            f"{name} does not begin as a .npy file does",
            next="If it holds raw numbers, rename it and give --dtype and --shape.",
        )
    else:
        dtype, shape = raw_layout(name, path.stat().st_size, spec.dtype, spec.shape)
        _check_rows(name, shape)
        array = (
            np.fromfile(path, dtype).reshape(shape)
            if reading.keep_in_memory
            else np.memmap(path, dtype, mode="r", shape=shape)
        )
    _check_rows(name, array.shape)
    notes = []
    if not array.flags.c_contiguous:
        notes.append(f"{name} is in Fortran order: its rows lie scattered, so each slice touches all of it")
    report = LoadReport(
        f"{'.npy array' if is_npy else 'raw array'} {array.dtype} {array.shape}",
        spec.dataset,
        storage=IN_MEMORY if reading.keep_in_memory else MAPPED,
        rows=len(array),
        data_bytes=array.nbytes,
        files=describe_files([str(path)]),
        notes=tuple(notes),
    )
    # A plain array, mapped or not, so that the user's code gets the same class in each arm.
    return Rows(np.asarray(array)), report


def _open_npy(path: Path, name: str, mode: Literal["r"] | None) -> np.ndarray[Any, Any]:
    """Opens a file by what its own header says."""
    import numpy as np

    try:
        array: np.ndarray[Any, Any] = np.load(path, mmap_mode=mode)
    except (ValueError, EOFError, SyntaxError) as error:
        raise InputError(
            f"{name} cannot be read: {error}", next="Save numbers, not objects, again."
        ) from error
    return array


def _check_rows(name: str, shape: tuple[int, ...]) -> None:
    if not shape or not shape[0]:
        raise InputError(f"{name} has no rows: its shape is {shape}")


def raw_layout(
    name: str, size: int, dtype_name: str | None, shape: Sequence[int] | None
) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Returns what a raw file holds, which only its owner knows: the file has no header.

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
    """Returns a shape as it is typed."""
    return ",".join(map(str, shape))
