"""Loads any dataset that a command line can name, from this machine or from the Hub, in the format that is wanted."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from glob import has_magic
from pathlib import Path
from typing import Any

from hfmemdebug.data.arrays import is_array, load_array
from hfmemdebug.data.builders import quiet_libraries
from hfmemdebug.data.explain import explained
from hfmemdebug.data.iterables import load_iterable
from hfmemdebug.data.local_files import exists, looks_like_path, missing_path
from hfmemdebug.data.spec import DatasetSpec, Reading
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
    reading = Reading(keep_in_memory, streaming, say)
    if is_iterable(spec):
        return load_iterable(spec, reading)
    with explained(spec):
        if is_array(spec):
            _check_one_file(spec)
            return load_array(spec, reading)
        # A wrong format is told at once, not after the build.
        check_format(spec.format, streaming=streaming)
        with quiet_libraries():
            dataset, report = _dispatch(spec, reading)
        if report.rows == 0:
            raise InputError(f"{spec.dataset} has no rows", next="There is nothing to iterate over.")
        if not spec.decode:
            dataset = without_decoding(dataset)
        return dataset if spec.format is None else dataset.with_format(spec.format), report


def is_iterable(spec: DatasetSpec) -> bool:
    """Tells whether a name means an iterable of the user's: ``FILE.py:FUNC`` or ``MODULE:FUNC``."""
    return is_target(spec.dataset) and not exists(spec.dataset)


def _check_one_file(spec: DatasetSpec) -> None:
    if exists(str(Path(spec.dataset).expanduser())):
        return
    if has_magic(spec.dataset):
        raise UsageError(f"{spec.dataset}: an array is one file, not a glob", next="Name the file.")
    raise missing_path(spec.dataset)


def _dispatch(spec: DatasetSpec, reading: Reading) -> tuple[Any, LoadReport]:
    from hfmemdebug.data.local import load_local

    path = str(Path(spec.dataset).expanduser())
    here = exists(path)
    if not here and not looks_like_path(spec.dataset):
        from hfmemdebug.data.hub import load_from_hub

        return load_from_hub(spec, reading)
    if not here and ("://" in spec.dataset or not has_magic(spec.dataset)):
        raise missing_path(spec.dataset)
    if not here or looks_like_path(spec.dataset):
        return load_local(spec, reading)

    what = "folder" if Path(path).is_dir() else "file"
    note = f"the {what} ./{spec.dataset} was taken, not the Hub's {spec.dataset}"
    try:
        dataset, report = load_local(spec, reading)
    except InputError as error:
        raise InputError(f"{error.message} ({note})", next=error.next) from error
    reading.say(note)
    return dataset, report


def check_format(name: str | None, *, streaming: bool = False) -> None:
    """Checks a name for `Dataset.with_format` before anything is loaded.

    Args:
        name: The format, or None.
        streaming: Whether it is an `IterableDataset` that shall have it.

    Raises:
        UsageError: There is no such format, or not for a stream.
        InputError: The package that it needs is not installed.
    """
    if name is None:
        return
    from datasets import formatting

    # The library's own tables are private, and its error lists None and functions for people to pick from.
    missing = formatting._FORMAT_TYPES_ALIASES_UNAVAILABLE
    known = {alias for alias in formatting._FORMAT_TYPES_ALIASES if alias and alias != "custom"}
    if name in missing:
        raise InputError(f"--format {name} cannot be used: {missing[name]}")
    if name not in known:
        raise UsageError(f"there is no format '{name}'", next=f"Known: {', '.join(sorted(known))}.")
    if streaming and not _streams(name):
        raise UsageError(
            f"this version of datasets cannot stream in the format '{name}'",
            next="Leave --streaming or --format out.",
        )


def _streams(name: str) -> bool:
    """Tells whether a stream can have a format: versions differ, and say so only at the first row."""
    import datasets

    def one_row() -> Iterator[dict[str, int]]:
        yield {"a": 1}

    try:
        next(iter(datasets.IterableDataset.from_generator(one_row).with_format(name)))
    except NotImplementedError:
        return False
    return True


def without_decoding(dataset: Any) -> Any:
    """Returns the dataset with its images and audio left as bytes, nested ones too; no data are copied."""
    features = dataset.features
    if not features:
        return dataset
    import datasets

    undecoded = datasets.Features(
        {column: _mapped(feature, _undecoded) for column, feature in features.items()}
    )
    if undecoded == features:
        return dataset
    if isinstance(dataset, datasets.IterableDataset):
        return dataset.cast(undecoded)
    # What `cast_column` does for an image column. For a nested one it would write the whole dataset anew,
    # though only the decoding changes and not a byte of the data.
    result = copy.deepcopy(dataset)
    result._info.features = undecoded
    result._fingerprint = f"{dataset._fingerprint}-undecoded"
    return result


def _undecoded(feature: Any) -> Any:
    if not getattr(feature, "decode", False):
        return feature
    changed = copy.copy(feature)
    changed.decode = False
    return changed


def _mapped(feature: Any, change: Callable[[Any], Any]) -> Any:
    """Returns a feature with `change` applied to each of its leaves."""
    if isinstance(feature, dict):
        return {key: _mapped(value, change) for key, value in feature.items()}
    if isinstance(feature, (list, tuple)):
        return [_mapped(value, change) for value in feature]
    inner = getattr(feature, "feature", None)
    if inner is not None:
        changed = copy.copy(feature)
        changed.feature = _mapped(inner, change)
        return changed
    return change(feature)
