"""Output formats, and images and audio left as bytes. Whether they are installed, `datasets` says itself."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

from hfmemdebug.errors import InputError, UsageError


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
