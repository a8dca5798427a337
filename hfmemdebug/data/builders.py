"""Reads through the builders of `datasets`: datasets of the Hub, and local text and Parquet files."""

from __future__ import annotations

import inspect
import logging
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hfmemdebug.data.spec import Reading
from hfmemdebug.errors import InputError

_SPLIT_NAME = re.compile(r"\s*([\w.\-]+)\s*(?:\[|$)")


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silences `datasets` and `huggingface_hub` inside the block.

    Progress bars are drawn where standard error is a terminal. What the libraries log is said by the error that
    follows. A load of ours is not counted as a download of the dataset, for which `datasets` asks another host.
    """
    import datasets
    import huggingface_hub.utils

    # Its names are exported, but not in the way that type checkers ask for.
    hub: Any = huggingface_hub.utils
    loggers = [logging.getLogger(name) for name in ("datasets", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    counted = datasets.config.HF_UPDATE_DOWNLOAD_COUNTS
    drawn = datasets.is_progress_bar_enabled(), not hub.are_progress_bars_disabled()
    datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if not sys.stderr.isatty():
                datasets.disable_progress_bar()
                hub.disable_progress_bars()
            yield
    finally:
        datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = counted
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if drawn[0]:
                datasets.enable_progress_bar()
            if drawn[1]:
                hub.enable_progress_bars()


def files_of(builder: Any) -> dict[str, list[str]]:
    """Returns the files of each split of a builder."""
    return {
        str(split): [str(file) for file in files]
        for split, files in (builder.config.data_files or {}).items()
    }


def is_prepared(builder: Any) -> bool:
    """Tells whether a builder's Arrow files are in the cache already."""
    return Path(builder.cache_dir, "dataset_info.json").is_file()


def read_split(builder: Any, split: str, reading: Reading) -> Any:
    """Downloads and builds what is not in the cache yet, and opens a split or a slice of one.

    Args:
        builder: A `datasets.DatasetBuilder`.
        split: As `choose_split` gives it.
        reading: How its rows are to be read; a stream needs no cache.
    """
    if reading.streaming:
        return builder.as_streaming_dataset(split=split)
    # Versions before 2.20 ask a second host for files that are long gone, unless told not to.
    old = "try_from_hf_gcs" in inspect.signature(builder.download_and_prepare).parameters
    builder.download_and_prepare(**({"try_from_hf_gcs": False} if old else {}))
    return builder.as_dataset(split=split, in_memory=reading.keep_in_memory)


def choose_split(
    wanted: str | None, splits: Sequence[str], *, name: str, streaming: bool = False, ask: bool = False
) -> str:
    """Chooses the split: the one asked for, the only one, or ``train``. Costs no download.

    Args:
        wanted: A split, a slice of one or a sum of such, or None.
        splits: The splits that there are; empty where that cannot be known.
        name: The dataset as it is shown.
        streaming: A stream shall be made of it.
        ask: Take no default where there are several.

    Raises:
        InputError: There is no such split, the user has to choose, or a stream cannot be a slice.
    """
    if wanted is None:
        if len(splits) == 1:
            return splits[0]
        if not splits or ("train" in splits and not ask):
            return "train"
        raise InputError(f"{name} has several splits", next=f"Choose one with --split: {listed(splits)}.")
    check_slice(wanted)
    for base in base_splits(wanted):
        if splits and base not in (*splits, "all"):
            raise InputError(f"{name} has no split '{base}'", next=f"It has: {listed(splits)}.")
    if streaming and ("[" in wanted or "+" in wanted):
        raise InputError(
            f"a stream has no slices: --split '{wanted}'",
            next="Give the whole split with --streaming, or the slice without it.",
        )
    return wanted


def check_slice(split: str) -> None:
    """Checks a split or a slice of one, such as ``train[:10%]+test``.

    Raises:
        InputError: It is neither.
    """
    from datasets import ReadInstruction

    try:
        if not all(map(_SPLIT_NAME.match, split.split("+"))):
            raise ValueError
        ReadInstruction.from_spec(split)
    except (ValueError, AssertionError):
        raise InputError(
            f"'{split}' is not a split or a slice of one",
            next="Write train, train[:1000], train[10%:20%] or train+test.",
        ) from None


def base_splits(split: str) -> list[str]:
    """Returns the names in a split expression: ``train`` and ``test`` of ``train[:10%]+test``."""
    return [part.split("[")[0].strip() for part in split.split("+")]


def listed(names: Sequence[str], *, most: int = 20) -> str:
    """Returns names in a row, the first few of them where there are many."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
