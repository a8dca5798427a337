from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from datasets import Array2D, ClassLabel, Dataset, Features, IterableDataset, Sequence, Value, load_from_disk

from hfmemdebug.errors import InputError
from hfmemdebug.probes.allocators import ArrowProbe
from hfmemdebug.probes.process import ProcessProbe
from hfmemdebug.workload.read import calibrate, epoch_reader, take_into_memory
from hfmemdebug.workload.slices import SlicePlan, plan_slices

ROWS = 1000


@pytest.fixture
def numbers(tmp_path: Path) -> Dataset:
    Dataset.from_dict({"n": list(range(ROWS))}).save_to_disk(str(tmp_path / "numbers"))
    return load_from_disk(str(tmp_path / "numbers"))


def read_all(dataset: Any, plan: SlicePlan) -> list[Any]:
    read = epoch_reader(dataset, plan)
    return [read(index) for index in range(plan.count)]


def test_slices_of_a_mapped_dataset_are_the_planned_rows(numbers: Dataset) -> None:
    plan = plan_slices(ROWS, bytes_per_row=8.0, step=30, iterations=7)
    for index, rows in enumerate(read_all(numbers, plan)):
        start = plan.start(index)
        assert rows == {"n": list(range(start, start + 30))}


def test_each_epoch_reads_the_same(numbers: Dataset) -> None:
    plan = plan_slices(ROWS, bytes_per_row=8.0, step=30, iterations=7)
    assert read_all(numbers, plan) == read_all(numbers, plan)
    stream = numbers.to_iterable_dataset()
    plan = plan_slices(None, bytes_per_row=8.0, step=30, iterations=7)
    assert read_all(stream, plan) == read_all(stream, plan)


def test_a_stream_is_read_in_its_order_and_ends(numbers: Dataset) -> None:
    stream = numbers.to_iterable_dataset()
    read = epoch_reader(stream, SlicePlan(None, 400, 50))
    assert [len(read(index)["n"]) for index in range(3)] == [400, 400, 200]
    with pytest.raises(StopIteration):
        read(3)


def test_a_row_is_measured(tmp_path: Path) -> None:
    dataset = Dataset.from_dict({"text": [f"{i:06d}" * 500 for i in range(2000)]})
    found = calibrate(dataset, 2000, ProcessProbe())
    assert 3000 <= found.bytes_per_row <= 3500
    assert 0 < found.seconds_per_row < 0.1


def test_arrow_and_numpy_rows_are_measured_too() -> None:
    dataset = Dataset.from_dict({"x": [[float(i)] * 1000 for i in range(300)]})
    probe = ProcessProbe()
    probe.arrow = ArrowProbe()
    # numpy's format gives 32-bit floats.
    assert 4000 <= calibrate(dataset.with_format("numpy"), 300, probe).bytes_per_row <= 12_000
    assert 7900 <= calibrate(dataset, 300, probe).bytes_per_row <= 40_000


def test_rows_are_taken_from_the_middle() -> None:
    """The first rows are often shorter."""
    texts = ["a"] * 10_000 + ["b" * 5000] * 10_000 + ["c"] * 10_000
    found = calibrate(Dataset.from_dict({"text": texts}), 30_000, ProcessProbe())
    assert found.bytes_per_row > 4500


@pytest.mark.parametrize("rows", [1, 3, 11])
def test_a_short_dataset_and_a_short_stream_are_measured_by_the_rows_they_have(rows: int) -> None:
    dataset = Dataset.from_dict({"text": [str(i) * 100_000 for i in range(rows)]})
    for data, length in ((dataset, rows), (dataset.to_iterable_dataset(), None)):
        found = calibrate(data, length, ProcessProbe())
        assert 90_000 <= found.bytes_per_row <= 300_000


def test_what_was_read_for_the_measure_is_given_back() -> None:
    dataset = Dataset.from_dict({"text": ["x" * 1_000_000] * 20})
    probe = ProcessProbe()
    calibrate(dataset, 20, probe)
    before = probe.malloc.read()
    for _ in range(3):
        calibrate(dataset, 20, probe)
    after = probe.malloc.read()
    assert before is not None
    assert after is not None
    assert abs(after.in_use - before.in_use) < 1_000_000


def test_a_row_is_timed_in_a_slice_of_the_size_that_will_be_read() -> None:
    class Counted:
        format: ClassVar = {"type": None}

        def __init__(self) -> None:
            self.asked: list[int] = []

        def __getitem__(self, asked: slice) -> dict[str, list[int]]:
            self.asked.append(asked.stop - asked.start)
            return {"n": list(range(asked.start, asked.stop))}

    chosen, ours, too_large = Counted(), Counted(), Counted()
    calibrate(chosen, 1_000_000, ProcessProbe(), step=20_000)
    assert max(chosen.asked) == 20_000
    calibrate(ours, 1_000_000, ProcessProbe())
    assert max(ours.asked) == plan_slices(1_000_000, bytes_per_row=40.0).step == 20_000
    # What nobody should have in memory for a measure alone.
    calibrate(too_large, 10**9, ProcessProbe(), step=10**8)
    assert max(too_large.asked) <= 1000


def test_no_rows() -> None:
    with pytest.raises(InputError, match="no rows"):
        calibrate(Dataset.from_dict({"a": []}), 0, ProcessProbe())
    with pytest.raises(InputError, match="no rows"):
        calibrate(IterableDataset.from_generator(lambda: iter(())), None, ProcessProbe())


RICH = Features(
    {
        "id": Value("int32"),
        "label": ClassLabel(names=["no", "yes"]),
        "when": Value("timestamp[us]"),
        "translation": {"cs": Value("string"), "en": Value("string")},
        "tokens": Sequence(Value("int16")),
        "parts": [{"a": Value("string"), "b": [Value("float32")]}],
        "grid": Array2D(shape=(2, 3), dtype="int64"),
        "raw": Value("binary"),
        "maybe": Value("large_string"),
    }
)


def rich_row(i: int) -> dict[str, Any]:
    return {
        "id": i,
        "label": i % 2,
        "when": datetime.datetime(2024, 1, 1) + datetime.timedelta(seconds=i),
        "translation": {"cs": f"č{i}" * (i % 7), "en": "e" * (i % 11)},
        "tokens": list(range(i % 13)),
        "parts": [{"a": "x" * k, "b": [1.5] * k} for k in range(i % 3)],
        "grid": [[i, 1, 2], [3, 4, 5]],
        "raw": bytes([i % 256]) * (i % 5),
        "maybe": None if i % 4 == 0 else str(i),
    }


@pytest.fixture
def rich(tmp_path: Path) -> Dataset:
    rows = [rich_row(i) for i in range(ROWS)]
    built = Dataset.from_dict({k: [row[k] for row in rows] for k in RICH}, features=RICH)
    built.save_to_disk(str(tmp_path / "rich"), num_shards=3)
    return load_from_disk(str(tmp_path / "rich"))


@pytest.mark.parametrize("step", [1, 37, 400])
def test_taken_rows_equal_the_mapped_ones(rich: Dataset, step: int) -> None:
    plan = plan_slices(ROWS, bytes_per_row=100.0, step=step, iterations=5)
    packed = SlicePlan(plan.rows, plan.step, plan.count, packed=True)
    taken = take_into_memory(rich, packed)
    assert taken.features == rich.features
    assert len(taken) == plan.rows_per_epoch
    assert taken.cache_files == []
    read_mapped, read_taken = epoch_reader(rich, plan), epoch_reader(taken, packed)
    for index in range(plan.count):
        assert read_taken(index) == read_mapped(index)


@pytest.mark.parametrize("name", ["numpy", "pandas", "arrow"])
def test_taken_rows_keep_the_format(rich: Dataset, name: str) -> None:
    formatted = rich.with_format(name).remove_columns(["when", "parts"])
    if name == "pandas":
        # pandas cannot compare the arrays of datasets' own type.
        formatted = formatted.remove_columns("grid")
    packed = SlicePlan(ROWS, 100, 4, packed=True)
    taken = take_into_memory(formatted, packed)
    assert taken.format["type"] == formatted.format["type"]
    mapped, copied = formatted[0:100], taken[0:100]
    assert type(mapped) is type(copied)
    if name == "numpy":
        np.testing.assert_array_equal(mapped["grid"], copied["grid"])
    else:
        assert copied.equals(mapped)


def test_taken_rows_are_in_arrow_memory(rich: Dataset) -> None:
    probe = ArrowProbe()
    before = probe.in_use()
    taken = take_into_memory(rich, SlicePlan(ROWS, 100, 10, packed=True))
    held = probe.in_use() - before
    assert held >= taken.data.nbytes * 0.9
    assert held < rich.data.nbytes * 2 + 65536
    del taken
    assert probe.in_use() == before
