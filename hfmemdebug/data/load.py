"""Loads any dataset that a command line can name, from this machine or from the Hub."""

from __future__ import annotations

from collections.abc import Callable
from glob import has_magic
from pathlib import Path
from typing import Any

from hfmemdebug.data.arrays import is_array, load_array
from hfmemdebug.data.builders import quiet_libraries
from hfmemdebug.data.explain import explained
from hfmemdebug.data.formats import check_format, without_decoding
from hfmemdebug.data.iterables import load_iterable
from hfmemdebug.data.local_files import looks_like_path, missing_path, status_of
from hfmemdebug.data.spec import DatasetSpec
from hfmemdebug.errors import InputError, UsageError
from hfmemdebug.recording.header import LoadReport
from hfmemdebug.user_code import is_target


def load(
    spec: DatasetSpec,
    *,
    keep_in_memory: bool = False,
    streaming: bool = False,
    say: Callable[[str], None],
) -> tuple[Any, LoadReport]:
    """Loads a dataset, an array or an iterable and says what was really loaded.

    Args:
        spec: The dataset as the command line names it.
        keep_in_memory: Read the rows into memory instead of mapping their files.
        streaming: Give an `IterableDataset`, which is read as it is iterated.
        say: Called with a line for people before something that takes long.

    Returns:
        A `datasets.Dataset` (an `IterableDataset` when streaming), `Rows` of an array or the `Items` of an
        iterable, and what was loaded.

    Raises:
        InputError: The name, the split, the format or the data are wrong.
        UsageError: An option means nothing for this dataset.
        NetworkError: The Hub could not be reached.
        DiskError: The disk has no room for what would be built.
        AccessError: A file may not be read, or the Hub does not permit it.
    """
    if not spec.dataset:
        raise InputError(
            "the name of the dataset is empty", next="Name a folder, a file, or a dataset on the Hub."
        )
    if is_iterable(spec):
        return load_iterable(spec, keep_in_memory=keep_in_memory, streaming=streaming)
    if is_array(spec):
        _check_one_file(spec)
        return load_array(spec, keep_in_memory=keep_in_memory, streaming=streaming)
    # A wrong format is told at once, not after the build.
    check_format(spec.format, streaming=streaming)
    with quiet_libraries():
        dataset, report = _dispatch(spec, keep_in_memory=keep_in_memory, streaming=streaming, say=say)
    if report.rows == 0:
        raise InputError(f"{spec.dataset} has no rows", next="There is nothing to iterate over.")
    if not spec.decode:
        with explained(spec):
            dataset = without_decoding(dataset)
    if spec.format is not None:
        dataset = dataset.with_format(spec.format)
    return dataset, report


def is_iterable(spec: DatasetSpec) -> bool:
    """Tells whether a name means an iterable of the user's: ``FILE.py:FUNC`` or ``MODULE:FUNC``."""
    return is_target(spec.dataset) and status_of(spec.dataset) is None


def _check_one_file(spec: DatasetSpec) -> None:
    if status_of(str(Path(spec.dataset).expanduser())) is not None:
        return
    if has_magic(spec.dataset):
        raise UsageError(f"{spec.dataset}: an array is one file, not a glob", next="Name the file.")
    raise missing_path(spec.dataset)


def _dispatch(
    spec: DatasetSpec, *, keep_in_memory: bool, streaming: bool, say: Callable[[str], None]
) -> tuple[Any, LoadReport]:
    from hfmemdebug.data.local import load_local

    path = str(Path(spec.dataset).expanduser())
    here = status_of(path) is not None
    if not here and not looks_like_path(spec.dataset):
        from hfmemdebug.data.hub import load_from_hub

        return load_from_hub(spec, keep_in_memory=keep_in_memory, streaming=streaming, say=say)
    if not here and ("://" in spec.dataset or not has_magic(spec.dataset)):
        raise missing_path(spec.dataset)
    if not here or looks_like_path(spec.dataset):
        return load_local(spec, keep_in_memory=keep_in_memory, streaming=streaming, say=say)

    what = "folder" if Path(path).is_dir() else "file"
    note = f"the {what} ./{spec.dataset} was taken, not the Hub's {spec.dataset}"
    try:
        dataset, report = load_local(spec, keep_in_memory=keep_in_memory, streaming=streaming, say=say)
    except InputError as error:
        raise InputError(f"{error.message} ({note})", next=error.next) from error
    say(note)
    return dataset, report
