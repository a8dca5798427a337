"""Arrow files, mapped as they are: streams as `datasets` writes them, and the IPC file format (Feather).

`datasets` itself maps streams alone, and its builder for Arrow files makes a copy of each in its cache. A program that
calls `Dataset.from_file` maps the file that it names, and so does this.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hfmemdebug.data.explain import explained
from hfmemdebug.data.local_files import ARROW_FILE_MAGIC, shown
from hfmemdebug.data.spec import DatasetSpec
from hfmemdebug.errors import InputError

# An IPC stream ends with the continuation mark and a length of zero
# (Arrow columnar format, "IPC streaming format").
END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"


def map_arrow_files(
    files: Sequence[str], spec: DatasetSpec, *, keep_in_memory: bool
) -> tuple[Any, str, list[str]]:
    """Maps Arrow files, or reads them into memory, as one `datasets.Dataset`.

    Args:
        files: Paths of Arrow streams or Arrow files, in the order of their rows.
        spec: What the user asked for.
        keep_in_memory: Read instead of mapping.

    Returns:
        The dataset, what the files are (``Arrow stream`` or ``Arrow file``), and notes for the user.

    Raises:
        InputError: A file is empty, cut off or no Arrow file, or the files differ in their columns.
    """
    import datasets

    tables, notes, formats = [], stream_end_notes(files), set()
    for file in files:
        is_file = _starts_as_arrow_file(file)
        formats.add("Arrow file" if is_file else "Arrow stream")
        with explained(spec, files=[file]):
            table = _read(file, is_file=is_file, keep_in_memory=keep_in_memory)
        if not keep_in_memory and isinstance(table, datasets.table.InMemoryTable):
            notes.append(
                f"{shown(file)} is compressed inside: Arrow unpacks it into memory, it cannot be mapped"
            )
        tables.append(table)
        if not table.schema.equals(tables[0].schema):
            columns = [", ".join(f"{f.name} {f.type}" for f in t.schema) for t in (table, tables[0])]
            raise InputError(
                f"{shown(file)} has other columns than {shown(files[0])}: {columns[0]}, not {columns[1]}",
                next="Name files that have the same columns.",
            )
    with explained(spec):
        table = tables[0] if len(tables) == 1 else datasets.table.concat_tables(tables)
        dataset = datasets.Dataset(table, fingerprint=_fingerprint(files))
    return dataset, formats.pop() if len(formats) == 1 else "Arrow", notes


def stream_end_notes(files: Sequence[str]) -> list[str]:
    """Notes each Arrow stream without its end mark: cut between two batches, it reads as a whole one."""
    return [
        f"{shown(file)} has no end mark: its writer did not finish, rows may be missing"
        for file in files
        if not _starts_as_arrow_file(file) and not ends_as_stream(file)
    ]


def ends_as_stream(file: str | Path) -> bool:
    """Tells whether a file ends with the end mark of a stream."""
    with Path(file).open("rb") as opened:
        opened.seek(max(0, os.fstat(opened.fileno()).st_size - len(END_OF_STREAM)))
        return opened.read() == END_OF_STREAM


def _starts_as_arrow_file(file: str) -> bool:
    with Path(file).open("rb") as opened:
        return opened.read(len(ARROW_FILE_MAGIC)) == ARROW_FILE_MAGIC


def _read(file: str, *, is_file: bool, keep_in_memory: bool) -> Any:
    """Reads or maps a file as a `datasets.table` table."""
    import pyarrow as pa
    from datasets.table import InMemoryTable, MemoryMappedTable

    read = pa.ipc.open_file if is_file else pa.ipc.open_stream
    if keep_in_memory:
        with pa.OSFile(file) as source:
            return InMemoryTable(read(source).read_all())
    source = pa.memory_map(file)
    whole = source.read_buffer()
    source.seek(0)
    table = read(source).read_all()
    return MemoryMappedTable(table, file) if _lies_within(table, whole) else InMemoryTable(table)


def _lies_within(table: Any, whole: Any) -> bool:
    """Tells whether the first batch's buffers are parts of the mapped file; compressed ones are copies."""
    buffers = [
        buffer
        for column in table.columns
        for buffer in (column.chunk(0).buffers() if column.num_chunks else ())
        if buffer is not None and buffer.size
    ]
    return all(whole.address <= buffer.address < whole.address + whole.size for buffer in buffers)


def _fingerprint(files: Sequence[str]) -> str:
    """Makes a fingerprint of names, sizes and times: without one, `datasets` pickles all rows to hash them."""
    known = [(str(Path(file).absolute()), os.stat(file).st_size, os.stat(file).st_mtime_ns) for file in files]
    return hashlib.sha256(repr(known).encode(errors="surrogateescape")).hexdigest()[:16]
