"""The rows of a synthetic dataset: presets, a row or its schema given as JSON, and rows of varying length.

A schema is a JSON object from column to type: ``"int64"``, ``"string:1500"`` (letters), ``"binary:300"``,
``"image:12000"`` and ``"audio:32000"`` (bytes), ``[TYPE, 20]`` for a list of so many, an object for a struct. It is
read here, and written here of a dataset: types and rounded sizes, not a value, for reports on data that are private.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import shlex
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from statistics import mean, pstdev
from typing import TYPE_CHECKING, Any

from hfmemdebug.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

AUDIO_RATE = 16_000
TOKENS = 1_024
# Above this a log-normal row is hundreds of times its median: no text is like that, and the size of
# the dataset would rest on a handful of rows.
MAX_VARY = 3.0
SAMPLED_PLACES = 10
SAMPLED_ROWS = 20
# What is rebuilt from a schema is to show the effect, not to fill a disk.
MOST_ROWS = 1_000_000
MOST_BYTES = 2 << 30
# A wider table than this makes a line that is too long to be pasted.
LONGEST_LINE = 1_800
_LEAST_VARY = 0.05
_ROW_EXAMPLE = """Write it like '{"text": "hello", "label": 1}'."""
MEDIA: dict[str, dict[str, Any]] = {
    "image": {"_type": "Image"},
    "audio": {"sampling_rate": AUDIO_RATE, "_type": "Audio"},
}
"""The serialised features of what Arrow's type does not tell."""


@dataclass(frozen=True)
class Row:
    """One row, from which all rows of a synthetic dataset are made.

    Attributes:
        values: The value of each column.
        key: What tells this row from any other, for the recipe that is kept beside the data.
        types: The Arrow type of each column, or None where Arrow infers them.
        media: ``image`` or ``audio`` for the columns that hold such: a PNG or a WAV file.
    """

    values: Mapping[str, Any]
    key: str
    types: Callable[[], dict[str, pa.DataType]] | None = None
    media: Mapping[str, str] = field(default_factory=dict)

    def varied(self, vary: float, rng: random.Random) -> dict[str, Any]:
        """Returns the row with its lengths drawn anew.

        The length of each text, list and byte string is multiplied by a log-normal factor of mean 1, as
        the lengths of sentences and documents are about log-normal. All values of one mapping share a
        factor, so that columns that belong together (tokens and their mask) stay of equal length.

        Args:
            vary: Coefficient of variation of the lengths (standard deviation / mean).
            rng: The source of randomness.
        """
        factor = _factor(vary, rng)
        return {
            # A picture that is cut is none: another one is made.
            name: medium(self.media[name], len(value["bytes"]) * factor)
            if name in self.media
            else _varied(value, vary, rng, factor)
            for name, value in self.values.items()
        }

    def has_length(self) -> bool:
        """Tells whether anything in the row has a length that can vary."""
        return any(_has_length(value) for value in self.values.values())


def _factor(vary: float, rng: random.Random) -> float:
    variance = math.log1p(vary * vary)
    return rng.lognormvariate(-variance / 2, math.sqrt(variance))


def _varied(value: Any, vary: float, rng: random.Random, factor: float) -> Any:
    if isinstance(value, Mapping):
        shared = _factor(vary, rng)
        return {name: _varied(item, vary, rng, shared) for name, item in value.items()}
    if isinstance(value, (str, bytes, list)) and value:
        length = max(1, round(len(value) * factor))
        value = (value * math.ceil(length / len(value)))[:length]
        if isinstance(value, list) and isinstance(value[0], (str, bytes, list, Mapping)):
            return [_varied(item, vary, rng, _factor(vary, rng)) for item in value]
    return value


def _has_length(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_has_length(item) for item in value.values())
    return isinstance(value, (str, bytes, list)) and len(value) > 0


def row_of(values: Mapping[str, Any]) -> Row:
    """Returns the row that holds these values, one for each column.

    Raises:
        UsageError: There is no column, or a name is no text.
    """
    if not isinstance(values, Mapping) or not values:
        raise UsageError("the row must be a JSON object with at least one column", next=_ROW_EXAMPLE)
    if not all(isinstance(name, str) and name for name in values):
        raise UsageError("the columns of a row are named by texts that are not empty")
    return Row(
        values, key="sha256:" + hashlib.sha256(repr(dict(values)).encode("utf-8", "replace")).hexdigest()
    )


def parse_row(text: str, *, option: str = "--row") -> dict[str, Any]:
    """Reads a row, or the schema of one, that was given as JSON.

    Args:
        text: The JSON.
        option: Where it was given.

    Raises:
        UsageError: The text is no JSON, or no object.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        # A number of too many digits, too.
        raise UsageError(f"{option} is not valid JSON: {error}", next=_ROW_EXAMPLE) from None
    if not isinstance(values, dict):
        raise UsageError(f"{option} must be a JSON object, as a row is", next=_ROW_EXAMPLE)
    return dict(row_of(values).values)


def preset_row(name: str) -> Row:
    """Returns the row of a preset.

    Raises:
        UsageError: There is no preset of this name.
    """
    if name not in _ROWS:
        raise UsageError(f"there is no preset '{name}'", next=f"Choose one of {', '.join(PRESETS)}.")
    return _ROWS[name]()


def _nested() -> Row:
    def types() -> dict[str, pa.DataType]:
        import pyarrow as pa

        return {"foo": pa.list_(pa.struct([("a", pa.string()), ("b", pa.string())]))}

    row = row_of({"foo": [{"a": "a" * 500, "b": "b" * 1000}]})
    return Row(row.values, row.key, types)


def _text() -> Row:
    sentence = "Rows that are all alike leave the data out of the question, whatever memory does next. "
    return row_of({"text": (sentence * 18)[:1500]})


def _numeric() -> Row:
    return row_of({"label": 7, "score": 0.25, "valid": True, "embedding": [i / 128 for i in range(128)]})


def _tokens() -> Row:
    return row_of({"input_ids": [i * 7919 % 50_257 for i in range(TOKENS)], "attention_mask": [1] * TOKENS})


_ROWS: dict[str, Callable[[], Row]] = {
    "nested": _nested,
    "text": _text,
    "numeric": _numeric,
    "image": lambda: row_of_schema({"image": "image:3000", "label": "int64"}),
    "audio": lambda: row_of_schema({"audio": "audio:3200", "label": "int64"}),
    "tokens": _tokens,
}
PRESETS = tuple(_ROWS)


def row_of_schema(schema: Mapping[str, Any]) -> Row:
    """Returns the row that a schema describes.

    Raises:
        UsageError: A type is not of the form that is wanted.
    """
    declared = {name: _declared(each, name) for name, each in schema.items()}
    return Row(
        {name: value for name, (value, _) in declared.items()},
        key=f"schema:{json.dumps(schema, sort_keys=True)}",
        types=lambda: {name: type for name, (_, type) in declared.items()},
        media={
            name: kind
            for name, each in schema.items()
            if isinstance(each, str) and (kind := each.partition(":")[0]) in MEDIA
        },
    )


def _declared(declared: Any, column: str) -> tuple[Any, pa.DataType]:
    """Returns a value of a declared type, and the type."""
    import pyarrow as pa

    if isinstance(declared, Mapping) and declared:
        parts = {name: _declared(inner, column) for name, inner in declared.items()}
        types = [(name, type) for name, (_, type) in parts.items()]
        return {name: value for name, (value, _) in parts.items()}, pa.struct(types)
    if (
        isinstance(declared, list)
        and len(declared) == 2
        and isinstance(declared[1], int)
        and declared[1] >= 0
    ):
        value, type = _declared(declared[0], column)
        return [value] * declared[1], pa.list_(type)
    name, colon, digits = declared.partition(":") if isinstance(declared, str) else ("", "", "")
    if (digits.isdecimal() or not colon) and name in MEDIA:
        return medium(name, int(digits or 3000)), pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    sized = name.endswith(("string", "binary"))
    try:
        type = pa.type_for_alias(name if not colon or (sized and digits.isdecimal()) else declared)
    except (ValueError, TypeError):
        raise UsageError(
            f"--schema: {declared!r} of column '{column}' is no type",
            next="""Write it like '{"text": "string:1500", "label": "int64", "ids": ["int64", 20]}'.""",
        ) from None
    if sized:
        size = int(digits or 0)
        return ("abcdefghi " * (size // 10 + 1))[:size] if name.endswith("string") else b"Z" * size, type
    if pa.types.is_null(type) or pa.types.is_boolean(type):
        return None if pa.types.is_null(type) else True, type
    return 0.5 if pa.types.is_floating(type) else 7, type


def medium(kind: str, size: float) -> dict[str, Any]:
    """Returns an image or a sound of about so many bytes, as `datasets` stores them.

    Args:
        kind: ``image`` or ``audio``.
        size: Bytes; three a pixel of noise, which does not compress, and two a sample.
    """
    file = png(max(1, round(math.sqrt(size / 3)))) if kind == "image" else wav(max(1, round(size / 2)))
    return {"bytes": file, "path": None}


@cache
def png(side: int) -> bytes:
    """Returns a square RGB image of noise, which compresses as badly as a photograph of that size.

    Args:
        side: Width and height in pixels.
    """
    noise = random.Random(side)
    # Each line starts with its filter, 0: none (PNG specification, section 9).
    lines = b"".join(b"\0" + noise.randbytes(3 * side) for _ in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


@cache
def _tone() -> bytes:
    wave = (math.sin(2 * math.pi * 440 * i / AUDIO_RATE) for i in range(AUDIO_RATE))
    return b"".join(struct.pack("<h", round(12_000 * value)) for value in wave)


def wav(samples: int) -> bytes:
    """Returns a 440 Hz tone as a WAV file: 16 bits, one channel, `AUDIO_RATE` samples a second."""
    size = 2 * samples
    tone = _tone()
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, AUDIO_RATE, 2 * AUDIO_RATE, 2, 16, b"data", size),
    )
    return header + (tone * math.ceil(size / len(tone)))[:size]


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
