"""Why files could not be loaded, in one line that names the file and, for text, the line in it."""

from __future__ import annotations

import bz2
import csv
import errno
import gzip
import json
import lzma
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hfmemdebug.data.local_arrow import check_same_columns, first_line
from hfmemdebug.data.local_files import CSV, JSON, PARQUET, check_readable, is_compressed, shown, suffix_of
from hfmemdebug.errors import AccessError, DiskError, HfmemdebugError, InputError

_OPENERS: dict[str, Callable[[str], Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_JSON_TYPES = {
    dict: "an object",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
}


def explain(error: BaseException, *, name: str, kind: str, files: Sequence[str]) -> HfmemdebugError | None:
    """Finds out why loading or reading local files failed.

    Args:
        error: What `datasets` raised; the reason is often only in its chain of causes.
        name: The dataset as the user named it.
        kind: ``Parquet``, ``JSON`` or ``CSV``.
        files: The files that were to be read.

    Returns:
        The error in one line, or None where memory ran out: that is for the caller to judge.
    """
    import pyarrow as pa

    causes = list(_chain(error))
    for cause in causes:
        if isinstance(cause, HfmemdebugError):
            return cause
        if isinstance(cause, MemoryError):
            return None
        if isinstance(cause, OSError) and cause.errno in _FULL:
            return DiskError(
                "the disk is full", next="Free space, set HF_HOME to a larger disk, or use --streaming."
            )
        if isinstance(cause, OSError) and cause.errno in _FORBIDDEN:
            where = shown(cause.filename) if cause.filename else "the datasets cache"
            return AccessError(
                f"{where}: permission denied", next="Make it accessible, or set HF_HOME to another folder."
            )
    try:
        for file in files:
            check_readable(file)
            if Path(file).stat().st_size == 0:
                return InputError(f"{shown(file)} is empty")
        _EXAMINE[kind](files)
    except HfmemdebugError as found:
        return found
    except (UnicodeDecodeError, EOFError, OSError, lzma.LZMAError) as found:
        return InputError(f"{shown(file)} cannot be read: {first_line(found)}")
    if any(_means_no_rows(cause) for cause in causes):
        return no_rows(name)
    # Arrow says what it could not read; what a library tried after that only hides it.
    reason = next((cause for cause in causes if isinstance(cause, pa.ArrowException)), causes[-1])
    return InputError(f"{name} could not be loaded: {type(reason).__name__}: {first_line(reason)}")


def no_rows(name: str) -> InputError:
    """The error for a dataset without rows."""
    return InputError(f"{name} has no rows", next="There is nothing to iterate over.")


def _means_no_rows(error: BaseException) -> bool:
    return type(error).__name__ == "SchemaInferenceError" or "corresponds to no data" in str(error)


def _chain(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def parquet_footers(files: Sequence[str]) -> list[Any]:
    """The metadata of Parquet files.

    Raises:
        InputError: A file has no footer: it is empty, cut off, or something else.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    footers = []
    for file in files:
        try:
            with pq.ParquetFile(file) as opened:
                footers.append(opened.metadata)
        except (pa.ArrowException, OSError) as error:
            check_readable(file)
            if Path(file).stat().st_size == 0:
                raise InputError(f"{shown(file)} is empty") from error
            raise InputError(
                f"{shown(file)} is no complete Parquet file: cut off, damaged, or of another kind",
                next="Take it from its source again.",
            ) from error
    return footers


def _examine_parquet(files: Sequence[str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    footers = parquet_footers(files)
    for file, footer in zip(files[1:], footers[1:], strict=True):
        check_same_columns(
            files[0], footers[0].schema.to_arrow_schema(), file, footer.schema.to_arrow_schema()
        )
    for file in files:
        try:
            with pq.ParquetFile(file) as opened:
                for group in range(opened.num_row_groups):
                    opened.read_row_group(group)
        except (pa.ArrowException, OSError) as error:
            raise InputError(
                f"{shown(file)} is damaged: {first_line(error)}", next="Take it from its source again."
            ) from error


def _examine_json(files: Sequence[str]) -> None:
    first_types: dict[str, str] | None = None
    for file in files:
        types = _examine_one_json(file)
        if types is None:
            continue
        if first_types is None:
            first_types, first_file = types, file
        _check_same_keys(first_file, first_types, file, types)


def _examine_one_json(file: str) -> dict[str, str] | None:
    """Reads each line as JSON, and gives the JSON types in the first row; None for another layout."""
    first: dict[str, Any] | None = None
    with _open(file) as opened:
        for number, line in enumerate(opened, start=1):
            text = _decoded(line, file, number).strip()
            if not text:
                continue
            if number == 1 and suffix_of(file) == ".json" and _spans_lines(text):
                _examine_document(file)
                return None
            try:
                row = json.loads(text)
            except ValueError as error:
                raise InputError(
                    f"{shown(file)}, line {number}: not valid JSON ({first_line(error)})"
                ) from error
            if not isinstance(row, dict):
                what = _JSON_TYPES.get(type(row), "null")
                raise InputError(
                    f"{shown(file)}, line {number}: {what}, where a row as a JSON object was expected"
                )
            first = first or row
    return {key: _JSON_TYPES.get(type(value), "") for key, value in first.items()} if first else None


def _spans_lines(first: str) -> bool:
    """Whether a .json file's first line begins a document of many lines rather than being a row."""
    if first.startswith("["):
        return True
    try:
        json.loads(first)
    except ValueError as error:
        return isinstance(error, json.JSONDecodeError) and error.pos >= len(first)
    return False


def _examine_document(file: str) -> None:
    with _open(file) as opened:
        text = opened.read().decode("utf-8", errors="replace")
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{shown(file)}, line {error.lineno}: not valid JSON ({error.msg})") from error


def _check_same_keys(first_file: str, first: dict[str, str], file: str, types: dict[str, str]) -> None:
    for key in [*first, *types]:
        here, there = types.get(key, "missing"), first.get(key, "missing")
        if here and there and here != there:
            raise InputError(
                f"the files differ in their columns: '{key}' is {there} in {shown(first_file)}"
                f" and {here} in {shown(file)}",
                next="Name files that have the same columns.",
            )


def _examine_csv(files: Sequence[str]) -> None:
    first_header: list[str] | None = None
    for file in files:
        delimiter = "\t" if suffix_of(file) == ".tsv" else ","
        with _open(file) as opened:
            lines = (_decoded(line, file, number) for number, line in enumerate(opened, start=1))
            reader = csv.reader(lines, delimiter=delimiter)
            header = next(reader, [])
            if first_header is None:
                first_header = header
            if header != first_header:
                _check_same_keys(
                    files[0], dict.fromkeys(first_header, "a column"), file, dict.fromkeys(header, "a column")
                )
            try:
                for row in reader:
                    if len(row) > len(header):
                        raise InputError(
                            f"{shown(file)}, line {reader.line_num}: {len(row)} fields,"
                            f" where the header has {len(header)}",
                            next="Quote fields that hold the separator.",
                        )
            except csv.Error as error:
                raise InputError(f"{shown(file)}, line {reader.line_num}: {first_line(error)}") from error


def _open(file: str) -> Any:
    opener = _OPENERS.get(Path(file).suffix.lower())
    return opener(file) if opener else Path(file).open("rb")


def _decoded(line: bytes, file: str, number: int) -> str:
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        if is_compressed(file) and Path(file).suffix.lower() not in _OPENERS:
            raise InputError(f"{shown(file)} could not be read", next="Decompress it first.") from error
        raise InputError(
            f"{shown(file)}, line {number}: not UTF-8 text", next="Write it again as UTF-8."
        ) from error


_EXAMINE: dict[str, Callable[[Sequence[str]], None]] = {
    PARQUET: _examine_parquet,
    JSON: _examine_json,
    CSV: _examine_csv,
}
