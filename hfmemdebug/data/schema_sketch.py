"""Rows like those of a dataset, without a value of theirs: types and rounded sizes as a `synth` line."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Sequence
from statistics import mean, pstdev
from typing import TYPE_CHECKING, Any

from hfmemdebug.data.rows import MAX_VARY, MEDIA

if TYPE_CHECKING:
    import pyarrow as pa

SAMPLED_PLACES = 10
SAMPLED_ROWS = 20
# What is rebuilt from a schema is to show the effect, not to fill a disk.
MOST_ROWS = 1_000_000
MOST_BYTES = 2 << 30
# A wider table than this makes a line that is too long to be pasted.
LONGEST_LINE = 1_800
_LEAST_VARY = 0.05


def synth_line(dataset: Any, rows: int, bytes_per_row: float, folder: str = "like-ds") -> str | None:
    """Returns the command that builds rows like a dataset's; its schema is what `row_of_schema` reads.

    Args:
        dataset: A `datasets.Dataset`.
        rows: Its rows.
        bytes_per_row: What a row holds, about.
        folder: The folder that the command writes.

    Returns:
        The line; None where the table is so wide that it would be too long.
    """
    table = _sample(dataset.data.table)
    kinds = {name: type(feature).__name__.lower() for name, feature in (dataset.features or {}).items()}
    schema: dict[str, Any] = {}
    spread = vary = 0.0
    for name, column in zip(table.column_names, table.columns, strict=True):
        values = column.to_pylist()
        sizes = [_bytes_in(value) for value in values]
        # The lengths vary as those of the column that varies by most bytes.
        if pstdev(sizes) > spread:
            spread = pstdev(sizes)
            vary = spread / mean(sizes)
        medium = f"{kinds.get(name)}:{_rounded(sizes) or 3000}"
        schema[name] = medium if kinds.get(name) in MEDIA else _type_of(column.type, values)
    rows = max(1, min(rows, MOST_ROWS, int(MOST_BYTES / max(bytes_per_row, 1.0))))
    described = json.dumps(schema, ensure_ascii=False)
    line = f"hfmemdebug synth {folder} --rows {rows} --schema {shlex.quote(described)}"
    if vary >= _LEAST_VARY:
        line += f" --vary {max(0.1, round(min(vary, MAX_VARY), 1)):g}"
    return line if len(line) <= LONGEST_LINE else None


def _sample(table: pa.Table) -> pa.Table:
    """Returns a few rows from all over a table."""
    import pyarrow as pa

    if table.num_rows <= SAMPLED_PLACES * SAMPLED_ROWS:
        return table
    last = table.num_rows - SAMPLED_ROWS
    starts = [place * last // (SAMPLED_PLACES - 1) for place in range(SAMPLED_PLACES)]
    return pa.concat_tables([table.slice(start, SAMPLED_ROWS) for start in starts])


def _bytes_in(value: Any) -> int:
    """Returns about the bytes of a decoded value, whatever it is made of."""
    if isinstance(value, (str, bytes)):
        return len(value.encode(errors="replace") if isinstance(value, str) else value)
    if isinstance(value, (dict, list)):
        return sum(map(_bytes_in, value.values() if isinstance(value, dict) else value))
    return 0 if value is None else 8


def _rounded(sizes: Sequence[int]) -> int:
    """Returns the mean in two digits: how long is told, not which row it is."""
    middle = mean(sizes) if sizes else 0.0
    digits = int(10 ** max(0, math.floor(math.log10(max(middle, 1))) - 1))
    return int(round(middle / digits) * digits)


def _type_of(type: pa.DataType, values: Sequence[Any]) -> Any:
    """Returns an Arrow type, with the mean sizes of values, as a schema has it."""
    import pyarrow as pa

    known = [value for value in values if value is not None]
    if isinstance(type, pa.BaseExtensionType):
        return _type_of(type.storage_type, values)
    if pa.types.is_struct(type):
        return {f.name: _type_of(f.type, [v[f.name] for v in known]) for f in type}
    if pa.types.is_dictionary(type):
        return _type_of(type.value_type, values)
    if pa.types.is_nested(type) and hasattr(type, "value_type"):
        items = [item for value in known for item in value]
        return [_type_of(type.value_type, items), _rounded([len(value) for value in known])]
    for name in ("string", "binary"):
        if name in str(type):
            return f"{name}:{_rounded([_bytes_in(value) for value in known])}"
    try:
        # A zone, say, has no place in a type's short name.
        short = "double" if pa.types.is_decimal(type) else str(type).partition(", tz=")[0].rstrip("]")
        return str(pa.type_for_alias(f"{short}]" if "[" in short else short))
    except ValueError:
        return "int64"
