"""Parquet, JSON and CSV through the builders of `datasets`, as a user's own `load_dataset` would."""

from __future__ import annotations

import inspect
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from glob import escape, has_magic
from pathlib import Path
from typing import Any

from hfmemdebug.data.hub_quiet import quiet_libraries
from hfmemdebug.data.local_broken import explain, no_rows, parquet_footers
from hfmemdebug.data.local_files import CSV, JSON, PARQUET, is_compressed, shown, suffix_of
from hfmemdebug.data.local_folder import base_splits
from hfmemdebug.errors import DiskError, InputError, UsageError
from hfmemdebug.units import format_bytes

_BUILDER_OF_KIND = {PARQUET: "parquet", JSON: "json", CSV: "csv"}
_ANNOUNCED = 64 * 1024**2
_NEEDS_CONSENT = 50 * 1024**3
# Text compresses about this well, and both the text and the Arrow file made of it are written to the cache.
_UNPACKED = 2 * 4


@contextmanager
def quiet_datasets(say: Callable[[str], None]) -> Iterator[None]:
    """Keeps what `datasets` says beside its results off the screen, and its load counts off the network."""
    import datasets

    counted = datasets.config.HF_UPDATE_DOWNLOAD_COUNTS
    datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False
    try:
        with quiet_libraries(say):
            yield
    finally:
        datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = counted


def open_builder(files: Sequence[str], kind: str, *, name: str) -> Any:
    """A dataset builder over files, with the one split ``train``.

    Raises:
        InputError: The files cannot be loaded.
        AccessError: A file or the cache may not be read.
    """
    options = {"sep": "\t"} if kind == CSV and suffix_of(files[0]) == ".tsv" else {}
    literal = [escape(file) if has_magic(file) else file for file in files]
    builder = _open(
        _BUILDER_OF_KIND[kind], name=name, kind=kind, files=files, data_files={"train": literal}, **options
    )
    if len(files_of(builder).get("train", ())) < len(files):
        # datasets 2.14 with the fsspec of its time takes no escaped name either.
        odd = next((file for file in files if has_magic(file)), files[0])
        raise InputError(f"{shown(odd)} cannot be read under this name", next="Rename it without [ ] * ?.")
    return builder


def open_folder_builder(
    folder: str, files: Sequence[str], kind: str, *, name: str, config: str | None
) -> Any:
    """A dataset builder over a folder, with the splits and configurations of its file names and README.

    Args:
        folder: Path of the folder.
        files: The data files that are known to be in it.
        kind: ``Parquet``, ``JSON`` or ``CSV``.
        name: The folder as the user named it.
        config: A configuration of its README.

    Raises:
        InputError: The folder cannot be loaded, or has no such configuration.
        AccessError: A file or the cache may not be read.
    """
    return _open(str(Path(folder).resolve()), name=name, kind=kind, files=files, config=config)


def _open(
    path: str, *, name: str, kind: str, files: Sequence[str], config: str | None = None, **options: Any
) -> Any:
    import datasets

    try:
        return datasets.load_dataset_builder(path, config, **options)
    except Exception as error:
        configs = re.search(r"(?:available configs|Available): \[(.*?)\]", str(error))
        if configs is not None:
            wrong = (
                f"{name} has no configuration '{config}'" if config else f"{name} has several configurations"
            )
            known = configs.group(1).replace("'", "")
            raise InputError(wrong, next=f"Name one after the dataset: {known}.") from error
        found = explain(error, name=name, kind=kind, files=files)
        if found is None:
            raise
        raise found from error


def files_of(builder: Any) -> dict[str, list[str]]:
    """The files of each split of a builder."""
    return {
        str(split): [str(file) for file in files]
        for split, files in (builder.config.data_files or {}).items()
    }


def read_builder(
    builder: Any,
    split: str,
    *,
    kind: str,
    name: str,
    keep_in_memory: bool,
    streaming: bool,
    yes: bool,
    say: Callable[[str], None],
) -> tuple[Any, bool | None]:
    """Builds the Arrow cache where it is not there yet, and reads a split of it.

    Args:
        builder: As `open_builder` and `open_folder_builder` give it.
        split: A split, or a slice of one.
        kind: ``Parquet``, ``JSON`` or ``CSV``.
        name: The dataset as the user named it.
        keep_in_memory: Read the cache into memory instead of mapping it.
        streaming: Read the files as they are iterated, without a cache.
        yes: The user agreed to a large build.
        say: Called with a line before a build that takes long.

    Returns:
        The dataset, and whether the cache was there already (None when streaming).

    Raises:
        InputError: A file is broken or there are no rows.
        DiskError: The cache would not fit on its disk, or is very large and the user has not agreed.
    """
    files = [file for listed in files_of(builder).values() for file in listed]
    try:
        if kind == PARQUET:
            chosen = [file for base in base_splits(split) for file in files_of(builder).get(base, files)]
            if sum(footer.num_rows for footer in parquet_footers(chosen)) == 0:
                raise no_rows(name)
        if streaming:
            if "[" in split or "+" in split:
                raise UsageError(f"'{split}' cannot be streamed", next="Name a whole split.")
            dataset = builder.as_streaming_dataset(split=split)
            # A first row of Parquet could hold an image to be decoded, and the footers were enough.
            if kind != PARQUET:
                _check_first_row(dataset, name)
            return dataset, None
        cached = Path(builder.cache_dir, "dataset_info.json").is_file()
        if not cached:
            _check_room(builder, kind, files, name=name, yes=yes, say=say)
        builder.download_and_prepare(**_prepare_options(builder))
        dataset = builder.as_dataset(split=split, in_memory=keep_in_memory)
    except Exception as error:
        found = explain(error, name=name, kind=kind, files=files)
        if found is None or found is error:
            raise
        raise found from error
    if dataset.num_rows == 0:
        raise no_rows(name)
    return dataset, cached


def _prepare_options(builder: Any) -> dict[str, Any]:
    # 2.14 looks for a prepared copy on a server first, unless told that there is none.
    known = inspect.signature(builder.download_and_prepare).parameters
    return {"try_from_hf_gcs": False} if "try_from_hf_gcs" in known else {}


def _check_first_row(dataset: Any, name: str) -> None:
    rows = iter(dataset)
    try:
        if next(rows, None) is None:
            raise no_rows(name)
    finally:
        getattr(rows, "close", lambda: None)()


def _check_room(
    builder: Any, kind: str, files: Sequence[str], *, name: str, yes: bool, say: Callable[[str], None]
) -> None:
    """Compares what the Arrow cache will need with what its disk has."""
    if kind == PARQUET:
        footers = parquet_footers(files)
        groups = [footer.row_group(i) for footer in footers for i in range(footer.num_row_groups)]
        needed = sum(group.total_byte_size for group in groups)
    else:
        growth = {file: _UNPACKED if is_compressed(file) else 1 for file in files}
        needed = sum(Path(file).stat().st_size * factor for file, factor in growth.items())
    free = shutil.disk_usage(_existing_parent(Path(builder.cache_dir))).free
    offer = "Use --streaming to read without a cache, choose fewer --data-files, or agree with --yes."
    if needed > free and not yes:
        raise DiskError(
            f"{name} needs about {format_bytes(needed)} for its Arrow cache, {format_bytes(free)} are free",
            next=offer,
        )
    if needed > _NEEDS_CONSENT and not yes:
        raise DiskError(f"{name} needs about {format_bytes(needed)} of disk for its Arrow cache", next=offer)
    if needed >= _ANNOUNCED:
        say(f"building the Arrow cache of {name}, about {format_bytes(needed)} …")


def _existing_parent(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
