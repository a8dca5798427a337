"""Rows like somebody's, without a value of theirs: types and rounded sizes of a dataset as a `synth` line.

A schema is a JSON object from column to type: ``"int64"``, ``"string:1500"`` (letters), ``"binary:300"``,
``"image:12000"`` and ``"audio:32000"`` (bytes), ``[TYPE, 20]`` for a list of so many, an object for a struct.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from statistics import mean, pstdev
from typing import TYPE_CHECKING, Any

from hfmemdebug.data.rows import AUDIO_RATE, MAX_VARY, Row, png, wav
from hfmemdebug.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

SAMPLED_PLACES = 10
SAMPLED_ROWS = 20
# What is rebuilt from a schema is to show the effect, not to fill somebody's disk.
MOST_ROWS = 1_000_000
MOST_BYTES = 2 << 30
# A wider table than this makes a line that nobody pastes.
LONGEST_LINE = 1_800
_LEAST_VARY = 0.05
_NEXT = """Write it like '{"text": "string:1500", "label": "int64", "ids": ["int64", 20]}'."""
_BUILT = {"image", "audio"}
_SIZED = {"string", "large_string", "binary", "large_binary", *_BUILT}


def synth_line(dataset: Any, rows: int, bytes_per_row: float, folder: str = "like-ds") -> str | None:
    """The command that builds rows like a dataset's.

    Args:
        dataset: A `datasets.Dataset`.
        rows: Its rows.
        bytes_per_row: What a row holds, about.
        folder: The folder that the command writes.

    Returns:
        The line; None where the table is so wide that it would be too long.
    """
    table = _sample(dataset.data.table)
    media = {
        name: kind.lower()
        for name, feature in (dataset.features or {}).items()
        if (kind := type(feature).__name__) in ("Image", "Audio")
    }
    schema, vary = schema_of(table, media)
    rows = max(1, min(rows, MOST_ROWS, int(MOST_BYTES / max(bytes_per_row, 1.0))))
    described = json.dumps(schema, ensure_ascii=False)
    line = f"hfmemdebug synth {folder} --rows {rows} --schema {shlex.quote(described)}"
    if vary:
        line += f" --vary {vary:g}"
    return line if len(line) <= LONGEST_LINE else None


def schema_of(table: pa.Table, media: Mapping[str, str]) -> tuple[dict[str, Any], float]:
    """Types and sizes of a table's columns, and how much the sizes vary.

    Args:
        table: Some rows.
        media: ``image`` or ``audio`` for the columns that hold such.

    Returns:
        The schema, and the coefficient of variation of the sizes of the column that varies by most bytes, 0
        where they hardly do.
    """
    schema: dict[str, Any] = {}
    spread, vary = 0.0, 0.0
    for name, column in zip(table.column_names, table.columns, strict=True):
        values = column.to_pylist()
        sizes = [_bytes_in(value) for value in values]
        if sizes and pstdev(sizes) > spread:
            spread = pstdev(sizes)
            vary = spread / mean(sizes)
        schema[name] = (
            f"{media[name]}:{_rounded([_bytes_in(v) for v in values if v is not None]) or 3000}"
            if name in media
            else _type_of(column.type, values)
        )
    return schema, 0.0 if vary < _LEAST_VARY else round(min(vary, MAX_VARY), 1) or 0.1


def row_of_schema(schema: Mapping[str, Any]) -> Row:
    """The row that a schema describes.

    Raises:
        UsageError: A type is not of the form that is wanted.
    """
    values = {name: _value_of(declared, name) for name, declared in schema.items()}
    media = {name: kind for name, declared in schema.items() if (kind := _split(declared)[0]) in _BUILT}

    def types() -> dict[str, pa.DataType]:
        return {name: _arrow_type(declared, name) for name, declared in schema.items()}

    features: dict[str, dict[str, Any]] = {
        "image": {"_type": "Image"},
        "audio": {"sampling_rate": AUDIO_RATE, "_type": "Audio"},
    }
    return Row(
        values,
        key=f"schema:{json.dumps(schema, sort_keys=True)}",
        types=types,
        media={name: features[kind] for name, kind in media.items()},
    )


def _sample(table: pa.Table) -> pa.Table:
    """A few rows from all over a table."""
    import pyarrow as pa

    if table.num_rows <= SAMPLED_PLACES * SAMPLED_ROWS:
        return table
    last = table.num_rows - SAMPLED_ROWS
    starts = [place * last // (SAMPLED_PLACES - 1) for place in range(SAMPLED_PLACES)]
    return pa.concat_tables([table.slice(start, SAMPLED_ROWS) for start in starts])


def _bytes_in(value: Any) -> int:
    """About the bytes of a decoded value, whatever it is made of."""
    if isinstance(value, str):
        return len(value.encode(errors="replace"))
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, Mapping):
        return sum(map(_bytes_in, value.values()))
    if isinstance(value, (list, tuple)):
        return sum(map(_bytes_in, value))
    return 0 if value is None else 8


def _rounded(sizes: Sequence[int]) -> int:
    """The mean in two digits: how long is told, not which row it is."""
    middle = mean(sizes) if sizes else 0.0
    if middle < 1:
        return 0
    digits = int(10 ** max(0, math.floor(math.log10(middle)) - 1))
    return max(1, int(round(middle / digits) * digits))


def _type_of(type: pa.DataType, values: Sequence[Any]) -> Any:
    import pyarrow as pa

    known = [value for value in values if value is not None]
    if isinstance(type, pa.BaseExtensionType):
        return _type_of(type.storage_type, values)
    if pa.types.is_dictionary(type):
        return _type_of(type.value_type, values)
    if pa.types.is_struct(type):
        fields = [type.field(place) for place in range(type.num_fields)]
        return {f.name: _type_of(f.type, [v[f.name] for v in known]) for f in fields}
    if pa.types.is_list(type) or pa.types.is_large_list(type) or pa.types.is_fixed_size_list(type):
        items = [item for value in known for item in value]
        return [_type_of(type.value_type, items), _rounded([len(value) for value in known])]
    if pa.types.is_string(type) or pa.types.is_large_string(type):
        return f"string:{_rounded([_bytes_in(value) for value in known])}"
    if pa.types.is_binary(type) or pa.types.is_large_binary(type) or pa.types.is_fixed_size_binary(type):
        return f"binary:{_rounded([_bytes_in(value) for value in known])}"
    if pa.types.is_decimal(type):
        return "double"
    if pa.types.is_timestamp(type):
        return f"timestamp[{type.unit}]"
    try:
        pa.type_for_alias(str(type))
    except ValueError:
        return "int64"
    return str(type)


def _split(declared: Any) -> tuple[str, int]:
    """``string:1500`` as its name and its size."""
    if not isinstance(declared, str):
        return "", 0
    name, _, size = declared.partition(":")
    return (name, int(size)) if size.isdecimal() else (declared, 0)


def _is_list(declared: Any) -> bool:
    return (
        isinstance(declared, Sequence)
        and not isinstance(declared, str)
        and len(declared) == 2
        and isinstance(declared[1], int)
        and declared[1] >= 0
    )


def _value_of(declared: Any, column: str) -> Any:
    if isinstance(declared, Mapping):
        return {name: _value_of(inner, column) for name, inner in declared.items()}
    if _is_list(declared):
        return [_value_of(declared[0], column)] * declared[1]
    name, size = _split(declared)
    if name == "image":
        # Three bytes a pixel of noise, which does not compress.
        return {"bytes": png(max(1, round(math.sqrt(size / 3)))), "path": None}
    if name == "audio":
        return {"bytes": wav(max(1, size // 2)), "path": None}
    if name.endswith("string"):
        return ("abcdefghi " * (size // 10 + 1))[:size]
    if name.endswith("binary"):
        return b"\x5a" * size
    arrow = str(_arrow_type(declared, column))
    if arrow == "null":
        return None
    if arrow == "bool":
        return True
    return 0.5 if arrow in ("halffloat", "float", "double") else 7


def _arrow_type(declared: Any, column: str) -> pa.DataType:
    import pyarrow as pa

    if isinstance(declared, Mapping) and declared:
        return pa.struct([(name, _arrow_type(inner, column)) for name, inner in declared.items()])
    if _is_list(declared):
        return pa.list_(_arrow_type(declared[0], column))
    name, _ = _split(declared)
    if name in _BUILT:
        return pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    try:
        return pa.type_for_alias(name if name in _SIZED else str(declared))
    except ValueError:
        raise UsageError(f"--schema: {declared!r} of column '{column}' is no type", next=_NEXT) from None
