"""A dataset as it is asked for, and as it was really loaded: plain values that pass between processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from hfmemdebug.probes.mounts import describe_files
from hfmemdebug.recording.header import LoadReport

MAPPED = "memory-mapped"
IN_MEMORY = "in memory"
MIXED = "mixed"
STREAMING = "streaming"


@dataclass(frozen=True)
class DatasetSpec:
    """A dataset as the command line names it.

    Attributes:
        dataset: A `save_to_disk` folder, an Arrow, Parquet, JSON or CSV file or glob, a ``.npy`` file, a
            file of raw numbers, ``FILE.py:FUNC`` or ``MODULE:FUNC``, or a name on the Hub.
        config: The configuration of a dataset on the Hub.
        split: The split; None means `train` where there is one.
        revision: A branch, tag or commit on the Hub.
        data_files: Globs that choose among a Hub repository's or a folder's files.
        token: A Hub token. Never recorded and never printed.
        format: A name for `Dataset.with_format`, or None for Python objects.
        decode: Whether images and audio are decoded, as a program's own loop would.
        yes: The user agreed to a large download.
        dtype: Of a file of raw numbers, what it holds (``float32``).
        shape: Of the same, its shape; the first axis may be -1.
    """

    dataset: str
    config: str | None = None
    split: str | None = None
    revision: str | None = None
    data_files: tuple[str, ...] = ()
    token: str | None = field(default=None, repr=False)
    format: str | None = None
    decode: bool = True
    yes: bool = False
    dtype: str | None = None
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Reading:
    """How the rows are to be read.

    Attributes:
        keep_in_memory: Into memory, instead of mapping their files.
        streaming: As an `IterableDataset`, as they are iterated.
        say: Called with a line for people before something that takes long.
    """

    keep_in_memory: bool
    streaming: bool
    say: Callable[[str], None]


def describe_dataset(
    dataset: Any,
    source: str,
    name: str,
    split: str | None,
    *,
    files: Sequence[str] = (),
    from_cache: bool | None = None,
    notes: Sequence[str] = (),
    private: bool | None = None,
) -> LoadReport:
    """Describes a loaded `Dataset` or `IterableDataset` without reading its rows.

    Args:
        dataset: What was loaded.
        source: The kind of thing that the name turned out to be (``Parquet``, ``Hub``, …).
        name: The name after mapping or the path as given.
        split: The split that was taken, or None where there are none.
        files: The files that were read, where the dataset itself maps none.
        from_cache: Whether a prepared cache was used; None where there is no cache in play.
        notes: Lines that the user should read.
        private: Whether the Hub shows it to its owners alone, where that is known.
    """
    import datasets

    told: dict[str, Any] = {"storage": STREAMING}
    mapped: list[str] = []
    if not isinstance(dataset, datasets.IterableDataset):
        arrow = dataset.data.table
        told = {
            "storage": storage_of(dataset.data),
            "rows": dataset.num_rows,
            "record_batches": max((column.num_chunks for column in arrow.columns), default=0),
            # Not nbytes: it reads the offsets of each batch and so pulls pages of a mapped table into memory.
            "data_bytes": arrow.get_total_buffer_size(),
        }
        mapped = [file["filename"] for file in dataset.cache_files]
    return LoadReport(
        source,
        name,
        split,
        columns=tuple(dataset.column_names or ()),
        files=describe_files(dict.fromkeys(mapped or files)),
        from_cache=from_cache,
        notes=tuple(notes),
        private=private,
        **told,
    )


def storage_of(table: Any) -> str:
    """Returns ``memory-mapped``, ``in memory`` or ``mixed``, by the classes of a `datasets.table.Table`'s blocks."""
    from datasets.table import MemoryMappedTable

    mapped = {isinstance(block, MemoryMappedTable) for block in _blocks(table)}
    if mapped == {True}:
        return MAPPED
    return MIXED if True in mapped else IN_MEMORY


def _blocks(table: Any) -> Iterator[Any]:
    from datasets.table import ConcatenationTable

    if not isinstance(table, ConcatenationTable):
        yield table
        return
    for row in table.blocks:
        for block in row:
            yield from _blocks(block)
