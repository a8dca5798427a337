"""Datasets on this machine: `save_to_disk` folders, Arrow, Parquet, JSON and CSV files.

Parquet, JSON and CSV go through the builders of `datasets`, as a user's own `load_dataset` would have it, and so
into its cache of Arrow files; Arrow files are mapped where they are.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from glob import escape, has_magic
from pathlib import Path
from typing import Any

from hfmemdebug.data.arrow_files import map_arrow_files, stream_end_notes
from hfmemdebug.data.builders import (
    base_splits,
    check_slice,
    choose_split,
    files_of,
    is_prepared,
    listed,
    read_split,
)
from hfmemdebug.data.explain import explained
from hfmemdebug.data.local_files import (
    ARROW,
    CSV,
    JSON,
    KIND_OF_SUFFIX,
    LOADABLE,
    PARQUET,
    data_files_below,
    expand_globs,
    kind_of_files,
    shown,
    suffix_of,
)
from hfmemdebug.data.spec import DatasetSpec, Reading, describe_dataset
from hfmemdebug.errors import InputError, UsageError
from hfmemdebug.recording.header import LoadReport
from hfmemdebug.units import format_bytes

_BUILDER_OF_KIND = {PARQUET: "parquet", JSON: "json", CSV: "csv"}
# A build of less is over before a person wonders what takes so long.
ANNOUNCED_BYTES = 64 * 1024**2
_SAVED_DICT = "dataset_dict.json"
_SHARD = re.compile(r"data-\d{5}-of-\d{5}\.arrow|dataset\.arrow")


def load_local(spec: DatasetSpec, reading: Reading) -> tuple[Any, LoadReport]:
    """Loads a dataset from the files of this machine.

    Args:
        spec: The dataset; `spec.dataset` is an existing path or a glob.
        reading: How its rows are to be read.

    Raises:
        InputError: The data, or the choice among them, are wrong.
        UsageError: An option means nothing for local data.
        Exception: What the libraries raise, for `load` to explain.
    """
    if spec.revision is not None:
        raise UsageError(
            "--revision chooses on the Hub, and this dataset is on this machine", next="Leave it out."
        )
    path = Path(spec.dataset).expanduser()
    if spec.data_files and not path.is_dir():
        raise UsageError("--data-files chooses among a folder's files", next="Name the files themselves.")
    if spec.split is not None:
        check_slice(spec.split)
    if spec.data_files or not path.is_dir():
        patterns, folder = (spec.data_files, str(path)) if spec.data_files else ([spec.dataset], "")
        files = expand_globs(patterns, folder=folder)
        kind = kind_of_files(files)
        if kind == ARROW:
            return _load_arrow(spec, {"train": files}, reading)
        builder = _open_files(spec, files, kind)
    elif _is_saved_folder(path):
        return _load_saved(spec, path, reading)
    else:
        files = data_files_below(str(path))
        if not files:
            raise InputError(f"{spec.dataset} is a folder with nothing to load", next=f"Name {LOADABLE}.")
        if any(KIND_OF_SUFFIX[suffix_of(file)] == ARROW for file in files):
            splits = _arrow_splits(path, [file for file in files if suffix_of(file) != ".json"])
            return _load_arrow(spec, splits, reading)
        builder = _open_folder(spec, path)
    return _build(spec, builder, reading)


def _open_files(spec: DatasetSpec, files: Sequence[str], kind: str) -> Any:
    """Opens a builder over files, with the one split ``train``."""
    from datasets import load_dataset_builder

    _refuse_config(spec, "a file")
    options = {"sep": "\t"} if suffix_of(files[0]) == ".tsv" else {}
    literal = [escape(file) if has_magic(file) else file for file in files]
    with explained(spec, files=files):
        builder = load_dataset_builder(_BUILDER_OF_KIND[kind], data_files={"train": literal}, **options)
    if len(files_of(builder).get("train", ())) < len(files):
        # datasets 2.14 with the fsspec of its time takes no escaped name either.
        odd = next((file for file in files if has_magic(file)), files[0])
        raise InputError(f"{shown(odd)} cannot be read under this name", next="Rename it without [ ] * ?.")
    return builder


def _open_folder(spec: DatasetSpec, path: Path) -> Any:
    """Opens a builder over a folder, with the splits and configurations of its file names and README."""
    from datasets import load_dataset_builder

    # Versions of `datasets` before 3 would run it.
    if (path / f"{path.resolve().name}.py").is_file():
        raise InputError(
            f"{spec.dataset} holds a dataset script, which is not run",
            next="Choose its files with --data-files.",
        )
    return load_dataset_builder(str(path.resolve()), spec.config)


def _build(spec: DatasetSpec, builder: Any, reading: Reading) -> tuple[Any, LoadReport]:
    """Reads a split of a builder, and builds its Arrow cache before where it is not there."""
    splits = files_of(builder)
    split = choose_split(spec.split, list(splits), name=spec.dataset, streaming=reading.streaming)
    files = [file for each in splits.values() for file in each]
    prepared = None if reading.streaming else is_prepared(builder)
    size = sum(Path(file).stat().st_size for file in files)
    if prepared is False and size >= ANNOUNCED_BYTES:
        reading.say(f"building the Arrow cache of {spec.dataset} from {format_bytes(size)} …")
    with explained(spec, files=files):
        dataset = read_split(builder, split, reading)
    source = KIND_OF_SUFFIX.get(suffix_of(files[0])) or kind_of_files(files)
    read = [file for base in base_splits(split) for file in splits.get(base, files)]
    return dataset, describe_dataset(dataset, source, spec.dataset, split, files=read, from_cache=prepared)


def _is_saved_folder(folder: Path) -> bool:
    """Tells whether `save_to_disk` wrote a folder, complete or not."""
    names = [entry.name for entry in folder.iterdir()]
    return "state.json" in names or _SAVED_DICT in names or any(map(_SHARD.fullmatch, names))


def _load_saved(spec: DatasetSpec, folder: Path, reading: Reading) -> tuple[Any, LoadReport]:
    """Loads a folder that `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote."""
    from datasets import load_from_disk

    _refuse_config(spec, "a save_to_disk folder")
    chosen = None
    if (folder / _SAVED_DICT).exists():
        # Not by `load_from_disk`, which would read each split into memory.
        splits = json.loads((folder / _SAVED_DICT).read_text(encoding="utf-8")).get("splits", ())
        chosen = choose_split(spec.split, splits, name=spec.dataset, ask=True)
        folder = folder / base_splits(chosen)[0]
    dataset = load_from_disk(str(folder), keep_in_memory=reading.keep_in_memory)
    own = str(dataset.split) if dataset.split else None
    if chosen is None and spec.split is not None:
        chosen = choose_split(spec.split, sorted({own or folder.name, "train"}), name=spec.dataset)
    files = [file["filename"] for file in dataset.cache_files] or sorted(map(str, folder.glob("*.arrow")))
    notes, source = stream_end_notes(files), "save_to_disk folder"
    dataset = _slice(dataset, spec.split, reading)
    return dataset, describe_dataset(dataset, source, spec.dataset, chosen or own, files=files, notes=notes)


def _load_arrow(spec: DatasetSpec, splits: dict[str, list[str]], reading: Reading) -> tuple[Any, LoadReport]:
    """Maps the Arrow files of a split."""
    _refuse_config(spec, "a set of Arrow files")
    split = choose_split(spec.split, list(splits), name=spec.dataset)
    files = splits[base_splits(split)[0]]
    kind_of_files(files)
    dataset, source, notes = map_arrow_files(files, spec, keep_in_memory=reading.keep_in_memory)
    dataset = _slice(dataset, spec.split, reading)
    return dataset, describe_dataset(dataset, source, spec.dataset, split, files=files, notes=notes)


def _arrow_splits(folder: Path, files: Sequence[str]) -> dict[str, list[str]]:
    """Finds the Arrow files of each split: a cache folder names them ``NAME-SPLIT[-00000-of-00002].arrow``.

    What `Dataset.map` left beside them (``cache-….arrow``) is no part of the dataset.
    """
    own = [file for file in files if not Path(file).name.startswith("cache-")]
    known: dict[str, Any] = {}
    with suppress(OSError, ValueError, AttributeError):
        known = json.loads((folder / "dataset_info.json").read_text(encoding="utf-8")).get("splits") or {}
    splits = defaultdict(list)
    for split in known:
        pattern = re.compile(rf".*-{re.escape(split)}(-\d{{5}}-of-\d{{5}})?\.arrow")
        splits[split] = [file for file in own if pattern.fullmatch(Path(file).name)]
    return {split: found for split, found in splits.items() if found} or {"train": own or list(files)}


def _slice(dataset: Any, split: str | None, reading: Reading) -> Any:
    """Takes what a slice such as ``train[:10%]`` stands for, and makes a stream where one was asked for."""
    import datasets

    if split is not None and "[" in split:
        rows = {base_splits(split)[0]: dataset.num_rows}
        part = datasets.ReadInstruction.from_spec(split).to_absolute(rows)[0]
        # Consecutive rows: `select` then takes a part of the table and makes no list of indices.
        end = dataset.num_rows if part.to is None else part.to
        dataset = dataset.select(range(part.from_ or 0, end))
    return dataset.to_iterable_dataset() if reading.streaming else dataset


def _refuse_config(spec: DatasetSpec, what: str) -> None:
    if spec.config is not None:
        raise UsageError(f"'{spec.config}' is too much: {what} has no configurations", next="Leave it out.")
    if spec.split is not None and "+" in spec.split:
        raise UsageError(
            f"'{spec.split}' adds splits", next=f"Name one split: {listed(base_splits(spec.split))}."
        )
