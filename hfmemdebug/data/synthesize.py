"""Builds a dataset of rows that are all alike, so that data are no factor in what memory does.

A folder is complete or does not exist: it is written under a hidden name beside its place and renamed when all is
there. The hidden folder is locked for as long as its process lives, and so the next run knows what a killed one left.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hfmemdebug.data.arrow_files import ends_as_stream
from hfmemdebug.data.explain import of_the_system
from hfmemdebug.data.rows import MAX_VARY, Row, preset_row, row_of, row_of_schema
from hfmemdebug.data.synth_stream import make_stream, write_stream
from hfmemdebug.errors import DiskError, InputError, UsageError
from hfmemdebug.units import format_bytes, format_count

DEFAULT_PRESET = "nested"
DEFAULT_ROWS = 1_000_000
# Counts up whenever the same arguments make other data, so that an older folder is not taken for a new one.
GENERATION = 1
# state.json and dataset_info.json, generously.
SMALL_FILES_BYTES = 1 << 16
STATE = "state.json"
INFO = "dataset_info.json"


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
        schema: The columns' types and sizes, as `hfmemdebug.data.rows` describes them.
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
    recipe = _checked(rows, row, schema, preset, vary, seed, shards)
    shown = str(out)
    with _os_errors_for(shown):
        target = Path(os.path.realpath(out))
        if not target.parent.is_dir():
            raise InputError(
                f"there is no folder to put '{shown}' into", next="Create its parent folder first."
            )
        _sweep(target)
        reused = _is_reusable(target, shown, recipe, force)
        written = 0
        if not reused:
            written, reused = _build(target, shown, recipe, force, on_progress)
        size = sum(path.stat().st_size for path in target.glob("*.arrow"))
    return Synthesized(Path(out), rows, shards, size, written, reused, time.perf_counter() - start)


@dataclass(frozen=True)
class _Recipe:
    """Decides the data; arguments as `synthesize` takes them."""

    rows: int
    row: Row
    vary: float
    seed: int
    shards: int

    def fingerprint(self) -> str:
        """Returns the name under which `datasets` caches what is derived: the same data, the same name."""
        parts = (GENERATION, self.rows, self.row.key, self.shards, float(self.vary), self.vary and self.seed)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

    def files(self) -> dict[str, int]:
        """Returns the names of the Arrow files, with the rows of each."""
        rows, more = divmod(self.rows, self.shards)
        return {
            f"data-{shard:05d}-of-{self.shards:05d}.arrow": rows + (shard < more)
            for shard in range(self.shards)
        }


def _checked(
    rows: int,
    row: Mapping[str, Any] | None,
    schema: Mapping[str, Any] | None,
    preset: str | None,
    vary: float,
    seed: int,
    shards: int,
) -> _Recipe:
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
        chosen = row_of_schema(schema)
    else:
        chosen = row_of(row) if row is not None else preset_row(preset or DEFAULT_PRESET)
    return _Recipe(rows, chosen, vary, seed, shards)


def _is_reusable(target: Path, shown: str, recipe: _Recipe, force: bool) -> bool:
    """Tells whether the folder is what was asked for.

    Raises:
        InputError: It is in the way.
    """
    if not target.exists():
        return False
    if not target.is_dir():
        raise InputError(f"'{shown}' is a file, not a folder", next="Choose another name.")
    if _holds(target, recipe):
        return True
    if any(target.iterdir()) and not force:
        raise InputError(
            f"'{shown}' exists and is not what was asked for: it holds other data, or is not complete",
            next="Choose another folder, or replace it with --force.",
        )
    _refuse_to_replace(target, shown)
    return False


def _holds(folder: Path, recipe: _Recipe) -> bool:
    """Tells whether a folder is what a recipe makes, and complete."""
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        return (
            state["_fingerprint"] == recipe.fingerprint()
            and (folder / INFO).is_file()
            and all(ends_as_stream(folder / name) for name in recipe.files())
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _build(
    target: Path,
    shown: str,
    recipe: _Recipe,
    force: bool,
    on_progress: Callable[[int, int], None] | None,
) -> tuple[int, bool]:
    """Writes the folder; returns the bytes written and whether another run was quicker."""
    stream = make_stream(recipe.row, rows=recipe.rows, vary=recipe.vary, seed=recipe.seed)
    # A lower bound first: adding up a number of rows that no disk holds would take for ever.
    _check_space(target.parent, shown, stream.least_bytes(recipe.rows))
    shards = {name: (rows, shard) for shard, (name, rows) in enumerate(recipe.files().items())}
    total = sum(sum(map(len, stream.messages(*shard))) for shard in shards.values())
    _check_space(target.parent, shown, total + SMALL_FILES_BYTES)
    done = 0

    def count_bytes(written: int) -> None:
        nonlocal done
        done += written
        if on_progress is not None:
            on_progress(done, total)

    with _fresh_folder(target) as folder:
        for name, shard in shards.items():
            write_stream(folder / name, stream.messages(*shard), count_bytes)
        _describe(folder, stream.features, recipe)
        # Another run may have put a folder there meanwhile, perhaps the same one.
        if _is_reusable(target, shown, recipe, force):
            return 0, True
        _put_in_place(folder, target)
    return done, False


def _describe(folder: Path, features: Mapping[str, Any], recipe: _Recipe) -> None:
    """Writes the two files with which `load_from_disk` begins, as `save_to_disk` does."""
    state: dict[str, Any] = {
        "_data_files": [{"filename": name} for name in recipe.files()],
        "_fingerprint": recipe.fingerprint(),
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    info = {"citation": "", "description": "", "features": features, "homepage": "", "license": ""}
    for name, document in ((STATE, state), (INFO, info)):
        (folder / name).write_text(json.dumps(document, indent=2), encoding="utf-8")


@contextmanager
def _os_errors_for(shown: str) -> Iterator[None]:
    """Turns what the operating system complains about into one line about the folder `shown`."""
    try:
        yield
    except OSError as error:
        explanation = of_the_system([error], f"'{shown}' was not written, and nothing was left behind")
        raise explanation or InputError(
            f"'{shown}' cannot be written: {error.strerror or error}", next="Choose another folder."
        ) from error


@contextmanager
def _fresh_folder(target: Path) -> Iterator[Path]:
    """Gives a hidden folder beside `target` that is gone afterwards, unless it was renamed meanwhile."""
    folder = _hidden(target)
    lock = None
    try:
        while lock is None:
            folder.mkdir()
            lock = _locked(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _locked(folder: Path) -> int | None:
    """Returns a descriptor that holds the folder's lock; None where another run swept it before it was locked."""
    try:
        lock = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return None
    # Some network file systems cannot lock a folder; what is left there is never swept.
    with suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX)
    if folder.exists():
        return lock
    os.close(lock)
    return None


def _hidden(target: Path) -> Path:
    return target.with_name(f".{target.name}.synth-{secrets.token_hex(6)}")


def _sweep(target: Path) -> None:
    """Removes the hidden folders that killed runs left beside `target`."""
    with suppress(OSError):
        for folder in list(target.parent.iterdir()):
            if folder.name.startswith(f".{target.name}.synth-"):
                with suppress(OSError):
                    _remove_if_abandoned(folder)


def _remove_if_abandoned(folder: Path) -> None:
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def _refuse_to_replace(folder: Path, shown: str) -> None:
    """Makes sure that nothing but a saved dataset is replaced.

    Raises:
        InputError: The folder holds anything that `save_to_disk` and `datasets`' cache do not write there.
    """
    refusal = f"'{shown}' is not replaced, even with --force: "
    entries = sorted(folder.iterdir())
    names = {path.name for path in entries}
    here = Path.cwd()
    if folder == here or folder in here.parents:
        raise InputError(f"{refusal}it is the current folder or holds it", next="Choose another folder.")
    if names and not {STATE, INFO} <= names:
        raise InputError(f"{refusal}it is not a saved dataset", next="Choose another folder.")
    for path in entries:
        known = path.name in (STATE, INFO) or path.suffix == ".arrow"
        if not known or path.is_dir() or path.is_symlink():
            raise InputError(
                f"{refusal}it holds '{path.name}', which is no part of a saved dataset",
                next="Move that elsewhere, or choose another folder.",
            )


def _put_in_place(folder: Path, target: Path) -> None:
    """Renames a finished folder to its place; what was there is removed afterwards."""
    if not target.exists():
        folder.rename(target)
        return
    old = _hidden(target)
    target.rename(old)
    try:
        folder.rename(target)
    except BaseException:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _check_space(parent: Path, shown: str, needed: int) -> None:
    """Compares what is to be written with what is free.

    Raises:
        DiskError: It does not fit.
    """
    free = shutil.disk_usage(parent).free
    if needed > free:
        raise DiskError(
            f"'{shown}' needs {format_bytes(needed)} and only {format_bytes(free)} are free there",
            next="Free some space, choose another disk, or write fewer rows with --rows.",
        )
