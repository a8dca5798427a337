"""A synthetic row as an Arrow IPC stream, at the speed of the disk.

All rows alike means all record batches alike: one is serialised and written again and again. For rows of varying
length a pool of different batches is made and drawn from at random, so that time and memory stay those of writing
and no slice is like the next. `datasets` and pandas are not imported: each takes as long as the default dataset.
"""

from __future__ import annotations

import json
import os
import random
import threading
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate, chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfmemdebug.data.arrow_files import END_OF_STREAM
from hfmemdebug.data.rows import MEDIA, Row
from hfmemdebug.errors import InputError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

# `datasets` writes 1000 rows a record batch, and fewer where rows are so large that a batch would
# weigh on memory.
BATCH_ROWS = 1_000
BATCH_BYTES = 32 << 20
VARIED_BATCH_BYTES = 4 << 20
POOL_BATCHES = 64
POOL_BYTES = 96 << 20
# Small messages are written together; a part whose way to the disk begins while the next one is written.
BUFFER_BYTES = 1 << 20
WRITEBACK_BYTES = 64 << 20

# `Dataset.from_dict` stores integers in columns of these names in fewer bits.
_NARROWED = {
    "input_ids": "int32",
    "attention_mask": "int8",
    "special_tokens_mask": "int8",
    "token_type_ids": "int8",
}
# What `datasets.Value` calls Arrow's types; most by Arrow's own name.
_OTHER_NAMES = {
    "double": "float64",
    "float": "float32",
    "halffloat": "float16",
    "date32[day]": "date32",
    "date64[ms]": "date64",
}


@dataclass(frozen=True)
class RowStream:
    """The parts of a stream of rows.

    Attributes:
        features: The features of the columns as `dataset_info.json` holds them.
        schema: The schema message.
        pool: Record batch messages of `batch_rows` rows each; one where all rows are alike.
        batch_rows: Rows in a batch.
        seed: What the order of the batches follows from.
    """

    features: dict[str, Any]
    schema: bytes
    pool: tuple[memoryview, ...]
    batch_rows: int
    seed: int

    def least_bytes(self, rows: int) -> int:
        """Returns the bytes that so many rows take at least, at once for any number."""
        return rows // self.batch_rows * min(map(len, self.pool))

    def messages(self, rows: int, shard: int) -> Iterator[memoryview]:
        """Yields the messages of a shard with so many rows, the same ones at each call."""
        import pyarrow as pa

        full, rest = divmod(rows, self.batch_rows)
        # Drawn from no more than one where all rows are alike.
        rng = random.Random(f"{self.seed}/{shard}")
        yield memoryview(self.schema)
        for _ in range(full):
            yield rng.choice(self.pool)
        if rest:
            schema = pa.ipc.read_schema(pa.py_buffer(self.schema))
            batch = pa.ipc.read_record_batch(pa.py_buffer(rng.choice(self.pool)), schema)
            yield memoryview(batch.slice(0, rest).serialize())
        yield memoryview(END_OF_STREAM)


def write_stream(path: Path, messages: Iterator[memoryview], on_written: Callable[[int], None]) -> None:
    """Writes messages to a new file.

    Args:
        path: The file.
        messages: What to write.
        on_written: Called with the number of bytes after each message.
    """
    written = started = 0
    writeback = None
    with path.open("xb", buffering=BUFFER_BYTES) as file:
        for message in messages:
            written += file.write(message)
            on_written(len(message))
            if written - started >= WRITEBACK_BYTES and not (writeback and writeback.is_alive()):
                writeback = _start_writeback(file.fileno(), started, written - started)
                started = written


def _start_writeback(descriptor: int, start: int, length: int) -> threading.Thread | None:
    """Has the kernel begin to write a part of a file to the disk, and does not wait for it.

    Pages that are still dirty cannot be taken back, and the kernel alone would leave them so for half a
    minute: whatever looks at the dataset's memory next would see that.

    Returns:
        The thread that asks for it; None where the system does not have the call.
    """
    if not hasattr(os, "posix_fadvise"):
        return None
    # A descriptor of its own: the file may be closed meanwhile.
    own = os.dup(descriptor)

    def ask() -> None:
        os.posix_fadvise(own, start, length, os.POSIX_FADV_DONTNEED)
        os.close(own)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    return thread


def make_stream(row: Row, *, rows: int, vary: float, seed: int) -> RowStream:
    """Serialises a row for a dataset.

    Args:
        row: The row.
        rows: Rows of the dataset: no more batches are made than it needs.
        vary: Coefficient of variation of the lengths, 0 for rows all alike.
        seed: Decides lengths and order.

    Raises:
        InputError: Arrow has no type for a value.
        UsageError: Lengths are to vary and nothing in the row has one.
    """
    import pyarrow as pa

    if vary and not row.has_length():
        raise UsageError("--vary has nothing to vary", next="Give the row a text or a list.")
    types = row.types() if row.types else {}
    columns = {name: _column_of(name, value, types.get(name)) for name, value in row.values.items()}
    features = {
        name: MEDIA[row.media[name]] if name in row.media else feature_of(column.type)
        for name, column in columns.items()
    }
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    schema = pa.schema([(name, column.type) for name, column in columns.items()], metadata=metadata)
    row_bytes = max(1, sum(column.nbytes for column in columns.values()))
    batch_rows = max(1, min(BATCH_ROWS, (VARIED_BATCH_BYTES if vary else BATCH_BYTES) // row_bytes))
    if not vary:
        alike = [pa.concat_arrays([column] * batch_rows) for column in columns.values()]
        pool = [memoryview(pa.RecordBatch.from_arrays(alike, schema=schema).serialize())]
    else:
        most = min(POOL_BATCHES, -(-rows // batch_rows))
        pool = list(islice(_varied_batches(row, schema, batch_rows, vary, seed), most))
    return RowStream(features, schema.serialize().to_pybytes(), tuple(pool), batch_rows, seed)


def _varied_batches(
    row: Row, schema: pa.Schema, batch_rows: int, vary: float, seed: int
) -> Iterator[memoryview]:
    """Yields different batches until they fill the pool."""
    import pyarrow as pa

    rng, size = random.Random(seed), 0
    while size < POOL_BYTES:
        drawn = [row.varied(vary, rng) for _ in range(batch_rows)]
        columns = [pa.array([values[field.name] for values in drawn], type=field.type) for field in schema]
        message = memoryview(pa.RecordBatch.from_arrays(columns, schema=schema).serialize())
        size += len(message)
        yield message


def _column_of(name: str, value: Any, declared: pa.DataType | None) -> pa.Array:
    """Returns the column of a single row."""
    import pyarrow as pa

    if declared is not None:
        return build_array([value], declared)
    try:
        column = pa.array([value])
        narrowed = _narrowed(column.type, _NARROWED[name]) if name in _NARROWED else None
        if narrowed is not None:
            with suppress(pa.ArrowInvalid):
                return pa.array([value], type=narrowed)
        feature_of(column.type)
        return column
    except (pa.ArrowException, TypeError, ValueError, OverflowError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"column '{name}' cannot be stored: {reason}",
            next="All items of a list must be of one type, and integers fit 64 bits.",
        ) from None


def build_array(values: Sequence[Any], type: pa.DataType) -> pa.Array:
    """Builds an array; texts, bytes, lists and structs of their buffers.

    `pyarrow.array` does the same, but imports pandas on its first call, which takes as long as half of
    the default dataset.

    Args:
        values: Python values; None where there is none.
        type: Their type.
    """
    import pyarrow as pa

    bits = sum(1 << i for i, value in enumerate(values) if value is not None)
    validity = pa.py_buffer(bits.to_bytes(len(values) // 8 + 1, "little")) if None in values else None

    def of_parts(parts: Sequence[Any], *buffers: Any, children: list[pa.Array] | None = None) -> pa.Array:
        offsets = pa.py_buffer(array("i", accumulate(map(len, parts), initial=0)))
        return pa.Array.from_buffers(type, len(values), [validity, offsets, *buffers], children=children)

    if pa.types.is_struct(type):
        rows = [value or {} for value in values]
        fields = [build_array([row.get(field.name) for row in rows], field.type) for field in type]
        return pa.Array.from_buffers(type, len(values), [validity], children=fields)
    if pa.types.is_list(type):
        lists = [value or () for value in values]
        return of_parts(lists, children=[build_array(list(chain.from_iterable(lists)), type.value_type)])
    if pa.types.is_string(type) or pa.types.is_binary(type):
        parts = [value.encode() if isinstance(value, str) else value or b"" for value in values]
        return of_parts(parts, pa.py_buffer(b"".join(parts)))
    return pa.array(values, type=type)


def _narrowed(type: pa.DataType, to: str, depth: int = 0) -> pa.DataType | None:
    import pyarrow as pa

    if pa.types.is_int64(type):
        return pa.type_for_alias(to)
    if pa.types.is_list(type) and depth < 2:
        inner = _narrowed(type.value_type, to, depth + 1)
        return None if inner is None else pa.list_(inner)
    return None


def feature_of(type: pa.DataType) -> Any:
    """Returns the feature of an Arrow type, serialised as each datasets from 2.14.7 to 5.x reads it.

    datasets 4 renamed `Sequence` to `List` in what it writes but reads both, and so a folder
    that says `Sequence` can be handed to any environment.

    Raises:
        ValueError: There is no such feature.
    """
    import pyarrow as pa

    if pa.types.is_struct(type):
        return {field.name: feature_of(field.type) for field in type}
    if pa.types.is_list(type):
        inner = feature_of(type.value_type)
        is_feature = isinstance(inner, Mapping) and isinstance(inner.get("_type"), str)
        return {"feature": inner, "_type": "Sequence"} if is_feature else [inner]
    if pa.types.is_nested(type) or isinstance(type, pa.BaseExtensionType):
        raise ValueError(f"Arrow's type {type} is not supported here")
    return {"dtype": _OTHER_NAMES.get(str(type), str(type)), "_type": "Value"}
