"""`save_to_disk` folders."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from hfmemdebug.data.local_arrow import broken_arrow, first_line, stream_end_notes
from hfmemdebug.data.local_broken import no_rows
from hfmemdebug.data.local_files import check_readable, shown
from hfmemdebug.errors import InputError

_STATE = "state.json"
_INFO = "dataset_info.json"
_DICT = "dataset_dict.json"
_SHARD = re.compile(r"data-\d{5}-of-\d{5}\.arrow|dataset\.arrow")


def is_saved_folder(folder: Path) -> bool:
    """Whether `save_to_disk` wrote a folder, complete or not."""
    if (folder / _STATE).exists() or (folder / _DICT).exists():
        return True
    return any(_SHARD.fullmatch(entry.name) for entry in folder.iterdir())


def load_saved_folder(
    folder: Path, split: str | None, *, name: str, keep_in_memory: bool
) -> tuple[Any, str | None, list[str], list[str]]:
    """Loads a folder that `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote.

    Args:
        folder: The folder.
        split: The split asked for, without a slice.
        name: The folder as the user named it.
        keep_in_memory: Read the rows instead of mapping their files.

    Returns:
        The dataset, its split (None where the folder knows none), its files, and notes for the user.

    Raises:
        InputError: The folder holds several splits and none was asked for, lacks a file, or a file is broken.
        AccessError: A file may not be read.
    """
    if (folder / _DICT).exists():
        splits = [str(known) for known in _read_json(folder / _DICT).get("splits", ())]
        folder = folder / choose_split(split, splits, name=name, ask=True)
        if not folder.is_dir():
            raise InputError(
                f"{shown(folder)} is missing, though {_DICT} lists it", next="Save the dataset again."
            )
        split = folder.name
    state = _read_json(folder / _STATE)
    _read_json(folder / _INFO)
    own_split = state.get("_split")
    if not isinstance(state.get("_data_files"), list):
        raise InputError(
            f"{shown(folder / _STATE)} does not list the data files", next="Save the dataset again."
        )
    files = [folder / file["filename"] for file in state["_data_files"]]
    for file in files:
        if not file.exists():
            raise InputError(
                f"{shown(file)} is missing, though {_STATE} lists it",
                next="Copy it there, or save the dataset again.",
            )
        check_readable(str(file))
    if split is not None and split != (own_split or folder.name) and split != "train":
        raise InputError(f"{name} has no split '{split}': it is a single dataset", next="Leave --split out.")
    dataset = _load(folder, files, name=name, keep_in_memory=keep_in_memory)
    return (
        dataset,
        split or own_split,
        [str(file) for file in files],
        stream_end_notes([str(f) for f in files]),
    )


def choose_split(wanted: str | None, splits: list[str], *, name: str, ask: bool = False) -> str:
    """The split to take: the one asked for, the only one, or ``train``.

    Args:
        wanted: What the user asked for; slices are left to the caller.
        splits: The splits that there are.
        name: The dataset as the user named it.
        ask: Take no default where there are several.

    Raises:
        InputError: There is no such split, or the user has to choose.
    """
    if wanted is None:
        if len(splits) == 1:
            return splits[0]
        if "train" in splits and not ask:
            return "train"
        raise InputError(f"{name} has the splits {', '.join(splits)}", next="Choose one with --split.")
    unknown = [base for base in base_splits(wanted) if base not in splits and base != "all"]
    if unknown:
        raise InputError(f"{name} has no split '{unknown[0]}'", next=f"It has: {', '.join(splits)}.")
    return wanted


def base_splits(split: str) -> list[str]:
    """The names in a split expression: ``train`` and ``test`` of ``train[:10%]+test``."""
    return [part.split("[")[0].strip() for part in split.split("+")]


def _load(folder: Path, files: list[Path], *, name: str, keep_in_memory: bool) -> Any:
    import datasets
    import pyarrow as pa

    try:
        return datasets.load_from_disk(str(folder), keep_in_memory=keep_in_memory)
    except MemoryError:
        raise
    except Exception as error:
        rows = 0
        for file in files:
            try:
                with pa.memory_map(str(file)) as source:
                    rows += pa.ipc.open_stream(source).read_all().num_rows
            except (pa.ArrowException, OSError) as broken:
                raise broken_arrow(str(file), broken) from error
        if rows == 0:
            raise no_rows(name) from error
        raise InputError(
            f"{name} could not be loaded: {type(error).__name__}: {first_line(error)}",
            next=f"It may have been saved with another version; this is datasets {datasets.__version__}.",
        ) from error


def _read_json(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise InputError(
            f"{shown(path)} is missing: the folder was not saved completely", next="Save the dataset again."
        )
    check_readable(str(path))
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(
            f"{shown(path)} is no valid JSON: {first_line(error)}", next="Save the dataset again."
        ) from error
    if not isinstance(document, dict):
        raise InputError(f"{shown(path)} is not what save_to_disk writes", next="Save the dataset again.")
    return document
