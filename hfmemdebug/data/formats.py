"""Output formats and decoders: what `with_format`, images and audio need, and what is installed of it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

from hfmemdebug.errors import InputError, UsageError

_PACKAGE_OF_FORMAT = {
    "torch": "torch",
    "pt": "torch",
    "pytorch": "torch",
    "tensorflow": "tensorflow",
    "tf": "tensorflow",
    "jax": "jax",
    "polars": "polars",
    "pl": "polars",
    "pandas": "pandas",
    "pd": "pandas",
}
# Module to look for and package to install, for each feature type that is decoded on access.
_DECODERS = {
    "Image": (("PIL", "pillow"),),
    "Audio": (("torchcodec", "torchcodec"), ("torch", "torch")),
    "Video": (("torchcodec", "torchcodec"), ("torch", "torch")),
    "Pdf": (("pdfplumber", "pdfplumber"),),
    "Nifti": (("nibabel", "nibabel"),),
    "Mesh": (("trimesh", "trimesh"),),
}
# Before torchcodec came in with datasets 4.
_OLD_DECODERS = {**_DECODERS, "Audio": (("librosa", "librosa"), ("soundfile", "soundfile"))}


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
    known = {alias for alias in formatting._FORMAT_TYPES_ALIASES if alias and alias != "custom"}
    missing = set(formatting._FORMAT_TYPES_ALIASES_UNAVAILABLE)
    if name not in known | missing:
        raise UsageError(f"there is no format '{name}'", next=f"Known: {', '.join(sorted(known | missing))}.")
    package = _PACKAGE_OF_FORMAT.get(name)
    if package is not None and (name in missing or find_spec(package) is None):
        raise InputError(
            f"--format {name} needs {package}, which is not installed", next=f"pip install {package}"
        )
    if streaming and not _streams(name):
        raise UsageError(
            f"this version of datasets cannot stream in the format '{name}'",
            next="Leave --streaming or --format out.",
        )


def _streams(name: str) -> bool:
    """Whether a stream can have a format: versions differ, and say so only at the first row."""
    import datasets

    def one_row() -> Iterator[dict[str, int]]:
        yield {"a": 1}

    try:
        next(iter(datasets.IterableDataset.from_generator(one_row).with_format(name)))
    except NotImplementedError:
        return False
    return True


def decodes(format_name: str | None) -> bool:
    """Whether images and audio are decoded in a format: Arrow tables keep their bytes."""
    return format_name not in ("arrow", "pa", "pyarrow")


def check_decoders(dataset: Any, name: str) -> None:
    """Checks that what decodes a dataset's images and audio is installed.

    Raises:
        InputError: It is not.
    """
    decoders = _OLD_DECODERS if _is_old() else _DECODERS
    for column, feature in (dataset.features or {}).items():
        for part in _parts(feature):
            kind = type(part).__name__
            missing = [package for module, package in decoders.get(kind, ()) if find_spec(module) is None]
            if missing and getattr(part, "decode", False):
                raise InputError(
                    f"the column '{column}' of {name} holds {kind} data, and its decoder is not installed",
                    next=f"pip install {' '.join(missing)}, or use --no-decode to leave the bytes.",
                )


def without_decoding(dataset: Any) -> Any:
    """The dataset with its images and audio left as bytes, nested ones too; no data are copied.

    Raises:
        InputError: A package is missing that the stream needs even so.
    """
    features = dataset.features
    if not features:
        return dataset
    undecoded = {column: _mapped(feature, _undecoded) for column, feature in features.items()}
    if undecoded == dict(features):
        return dataset
    import datasets

    new = datasets.Features(undecoded)
    if isinstance(dataset, datasets.IterableDataset):
        holds_image = any(type(part).__name__ == "Image" for part in _parts(undecoded))
        if _is_old() and holds_image and find_spec("PIL") is None:
            raise InputError(
                "this version of datasets streams images only with pillow, decoded or not",
                next="pip install pillow",
            )
        return dataset.cast(new)
    # What `cast_column` does for an image column. For a nested one it would write the whole dataset anew,
    # though only the decoding changes and not a byte of the data.
    result = copy.deepcopy(dataset)
    result._info.features = new
    result._fingerprint = f"{dataset._fingerprint}-undecoded"
    return result


def _is_old() -> bool:
    """Whether this is a `datasets` from before torchcodec (before 4.0)."""
    from datasets import config

    return not hasattr(config, "TORCHCODEC_AVAILABLE")


def _undecoded(feature: Any) -> Any:
    if type(feature).__name__ not in _DECODERS or not getattr(feature, "decode", False):
        return feature
    changed = copy.copy(feature)
    changed.decode = False
    return changed


def _parts(feature: Any) -> Iterator[Any]:
    found: list[Any] = []

    def keep(part: Any) -> Any:
        found.append(part)
        return part

    _mapped(feature, keep)
    yield from found


def _mapped(feature: Any, change: Callable[[Any], Any]) -> Any:
    """A feature with `change` applied to each of its leaves."""
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
