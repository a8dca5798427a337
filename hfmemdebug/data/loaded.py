"""What was really loaded: storage, files, record batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hfmemdebug.probes.mounts import describe_files
from hfmemdebug.recording.header import LoadReport

MAPPED = "memory-mapped"
IN_MEMORY = "in memory"
MIXED = "mixed"
STREAMING = "streaming"


def describe_dataset(
    dataset: Any,
    *,
    source: str,
    name: str,
    split: str | None,
    from_cache: bool | None,
    notes: Sequence[str] = (),
    private: bool | None = None,
) -> LoadReport:
    """Describes a loaded `Dataset` or `IterableDataset` without reading its rows.

    Args:
        dataset: What was loaded.
        source: Which kind of thing the name turned out to be (``Parquet``, ``Hub``, …).
        name: The name after mapping or the path as given.
        split: The split that was taken, or None where there are none.
        from_cache: Whether a prepared cache was used; None where there is no cache in play.
        notes: Lines that the user should read.
        private: Whether the Hub shows it to its owners alone, where that is known.

    Returns:
        The report. Its files are those that the dataset maps; a dataset in memory and a stream know none.
    """
    import datasets

    if isinstance(dataset, datasets.IterableDataset):
        return LoadReport(
            source=source,
            name=name,
            split=split,
            storage=STREAMING,
            rows=None,
            columns=tuple(dataset.column_names or ()),
            record_batches=None,
            data_bytes=None,
            from_cache=from_cache,
            notes=tuple(notes),
            private=private,
        )
    arrow = dataset.data.table
    return LoadReport(
        source=source,
        name=name,
        split=split,
        storage=storage_of(dataset.data),
        rows=dataset.num_rows,
        columns=tuple(dataset.column_names),
        record_batches=max((column.num_chunks for column in arrow.columns), default=0),
        # Not nbytes: it reads the offsets of each batch and so pulls pages of a mapped table into memory.
        data_bytes=arrow.get_total_buffer_size(),
        files=describe_files(dict.fromkeys(file["filename"] for file in dataset.cache_files)),
        from_cache=from_cache,
        notes=tuple(notes),
        private=private,
    )


def storage_of(table: Any) -> str:
    """``memory-mapped``, ``in memory`` or ``mixed``, by the classes of a `datasets.table.Table`'s blocks."""
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
