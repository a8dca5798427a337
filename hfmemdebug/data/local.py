"""Datasets on this machine: `save_to_disk` folders, Arrow, Parquet, JSON and CSV files."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hfmemdebug.data.loaded import describe_dataset
from hfmemdebug.data.local_arrow import load_arrow
from hfmemdebug.data.local_broken import explain, no_rows
from hfmemdebug.data.local_build import (
    files_of,
    open_builder,
    open_folder_builder,
    quiet_datasets,
    read_builder,
)
from hfmemdebug.data.local_files import (
    ARROW,
    KIND_OF_SUFFIX,
    LOADABLE,
    data_files_below,
    expand_globs,
    kind_of_files,
    not_permitted,
    suffix_of,
)
from hfmemdebug.data.local_folder import base_splits, choose_split, is_saved_folder, load_saved_folder
from hfmemdebug.data.spec import DatasetSpec
from hfmemdebug.errors import HfmemdebugError, InputError, UsageError
from hfmemdebug.probes.mounts import describe_files
from hfmemdebug.recording.header import LoadReport


def load_local(
    spec: DatasetSpec, *, keep_in_memory: bool, streaming: bool, say: Callable[[str], None]
) -> tuple[Any, LoadReport]:
    """Loads a dataset from the files of this machine; arguments and errors are those of `load`.

    Args:
        spec: The dataset; `spec.dataset` is an existing path or a glob.
        keep_in_memory: Read the rows into memory instead of mapping their files.
        streaming: Give an `IterableDataset`.
        say: Called with a line for people before something that takes long.

    Raises:
        InputError: The data, or the choice among them, are wrong.
        UsageError: An option means nothing for local data.
        DiskError: The cache has no room for what would be built.
        AccessError: A file may not be read.
    """
    if spec.revision is not None:
        raise UsageError(
            "--revision chooses on the Hub, and this dataset is on this machine", next="Leave it out."
        )
    path = Path(spec.dataset).expanduser()
    _check_slice(spec.split)
    with quiet_datasets(say):
        if not path.is_dir():
            if spec.data_files:
                raise UsageError(
                    "--data-files chooses among a folder's files", next="Name the files themselves."
                )
            files = expand_globs([spec.dataset])
            return _load_files(spec, files, keep_in_memory=keep_in_memory, streaming=streaming, say=say)
        if spec.data_files:
            files = expand_globs(spec.data_files, folder=str(path))
            return _load_files(spec, files, keep_in_memory=keep_in_memory, streaming=streaming, say=say)
        try:
            saved = is_saved_folder(path)
        except PermissionError:
            raise not_permitted(path) from None
        if saved:
            _refuse_config(spec, "a save_to_disk folder")
            split = _single_base(spec.split)
            dataset, own_split, files, notes = load_saved_folder(
                path, split, name=spec.dataset, keep_in_memory=keep_in_memory
            )
            dataset = _slice(dataset, spec.split)
            return _finish(
                spec,
                dataset,
                "save_to_disk folder",
                spec.split or own_split,
                files,
                notes,
                streaming=streaming,
            )
        return _load_folder(spec, path, keep_in_memory=keep_in_memory, streaming=streaming, say=say)


def explain_read_error(error: Exception, spec: DatasetSpec) -> HfmemdebugError | None:
    """Why iterating over a local dataset failed: a stream meets a broken line only when it comes to it.

    Args:
        error: What the iteration raised.
        spec: The dataset that was loaded with `load`.

    Returns:
        The error in one line, or None where the files are not to blame.
    """
    path = Path(spec.dataset).expanduser()
    try:
        files = data_files_below(str(path)) if path.is_dir() else expand_globs([spec.dataset])
        kind = kind_of_files(files) if files else ARROW
    except HfmemdebugError:
        return None
    if kind == ARROW:
        return None
    return explain(error, name=spec.dataset, kind=kind, files=files)


def _load_files(
    spec: DatasetSpec,
    files: Sequence[str],
    *,
    keep_in_memory: bool,
    streaming: bool,
    say: Callable[[str], None],
) -> tuple[Any, LoadReport]:
    _refuse_config(spec, "a file")
    kind = kind_of_files(files)
    split = choose_split(spec.split, ["train"], name=spec.dataset)
    if kind == ARROW:
        dataset, source, notes = load_arrow(files, keep_in_memory=keep_in_memory)
        return _finish(spec, _slice(dataset, spec.split), source, split, files, notes, streaming=streaming)
    builder = open_builder(files, kind, name=spec.dataset)
    return _read(spec, builder, split, kind, keep_in_memory=keep_in_memory, streaming=streaming, say=say)


def _load_folder(
    spec: DatasetSpec, path: Path, *, keep_in_memory: bool, streaming: bool, say: Callable[[str], None]
) -> tuple[Any, LoadReport]:
    files = data_files_below(str(path))
    kinds = Counter(KIND_OF_SUFFIX[suffix_of(file)] for file in files)
    if not kinds:
        raise InputError(f"{spec.dataset} is a folder with nothing to load", next=f"Name {LOADABLE}.")
    if (path / f"{path.resolve().name}.py").is_file():
        raise InputError(
            f"{spec.dataset} holds a dataset script, which is not run",
            next="Choose its files with --data-files.",
        )
    if kinds[ARROW]:
        _refuse_config(spec, "a folder of Arrow files")
        splits = _arrow_splits(path, [file for file in files if suffix_of(file) != ".json"])
        split = choose_split(_single_base(spec.split), list(splits), name=spec.dataset)
        kind_of_files(splits[split])
        dataset, source, notes = load_arrow(splits[split], keep_in_memory=keep_in_memory)
        return _finish(
            spec,
            _slice(dataset, spec.split),
            source,
            spec.split or split,
            splits[split],
            notes,
            streaming=streaming,
        )
    kind = kinds.most_common(1)[0][0]
    kind_files = [file for file in files if KIND_OF_SUFFIX[suffix_of(file)] == kind]
    builder = open_folder_builder(str(path), kind_files, kind, name=spec.dataset, config=spec.config)
    split = choose_split(spec.split, list(files_of(builder)), name=spec.dataset)
    return _read(spec, builder, split, kind, keep_in_memory=keep_in_memory, streaming=streaming, say=say)


def _read(
    spec: DatasetSpec,
    builder: Any,
    split: str,
    kind: str,
    *,
    keep_in_memory: bool,
    streaming: bool,
    say: Callable[[str], None],
) -> tuple[Any, LoadReport]:
    dataset, from_cache = read_builder(
        builder,
        split,
        kind=kind,
        name=spec.dataset,
        keep_in_memory=keep_in_memory,
        streaming=streaming,
        yes=spec.yes,
        say=say,
    )
    report = describe_dataset(dataset, source=kind, name=spec.dataset, split=split, from_cache=from_cache)
    if not report.files:
        bases = base_splits(split)
        files = [file for base, listed in files_of(builder).items() if base in bases for file in listed]
        report = replace(report, files=describe_files(files))
    return dataset, report


def _finish(
    spec: DatasetSpec,
    dataset: Any,
    source: str,
    split: str | None,
    files: Sequence[str],
    notes: Sequence[str],
    *,
    streaming: bool,
) -> tuple[Any, LoadReport]:
    if dataset.num_rows == 0:
        raise no_rows(spec.dataset)
    if streaming:
        dataset = dataset.to_iterable_dataset()
    report = describe_dataset(
        dataset, source=source, name=spec.dataset, split=split, from_cache=None, notes=notes
    )
    return dataset, report if report.files else replace(report, files=describe_files(files))


def _arrow_splits(folder: Path, files: Sequence[str]) -> dict[str, list[str]]:
    """The Arrow files of each split: a cache folder names them ``NAME-SPLIT[-00000-of-00002].arrow``.

    What `Dataset.map` left beside them (``cache-….arrow``) is no part of the dataset.
    """
    own = [file for file in files if not Path(file).name.startswith("cache-")]
    try:
        known = json.loads((folder / "dataset_info.json").read_text(encoding="utf-8")).get("splits") or {}
    except (OSError, ValueError, AttributeError):
        known = {}
    splits = {
        str(split): [
            file for file in own if re.search(rf"-{re.escape(split)}(-\d{{5}}-of-\d{{5}})?$", Path(file).stem)
        ]
        for split in known
    }
    return {split: listed for split, listed in splits.items() if listed} or {"train": own or list(files)}


def _single_base(split: str | None) -> str | None:
    if split is None:
        return None
    bases = base_splits(split)
    if len(bases) > 1:
        raise UsageError(f"'{split}' adds splits", next="Name one split of this dataset.")
    return bases[0]


def _check_slice(split: str | None) -> None:
    if split is None or "[" not in split:
        return
    import datasets

    try:
        datasets.ReadInstruction.from_spec(split)
    except (ValueError, AssertionError) as error:
        raise InputError(
            f"'{split}' is no slice of a split", next="Write train[:1000] or train[:10%]."
        ) from error


def _slice(dataset: Any, split: str | None) -> Any:
    """Takes what a slice such as ``train[:10%]`` stands for."""
    if split is None or "[" not in split:
        return dataset
    import datasets

    rows = {base_splits(split)[0]: dataset.num_rows}
    try:
        part = datasets.ReadInstruction.from_spec(split).to_absolute(rows)[0]
    except ValueError as error:
        raise InputError(f"'{split}' is outside of the {dataset.num_rows} rows") from error
    # Consecutive rows: `select` then takes a part of the table and makes no list of indices.
    end = dataset.num_rows if part.to is None else part.to
    return dataset.select(range(part.from_ or 0, end))


def _refuse_config(spec: DatasetSpec, what: str) -> None:
    if spec.config is not None:
        raise UsageError(f"'{spec.config}' is too much: {what} has no configurations", next="Leave it out.")
