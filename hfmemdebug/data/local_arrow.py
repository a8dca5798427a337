"""Arrow files, mapped as they are: streams as `datasets` writes them, and the IPC file format (Feather)."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hfmemdebug.data.local_files import ARROW_FILE_MAGIC, shown
from hfmemdebug.errors import InputError

# An IPC stream ends with the continuation mark and a length of zero
# (Arrow columnar format, "IPC streaming format").
_END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"
_OLD_FEATHER_MAGIC = b"FEA1"


def load_arrow(files: Sequence[str], *, keep_in_memory: bool) -> tuple[Any, str, list[str]]:
    """Maps Arrow files, or reads them into memory, as one `datasets.Dataset`.

    Args:
        files: Paths of Arrow streams or Arrow files, in the order of their rows.
        keep_in_memory: Read instead of mapping.

    Returns:
        The dataset, what the files are (``Arrow stream`` or ``Arrow file``), and notes for the user.

    Raises:
        InputError: A file is empty, cut off or no Arrow file, or the files differ in their columns.
    """
    import datasets
    import pyarrow as pa

    tables, notes, formats = [], [], []
    for file in files:
        is_file = _starts_as_arrow_file(file)
        formats.append("Arrow file" if is_file else "Arrow stream")
        try:
            table = _read(file, is_file=is_file, keep_in_memory=keep_in_memory)
        except (pa.ArrowException, OSError, EOFError) as error:
            raise broken_arrow(file, error) from error
        if not is_file:
            notes += stream_end_notes([file])
        if not keep_in_memory and isinstance(table, datasets.table.InMemoryTable):
            notes.append(
                f"{shown(file)} is compressed inside: Arrow unpacks it into memory, it cannot be mapped"
            )
        tables.append(table)
    for file, table in zip(files[1:], tables[1:], strict=True):
        check_same_columns(files[0], tables[0].schema, file, table.schema)
    table = tables[0] if len(tables) == 1 else datasets.table.concat_tables(tables)
    try:
        dataset = datasets.Dataset(table, fingerprint=_fingerprint(files))
    except (ValueError, TypeError, pa.ArrowException) as error:
        raise InputError(
            f"{shown(files[0])} holds what datasets cannot represent: {first_line(error)}"
        ) from error
    return dataset, formats[0] if len(set(formats)) == 1 else "Arrow", notes


def check_same_columns(first: str, first_schema: Any, other: str, other_schema: Any) -> None:
    """Compares the columns of two files.

    Raises:
        InputError: A column is missing in one of them or has another type.
    """
    expected = {field.name: field.type for field in first_schema}
    actual = {field.name: field.type for field in other_schema}
    if expected == actual:
        return
    for name in [*expected, *actual]:
        if expected.get(name) == actual.get(name):
            continue
        here = f"of type {actual[name]}" if name in actual else "missing"
        there = f"of type {expected[name]}" if name in expected else "missing"
        raise InputError(
            f"the files differ in their columns: '{name}' is {there} in {shown(first)}"
            f" and {here} in {shown(other)}",
            next="Name files that have the same columns.",
        )


def stream_end_notes(files: Sequence[str]) -> list[str]:
    """A note for each Arrow stream without its end mark: cut between two batches, it reads as a whole one."""
    notes = []
    for file in files:
        with Path(file).open("rb") as opened:
            opened.seek(max(0, os.fstat(opened.fileno()).st_size - len(_END_OF_STREAM)))
            if opened.read() != _END_OF_STREAM:
                notes.append(f"{shown(file)} has no end mark: its writer did not finish, rows may be missing")
    return notes


def broken_arrow(file: str, error: Exception) -> InputError:
    """The error for an Arrow file that cannot be read."""
    with Path(file).open("rb") as opened:
        start = opened.read(len(ARROW_FILE_MAGIC))
    if not start:
        return InputError(f"{shown(file)} is empty")
    if start.startswith(_OLD_FEATHER_MAGIC):
        return InputError(
            f"{shown(file)} is in Feather's old format, version 1", next="Write it again as version 2."
        )
    again = "Write it again, or take it from its source again."
    if re.search(
        r"Expected to be able to read|to be at least|truncated|not a multiple|Unexpected end", str(error)
    ):
        return InputError(f"{shown(file)} is cut off: it ends within its data", next=again)
    return InputError(f"{shown(file)} is no complete Arrow file: {first_line(error)}", next=again)


def first_line(error: BaseException) -> str:
    """What an exception says, its first line alone."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _fingerprint(files: Sequence[str]) -> str:
    """A fingerprint from names, sizes and times: without one, `datasets` pickles all rows to hash them."""
    digest = hashlib.sha256()
    for file in files:
        status = Path(file).stat()
        digest.update(
            f"{Path(file).absolute()}\0{status.st_size}\0{status.st_mtime_ns}\0".encode(
                errors="surrogateescape"
            )
        )
    return digest.hexdigest()[:16]


def _starts_as_arrow_file(file: str) -> bool:
    with Path(file).open("rb") as opened:
        return opened.read(len(ARROW_FILE_MAGIC)) == ARROW_FILE_MAGIC


def _read(file: str, *, is_file: bool, keep_in_memory: bool) -> Any:
    """The file as a `datasets.table` table."""
    import pyarrow as pa
    from datasets.table import InMemoryTable, MemoryMappedTable

    if not keep_in_memory:
        source = pa.memory_map(file)
        whole = source.read_buffer()
        source.seek(0)
        table = (pa.ipc.open_file if is_file else pa.ipc.open_stream)(source).read_all()
        if not _lies_within(table, whole):
            return InMemoryTable(table)
        return MemoryMappedTable(table, file)
    with pa.OSFile(file) as source:
        return InMemoryTable((pa.ipc.open_file if is_file else pa.ipc.open_stream)(source).read_all())


def _lies_within(table: Any, whole: Any) -> bool:
    """Whether the first batch's buffers are parts of the mapped file; compressed ones are copies."""
    buffers = [
        buffer
        for column in table.columns
        for buffer in (column.chunk(0).buffers() if column.num_chunks else ())
        if buffer is not None and buffer.size
    ]
    return all(whole.address <= buffer.address < whole.address + whole.size for buffer in buffers)
