"""Arrays of numbers as datasets: ``.npy`` files and files of raw numbers, mapped or in memory."""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfmemdebug.data.iterables import refuse_options
from hfmemdebug.data.local_files import check_readable, shown, sniff
from hfmemdebug.data.raw import raw_layout
from hfmemdebug.data.spec import IN_MEMORY, MAPPED, DatasetSpec
from hfmemdebug.errors import InputError, UsageError
from hfmemdebug.probes.mounts import describe_files
from hfmemdebug.recording.header import LoadReport
from hfmemdebug.units import format_bytes

if TYPE_CHECKING:
    import numpy as np

NPY_MAGIC = b"\x93NUMPY"
# Endings under which raw numbers are kept; others are taken for them where --dtype is given.
RAW_SUFFIXES = (".memmap", ".mmap", ".raw", ".rbf", ".bin", ".dat")


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
        """Some rows alone, one part behind the other, in memory."""
        import numpy as np

        rows = sum(part.stop - part.start for part in parts)
        taken = np.empty((rows, *self._array.shape[1:]), self._array.dtype)
        np.concatenate([self._array[part] for part in parts], out=taken)
        return Rows(taken)


def is_array(spec: DatasetSpec) -> bool:
    """Whether a name and its options mean a file of numbers, whether it exists or not."""
    path = Path(spec.dataset).expanduser()
    suffix = path.suffix.lower()
    if spec.dtype is not None or spec.shape is not None or suffix == ".npy":
        return True
    try:
        if not path.is_file():
            return suffix in RAW_SUFFIXES
        return starts_as_npy(path) or (suffix in RAW_SUFFIXES and sniff(str(path)) is None)
    except OSError:
        # Whoever loads it says why it cannot be read.
        return False


def starts_as_npy(path: Path) -> bool:
    """Whether a file begins with the magic number of ``.npy``."""
    with path.open("rb") as file:
        return file.read(len(NPY_MAGIC)) == NPY_MAGIC


def load_array(
    spec: DatasetSpec, *, keep_in_memory: bool = False, streaming: bool = False
) -> tuple[Rows, LoadReport]:
    """Maps a file of numbers, or reads it into memory.

    Args:
        spec: The file; with `dtype` and `shape` where it is raw.
        keep_in_memory: Read it instead of mapping it.
        streaming: Refused: an array has a length.

    Raises:
        UsageError: An option means nothing for an array, or one is missing.
        InputError: The file is no such array, or of another size than it should be.
        AccessError: It may not be read.
    """
    import numpy as np

    refuse_options(spec, "an array")
    if streaming:
        raise UsageError("--streaming means nothing for an array, which has a length", next="Leave it out.")
    path, name = Path(spec.dataset).expanduser(), shown(spec.dataset)
    check_readable(str(path))
    is_npy = starts_as_npy(path)
    if is_npy:
        array = _open_npy(spec, path, keep_in_memory=keep_in_memory)
    elif path.suffix.lower() == ".npy":
        raise InputError(
            f"{name} does not begin as a .npy file does",
            next="If it holds raw numbers, rename it and give --dtype and --shape.",
        )
    else:
        dtype, shape = raw_layout(name, path.stat().st_size, spec.dtype, spec.shape)
        _check_rows(name, shape)
        if keep_in_memory:
            array = np.fromfile(path, dtype).reshape(shape)
        else:
            array = np.memmap(path, dtype, mode="r", shape=shape)
    notes = []
    if not array.flags.c_contiguous:
        notes.append(f"{name} is in Fortran order: its rows lie scattered, so each slice touches all of it")
    report = LoadReport(
        source=f"{'.npy array' if is_npy else 'raw array'} {array.dtype} {array.shape}",
        name=spec.dataset,
        split=None,
        storage=IN_MEMORY if keep_in_memory else MAPPED,
        rows=len(array),
        columns=(),
        record_batches=None,
        data_bytes=array.nbytes,
        files=describe_files([str(path)]),
        notes=tuple(notes),
    )
    # A plain array, mapped or not, so that the user's code gets the same class in each arm.
    return Rows(np.asarray(array)), report


def _open_npy(spec: DatasetSpec, path: Path, *, keep_in_memory: bool) -> np.ndarray[Any, Any]:
    """Opens a file by what its own header says."""
    import numpy as np

    name = shown(spec.dataset)
    shape, dtype, start = _read_header(path, name)
    _check_rows(name, shape)
    if spec.dtype is not None or spec.shape is not None:
        raise UsageError(
            f"{name} is a .npy file: its header says {dtype} of shape {shape}, and as raw numbers the header "
            "would be read as data",
            next="Leave --dtype and --shape out.",
        )
    if dtype.hasobject:
        raise InputError(
            f"{name} holds pickled Python objects, which cannot be mapped", next="Save numbers, not objects."
        )
    size, wanted = path.stat().st_size, start + math.prod(shape) * dtype.itemsize
    if size < wanted:
        raise InputError(
            f"{name} is cut short: its header says {dtype} of shape {shape}, which is "
            f"{format_bytes(wanted)}, and it has {format_bytes(size)}",
            next="Save it again.",
        )
    array: np.ndarray[Any, Any] = np.load(path, mmap_mode=None if keep_in_memory else "r")
    return array


def _check_rows(name: str, shape: tuple[int, ...]) -> None:
    if not shape or not shape[0]:
        raise InputError(f"{name} has no rows: its shape is {shape}")


def _read_header(path: Path, name: str) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """The shape, the type and where the data begin (the header is padded to a multiple of 64 bytes)."""
    import numpy as np

    with path.open("rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, _, dtype = read(file)
        except (ValueError, EOFError, SyntaxError) as error:
            raise InputError(f"{name} has a broken .npy header: {error}", next="Save it again.") from error
        return tuple(shape), dtype, file.tell()
