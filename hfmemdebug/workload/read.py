"""Reading slices from a dataset, and how much memory a slice takes."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from hfmemdebug.data.arrays import Rows
from hfmemdebug.data.iterables import Items
from hfmemdebug.errors import InputError
from hfmemdebug.probes.process import ProcessProbe
from hfmemdebug.workload.slices import MAX_SLICE_BYTES, SlicePlan, plan_slices

# A first small slice grows until it decodes to this much or takes this long.
ENOUGH_BYTES = 8 * 1024**2
ENOUGH_SECONDS = 0.02
MOST_ROWS = 1000
# A whole slice is read for the measure where it should not take longer than this.
LONGEST_SLICE = 0.25
_END = object()


@dataclass(frozen=True)
class Calibration:
    """Cost of a row, measured on a first small slice.

    Attributes:
        bytes_per_row: Bytes that a decoded row holds.
        seconds_per_row: Time to read a row.
    """

    bytes_per_row: float
    seconds_per_row: float


def epoch_reader(dataset: Any, plan: SlicePlan) -> Callable[[int], Any]:
    """Returns a function that reads the slice of an index, for one epoch.

    A stream is started anew by each call of this function; its slices come in their order.
    """
    if plan.rows is None:
        batches: Iterator[Any] = iter(dataset.iter(batch_size=plan.step))

        def read_next(index: int) -> Any:
            return next(batches)

        return read_next

    def read(index: int) -> Any:
        start = index * plan.step if plan.packed else plan.start(index)
        return dataset[start : start + plan.length(index)]

    return read


def calibrate(dataset: Any, rows: int | None, probe: ProcessProbe, *, step: int | None = None) -> Calibration:
    """Reads a few rows and measures what they decode to and how long it takes.

    The rows come from the middle of the dataset, since first rows are often shorter. The consumer is not
    called: what it keeps would be counted before its time. Python's and numpy's allocations are traced;
    what malloc and Arrow hold besides (decoded images) is read from their counters.

    Args:
        dataset: The rows, or an iterable's items.
        rows: How many there are; None for a stream.
        probe: Reads this process.
        step: Rows in a slice, where the user has said so.

    Raises:
        InputError: The dataset has no rows.
    """
    if rows == 0:
        raise InputError("the dataset has no rows")
    if isinstance(dataset, Items):
        return _calibrate_items(dataset, probe)
    count = 1
    while True:
        rows_read, decoded, _ = _measure_once(dataset, rows, count, probe, traced=True)
        # The faster of two: a busy machine and a cold cache make a slice look dear.
        again = [_measure_once(dataset, rows, count, probe, traced=False) for _ in range(2)]
        rows_read, seconds = again[0][0], min(seconds for _, _, seconds in again)
        if (
            decoded >= ENOUGH_BYTES
            or seconds >= ENOUGH_SECONDS
            or count >= MOST_ROWS
            or rows_read < count
            or (rows is not None and count >= rows)
        ):
            break
        count *= 10
    found = Calibration(max(decoded, 1) / max(rows_read, 1), seconds / max(rows_read, 1))
    if rows is None:
        return found
    step = plan_slices(rows, bytes_per_row=found.bytes_per_row, step=step).step
    cost = max(found.bytes_per_row / MAX_SLICE_BYTES, found.seconds_per_row / LONGEST_SLICE)
    if step <= rows_read or step * cost > 1:
        return found
    # What a slice decodes to lies on pages that are new each time: a row costs several times what it does among few.
    seconds = min(_measure_once(dataset, rows, step, probe, traced=False)[2] for _ in range(2))
    return Calibration(found.bytes_per_row, seconds / step)


def _calibrate_items(items: Items, probe: ProcessProbe) -> Calibration:
    """Measures the cost of an item: times the second one and sizes the third one, in one pass.

    An iterable may start workers or fill a buffer each time that it is begun.

    Raises:
        InputError: It has no items.
    """
    stream = items.iter(batch_size=1)
    held = next(stream, _END)
    if held is _END:
        raise InputError("the iterable has no items")
    began = time.perf_counter()
    held = next(stream, _END)
    seconds = time.perf_counter() - began
    before = probe.read()
    tracemalloc.start(1)
    try:
        # Dropped before, or the new one would be sized against the old one.
        del held
        held = next(stream, _END)
        decoded = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    decoded = max(decoded, _native_growth(before, probe.read()))
    del held
    return Calibration(max(decoded, 1), seconds)


def _measure_once(
    dataset: Any, rows: int | None, count: int, probe: ProcessProbe, *, traced: bool
) -> tuple[int, int, float]:
    """Reads some rows: how many came, what they hold in bytes, and the seconds it took.

    Tracing makes Python several times slower, so that bytes and seconds are measured apart.
    """
    read = _reader_of_some(dataset, rows, count)
    before = probe.read()
    if traced:
        tracemalloc.start(1)
    try:
        began = time.perf_counter()
        held = read()
        seconds = time.perf_counter() - began
        decoded = tracemalloc.get_traced_memory()[0] if traced else 0
    finally:
        if traced:
            tracemalloc.stop()
    native = _native_growth(before, probe.read())
    rows_read = rows_in(held)
    # A view of a mapped array owns nothing, and yet its pages are read.
    decoded = max(decoded, native, getattr(held, "nbytes", 0))
    del held
    return rows_read, decoded, seconds


def _native_growth(before: dict[str, Any], after: dict[str, Any]) -> int:
    """Returns by how many bytes malloc's and Arrow's memory in use has grown."""
    return sum(
        after[name] - before[name]
        for name in ("malloc", "arrow")
        if after[name] is not None and before[name] is not None
    )


def _reader_of_some(dataset: Any, rows: int | None, count: int) -> Callable[[], Any]:
    """Returns a function that reads a few rows.

    Raises:
        InputError: The stream has no rows.
    """
    if rows is None:
        stream = iter(dataset.iter(batch_size=count))
        first = next(stream, None)
        if first is None:
            raise InputError("the stream has no rows")
        # The first batch brings the stream's buffers with it, a whole row group perhaps: the second is
        # what a slice costs.
        del first

        def read() -> Any:
            held = next(stream, None)
            # A stream of one batch has no second.
            return held if held is not None else next(iter(dataset.iter(batch_size=count)))

        return read
    count = min(count, rows)
    start = (rows - count) // 2
    return lambda: dataset[start : start + count]


def rows_in(batch: Any) -> int:
    """Counts the rows of a batch: a dictionary of columns, or a table of the format that was chosen."""
    columns = tuple(batch.values()) if isinstance(batch, dict) else (batch,)
    return len(columns[0]) if columns else 0


def take_into_memory(dataset: Any, plan: SlicePlan) -> Any:
    """Copies the planned rows alone into Arrow memory or an array, as `keep_in_memory` does with all rows."""
    if isinstance(dataset, Rows):
        starts = [plan.start(index) for index in range(plan.count)]
        return dataset.take([slice(s, s + plan.length(i)) for i, s in enumerate(starts)])
    import pyarrow
    from datasets import Dataset
    from datasets.table import InMemoryTable

    table = dataset.data.table

    def write(sink: Any) -> None:
        with pyarrow.ipc.new_stream(sink, table.schema) as writer:
            for index in range(plan.count):
                writer.write_table(table.slice(plan.start(index), plan.length(index)))

    # The size first, through a sink that only counts: growing a buffer would need twice the memory.
    counter = pyarrow.MockOutputStream()
    write(counter)
    buffer = pyarrow.allocate_buffer(counter.size())
    write(pyarrow.FixedSizeBufferWriter(buffer))
    copied = pyarrow.ipc.open_stream(buffer).read_all()
    # With a fingerprint given, none is computed: that would pickle and hash all the rows.
    taken = Dataset(
        InMemoryTable(copied), info=dataset.info, split=dataset.split, fingerprint="in-memory-arm"
    )
    return taken.with_format(**_format_of(dataset))


def _format_of(dataset: Any) -> dict[str, Any]:
    chosen = dataset.format
    return {"type": chosen["type"], **chosen.get("format_kwargs", {})}
