from pathlib import Path

import datasets
import pyarrow as pa
from datasets.table import InMemoryTable, MemoryMappedTable, concat_tables

from hfmemdebug.data.spec import describe_dataset

TABLE = pa.table({"a": list(range(100)), "b": ["text"] * 100})


def mapped(path: Path, batches: int = 4) -> MemoryMappedTable:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=100 // batches)
    return MemoryMappedTable.from_file(str(path))


def describe(dataset: object, **more: object) -> object:
    return describe_dataset(dataset, "Arrow", "x", "train", **more)


def test_memory_mapped(tmp_path: Path) -> None:
    report = describe(datasets.Dataset(mapped(tmp_path / "x.arrow")), notes=["note"], from_cache=True)
    assert (report.storage, report.rows, report.columns) == ("memory-mapped", 100, ("a", "b"))
    assert report.record_batches == 4
    assert report.data_bytes >= 800 + 400
    assert [file.path for file in report.files] == [str(tmp_path / "x.arrow")]
    assert (report.notes, report.from_cache) == (("note",), True)


def test_in_memory() -> None:
    report = describe(datasets.Dataset(InMemoryTable(TABLE)))
    assert (report.storage, report.files) == ("in memory", ())


def test_concatenated(tmp_path: Path) -> None:
    one, two = mapped(tmp_path / "1.arrow"), mapped(tmp_path / "2.arrow", batches=2)
    both = describe(datasets.Dataset(concat_tables([one, two])))
    assert (both.storage, both.record_batches, len(both.files)) == ("memory-mapped", 6, 2)
    mixed = describe(datasets.Dataset(concat_tables([one, InMemoryTable(TABLE)])))
    assert (mixed.storage, len(mixed.files)) == ("mixed", 1)


def test_streaming(tmp_path: Path) -> None:
    report = describe(datasets.Dataset(mapped(tmp_path / "x.arrow")).to_iterable_dataset())
    assert (report.storage, report.rows, report.record_batches, report.data_bytes) == (
        "streaming",
        None,
        None,
        None,
    )
    assert report.columns == ("a", "b")


def test_the_size_is_that_of_the_buffers(tmp_path: Path) -> None:
    """`nbytes` would read each batch's offsets, and so pull pages of the file into memory."""
    table = mapped(tmp_path / "x.arrow", batches=50)
    assert describe(datasets.Dataset(table)).data_bytes == table.table.get_total_buffer_size()
