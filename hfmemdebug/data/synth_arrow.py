"""A synthetic row as the messages of an Arrow IPC stream.

All rows alike means all record batches alike: one message is serialised and written again and again.
For rows of varying length a pool of different batches is made and drawn from at random, so that time
and memory stay those of writing, and no slice is like the next.
"""

from __future__ import annotations

import json
import random
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, repeat
from typing import TYPE_CHECKING, Any

from hfmemdebug.data.rows import Row
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
# A continuation mark and a length of zero: the end of a stream (Arrow columnar format, IPC).
END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"

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
_NAMES_TEXT = """
    null bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 date32 date64 string
    large_string binary large_binary timestamp[s] timestamp[ms] timestamp[us] timestamp[ns] time32[s] time32[ms]
    time64[us] time64[ns] duration[s] duration[ms] duration[us] duration[ns]
"""
_NAMES = frozenset(_NAMES_TEXT.split())


@dataclass(frozen=True)
class Messages:
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

    def smallest_stream(self, rows: int) -> int:
        """Bytes that so many rows take at least."""
        return rows // self.batch_rows * min(len(message) for message in self.pool)

    def stream_bytes(self, rows: int, shard: int) -> int:
        """Bytes of a shard with so many rows, exactly."""
        if len(self.pool) > 1:
            return sum(len(message) for message in self.stream(rows, shard))
        full, rest = divmod(rows, self.batch_rows)
        last = len(self._head(self.pool[0], rest)) if rest else 0
        return len(self.schema) + full * len(self.pool[0]) + last + len(END_OF_STREAM)

    def stream(self, rows: int, shard: int) -> Iterator[memoryview]:
        """The messages of a shard with so many rows, the same ones at each call."""
        full, rest = divmod(rows, self.batch_rows)
        rng = random.Random(f"{self.seed}/{shard}")
        yield memoryview(self.schema)
        if len(self.pool) == 1:
            yield from repeat(self.pool[0], full)
        else:
            for _ in range(full):
                yield self.pool[rng.randrange(len(self.pool))]
        if rest:
            yield self._head(self.pool[rng.randrange(len(self.pool))], rest)
        yield memoryview(END_OF_STREAM)

    def _head(self, message: memoryview, rows: int) -> memoryview:
        import pyarrow as pa

        schema = pa.ipc.read_schema(pa.py_buffer(self.schema))
        batch = pa.ipc.read_record_batch(pa.py_buffer(message), schema)
        return memoryview(batch.slice(0, rows).serialize())


def make_messages(row: Row, *, rows: int, vary: float, seed: int) -> Messages:
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
    columns = {name: _one(name, value, types.get(name)) for name, value in row.values.items()}
    features = {name: row.media.get(name) or feature_of(column.type) for name, column in columns.items()}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    schema = pa.schema([(name, column.type) for name, column in columns.items()], metadata=metadata)
    row_bytes = max(1, sum(column.nbytes for column in columns.values()))
    most = (VARIED_BATCH_BYTES if vary else BATCH_BYTES) // row_bytes
    batch_rows = max(1, min(BATCH_ROWS, most))
    if vary:
        pool = _varied_pool(row, schema, batch_rows, rows, vary, seed)
    else:
        alike = [pa.concat_arrays([column] * batch_rows) for column in columns.values()]
        pool = (memoryview(pa.RecordBatch.from_arrays(alike, schema=schema).serialize()),)
    return Messages(features, schema.serialize().to_pybytes(), pool, batch_rows, seed)


def _varied_pool(
    row: Row, schema: pa.Schema, batch_rows: int, rows: int, vary: float, seed: int
) -> tuple[memoryview, ...]:
    import pyarrow as pa

    rng = random.Random(seed)
    pool: list[memoryview] = []
    size = 0
    while len(pool) < min(POOL_BATCHES, -(-rows // batch_rows)) and size < POOL_BYTES:
        drawn = [row.varied(vary, rng) for _ in range(batch_rows)]
        columns = [pa.array([values[field.name] for values in drawn], type=field.type) for field in schema]
        pool.append(memoryview(pa.RecordBatch.from_arrays(columns, schema=schema).serialize()))
        size += len(pool[-1])
    return tuple(pool)


def _one(name: str, value: Any, declared: pa.DataType | None) -> pa.Array:
    """The column of a single row."""
    import pyarrow as pa

    if declared is not None:
        return build_array([value], declared) if _is_plain(declared) else pa.array([value], type=declared)
    try:
        column = pa.array([value])
        narrowed = _narrowed(column.type, _NARROWED[name]) if name in _NARROWED else None
        if narrowed is not None:
            try:
                return pa.array([value], type=narrowed)
            except pa.ArrowInvalid:
                return column
        feature_of(column.type)
        return column
    except (pa.ArrowException, TypeError, ValueError, OverflowError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"column '{name}' cannot be stored: {reason}",
            next="All items of a list must be of one type, and integers fit 64 bits.",
        ) from None


def _is_plain(type: pa.DataType) -> bool:
    """Whether `build_array` knows a type."""
    import pyarrow as pa

    if pa.types.is_struct(type):
        return all(_is_plain(field.type) for field in type)
    if pa.types.is_list(type):
        return _is_plain(type.value_type)
    return bool(pa.types.is_string(type) or pa.types.is_binary(type) or pa.types.is_int64(type))


def _narrowed(type: pa.DataType, to: str, depth: int = 0) -> pa.DataType | None:
    import pyarrow as pa

    if pa.types.is_int64(type):
        return pa.type_for_alias(to)
    if pa.types.is_list(type) and depth < 2:
        inner = _narrowed(type.value_type, to, depth + 1)
        return None if inner is None else pa.list_(inner)
    return None


def build_array(values: Sequence[Any], type: pa.DataType) -> pa.Array:
    """An array of texts, bytes, integers, lists and structs, made of its buffers.

    `pyarrow.array` does the same, but imports pandas on its first call, which takes as long as half of
    the default dataset.

    Args:
        values: Python values; None where there is none.
        type: Their type: string, binary, int64, or lists and structs of those.
    """
    import pyarrow as pa

    present = [value is not None for value in values]
    validity = None
    if not all(present):
        bits = sum(1 << i for i, there in enumerate(present) if there)
        validity = pa.py_buffer(bits.to_bytes(len(values) // 8 + 1, "little"))

    def offsets(parts: Sequence[Any]) -> pa.Buffer:
        return pa.py_buffer(array("i", accumulate(map(len, parts), initial=0)))

    def of_buffers(*buffers: Any, children: list[pa.Array] | None = None) -> pa.Array:
        return pa.Array.from_buffers(type, len(values), [validity, *buffers], children=children)

    if pa.types.is_struct(type):
        rows = [value or {} for value in values]
        return of_buffers(children=[build_array([row.get(f.name) for row in rows], f.type) for f in type])
    if pa.types.is_list(type):
        lists = [value or () for value in values]
        items = build_array(list(chain.from_iterable(lists)), type.value_type)
        return of_buffers(offsets(lists), children=[items])
    if pa.types.is_int64(type):
        return of_buffers(pa.py_buffer(array("q", [value or 0 for value in values])))
    parts = [value.encode() if isinstance(value, str) else value or b"" for value in values]
    return of_buffers(offsets(parts), pa.py_buffer(b"".join(parts)))


def feature_of(type: pa.DataType) -> Any:
    """The feature of an Arrow type, serialised as each datasets from 2.14.7 to 5.x reads it.

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
    name = _OTHER_NAMES.get(str(type), str(type))
    if name not in _NAMES:
        raise ValueError(f"Arrow's type {type} is not supported here")
    return {"dtype": name, "_type": "Value"}
