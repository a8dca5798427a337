"""Builds a dataset of rows that are all alike, so that data are no factor in what memory does."""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hfmemdebug.data import synth_folder as folders
from hfmemdebug.data.rows import MAX_VARY, Row, preset_row, row_of
from hfmemdebug.data.synth_arrow import Messages, make_messages
from hfmemdebug.errors import InputError, UsageError
from hfmemdebug.units import format_count

DEFAULT_PRESET = "nested"
DEFAULT_ROWS = 1_000_000
# Counts up whenever the same arguments make other data, so that an older folder is not taken for a new one.
GENERATION = 1
# state.json, dataset_info.json and the recipe, generously.
SMALL_FILES_BYTES = 1 << 16


@dataclass(frozen=True)
class Synthesized:
    """A synthetic dataset on disk.

    Attributes:
        path: The folder, as it was asked for.
        rows: Its rows.
        shards: Its Arrow files.
        size_bytes: Bytes of its Arrow files.
        bytes_written: Bytes that this call wrote: 0 where the folder was there already.
        reused: Whether the folder was there already and is exactly what was asked for.
        seconds: Wall time of this call.
    """

    path: Path
    rows: int
    shards: int
    size_bytes: int
    bytes_written: int
    reused: bool
    seconds: float


def synthesize(
    out: str | Path = "synthetic-ds",
    *,
    rows: int = DEFAULT_ROWS,
    row: Mapping[str, Any] | None = None,
    schema: Mapping[str, Any] | None = None,
    preset: str | None = None,
    vary: float = 0.0,
    seed: int = 0,
    shards: int = 1,
    force: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> Synthesized:
    """Writes a folder that `datasets.load_from_disk` reads, in constant memory.

    The folder equals, row for row and in its features, what `Dataset.from_dict({k: [v] * rows})` and
    `save_to_disk` write. It appears when it is complete: an exception, Ctrl-C included, leaves nothing
    behind, and what a killed process left is removed by the next call. Data are not forced to the disk
    (no fsync), as `save_to_disk` does not either.

    Args:
        out: The folder. Where it exists and is exactly what is asked for it is reused.
        rows: Number of rows, at least 1.
        row: The row as a mapping from column to value; not together with `schema` or `preset`.
        schema: The columns' types and sizes, as `hfmemdebug.data.likeness` writes them.
        preset: One of `hfmemdebug.data.rows.PRESETS`; without `row`, `"nested"` is the default.
        vary: Coefficient of variation of the lengths of texts, lists and byte strings, 0 for rows all alike.
            Lengths are log-normal around the row's own. They come from a pool of up to 64 different record
            batches (at most 96 MB) that follow each other in random order.
        seed: Decides the lengths and the order of varying rows.
        shards: Number of Arrow files; rows are split as `save_to_disk(num_shards=…)` splits them.
        force: Replace a saved dataset that is not what is asked for. Nothing else is ever replaced.
        on_progress: Called with the bytes written so far and the bytes of the whole dataset.

    Returns:
        Where the dataset is, and what it took.

    Raises:
        UsageError: An argument is wrong.
        InputError: The folder cannot be used, or Arrow has no type for the row.
        DiskError: There is not enough room; it is compared before a byte is written.
        AccessError: The folder may not be written.
    """
    start = time.perf_counter()
    chosen = _checked(rows, row, schema, preset, vary, seed, shards)
    shown = str(out)
    recipe = {
        "rows": rows,
        "row": chosen.key,
        "shards": shards,
        "vary": float(vary),
        "seed": seed if vary else 0,
        "generation": GENERATION,
    }
    with folders.os_errors_for(shown):
        target = Path(os.path.realpath(out))
        if not target.parent.is_dir():
            raise InputError(
                f"there is no folder to put '{shown}' into", next="Create its parent folder first."
            )
        folders.sweep(target)
        reused = _reusable(target, shown, recipe, force)
        written = 0
        if not reused:
            written, reused = _build(target, shown, chosen, recipe, force, on_progress)
        size = folders.folder_bytes(target)
    return Synthesized(
        path=Path(out),
        rows=rows,
        shards=shards,
        size_bytes=size,
        bytes_written=written,
        reused=reused,
        seconds=time.perf_counter() - start,
    )


def _checked(
    rows: int,
    row: Mapping[str, Any] | None,
    schema: Mapping[str, Any] | None,
    preset: str | None,
    vary: float,
    seed: int,
    shards: int,
) -> Row:
    if rows < 1:
        raise UsageError(f"a dataset of {rows} rows cannot be built", next="--rows must be at least 1.")
    if not 1 <= shards <= min(rows, 99_999):
        raise UsageError(
            f"{format_count(rows)} rows cannot be split into {format_count(shards)} files",
            next=f"--shards must be between 1 and {format_count(min(rows, 99_999))}.",
        )
    if not (math.isfinite(vary) and 0 <= vary <= MAX_VARY):
        raise UsageError(
            f"rows cannot vary by {vary}",
            next=f"--vary is a coefficient of variation between 0 and {MAX_VARY:g}, such as 0.3.",
        )
    if sum(given is not None for given in (row, schema, preset)) > 1:
        raise UsageError(
            "a row, a schema and a preset exclude each other", next="Give --row, --schema or --preset."
        )
    if schema is not None:
        from hfmemdebug.data.likeness import row_of_schema

        return row_of_schema(schema)
    return row_of(row) if row is not None else preset_row(preset or DEFAULT_PRESET)


def _reusable(target: Path, shown: str, recipe: Mapping[str, Any], force: bool) -> bool:
    """Whether the folder is what was asked for; an error where it is in the way."""
    if not target.exists():
        return False
    if not target.is_dir():
        raise InputError(f"'{shown}' is a file, not a folder", next="Choose another name.")
    if not any(target.iterdir()):
        folders.refuse_to_replace(target, shown)
        return False
    difference = folders.difference(target, recipe)
    if difference is None:
        return True
    if not force:
        raise InputError(
            f"'{shown}' exists and is not what was asked for: {difference}",
            next="Choose another folder, or replace it with --force.",
        )
    folders.refuse_to_replace(target, shown)
    return False


def _build(
    target: Path,
    shown: str,
    row: Row,
    recipe: Mapping[str, Any],
    force: bool,
    on_progress: Callable[[int, int], None] | None,
) -> tuple[int, bool]:
    """Writes the folder; returns the bytes written and whether somebody else was quicker."""
    rows, shards = recipe["rows"], recipe["shards"]
    messages = make_messages(row, rows=rows, vary=recipe["vary"], seed=recipe["seed"])
    # A lower bound first: adding up a number of rows that no disk holds would take for ever.
    folders.check_space(target.parent, shown, messages.smallest_stream(rows))
    counts = [rows // shards + (shard < rows % shards) for shard in range(shards)]
    sizes = [messages.stream_bytes(count, shard) for shard, count in enumerate(counts)]
    total = sum(sizes)
    folders.check_space(target.parent, shown, total + SMALL_FILES_BYTES)
    done = 0

    def count_bytes(written: int) -> None:
        nonlocal done
        done += written
        if on_progress is not None:
            on_progress(done, total)

    with folders.fresh_folder(target) as folder:
        for shard, (count, size) in enumerate(zip(counts, sizes, strict=True)):
            stream = messages.stream(count, shard)
            folders.write_stream(folder / _shard_name(shard, shards), stream, size, count_bytes)
        _describe(folder, messages, recipe)
        folders.write_sidecar(folder, recipe)
        # Somebody may have put a folder there meanwhile, perhaps the same one.
        if _reusable(target, shown, recipe, force):
            return 0, True
        folders.put_in_place(folder, target)
    return done, False


def _shard_name(shard: int, shards: int) -> str:
    return f"data-{shard:05d}-of-{shards:05d}.arrow"


def _describe(folder: Path, messages: Messages, recipe: Mapping[str, Any]) -> None:
    """Writes the two files with which `load_from_disk` begins, as `save_to_disk` does."""
    described = json.dumps([dict(recipe), messages.features])
    shards = recipe["shards"]
    folders.write_json(
        folder / folders.STATE,
        {
            "_data_files": [{"filename": _shard_name(shard, shards)} for shard in range(shards)],
            # The name under which `datasets` caches what is derived: the same data, the same name.
            "_fingerprint": hashlib.sha256(described.encode()).hexdigest()[:16],
            "_format_columns": None,
            "_format_kwargs": {},
            "_format_type": None,
            "_output_all_columns": False,
            "_split": None,
        },
    )
    folders.write_json(
        folder / folders.INFO,
        {"citation": "", "description": "", "features": messages.features, "homepage": "", "license": ""},
    )
