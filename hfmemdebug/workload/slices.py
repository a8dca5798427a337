"""Plans the rows that are read: slices of equal size, spread over the dataset, the same ones in each epoch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

# No default slice decodes to more than this: a billion-row dataset is as safe to look at as a small one.
MAX_SLICE_BYTES = 256 * 1024**2
MAX_SLICES = 50


@dataclass(frozen=True)
class SlicePlan:
    """The slices of one epoch.

    Attributes:
        rows: Rows in the dataset; None for a stream, whose slices are the first ones.
        step: Rows in a slice.
        count: Slices in an epoch.
        packed: The dataset holds just the planned rows, one slice behind the other, as in the in-memory
            arm of a dataset that does not fit into memory.
    """

    rows: int | None
    step: int
    count: int
    packed: bool = False

    def start(self, index: int) -> int:
        """Returns the first row of a slice, in the rows of the whole dataset."""
        if self.rows is None or self.step * self.count >= self.rows or self.count == 1:
            return index * self.step
        # Spread from the first row to the last, without overlap.
        return index * (self.rows - self.step) // (self.count - 1)

    def length(self, index: int) -> int:
        """Returns the rows in a slice; the last one may be shorter."""
        if self.rows is None:
            return self.step
        return min(self.step, self.rows - self.start(index))

    @property
    def rows_per_epoch(self) -> int:
        """Counts the rows that one epoch reads."""
        return sum(self.length(index) for index in range(self.count))

    def to_dict(self) -> dict[str, Any]:
        """Returns the plan as JSON can hold it."""
        return asdict(self)


def plan_slices(
    rows: int | None,
    *,
    bytes_per_row: float,
    step: int | None = None,
    iterations: int | None = None,
    read_all: bool = False,
    max_slices: int = MAX_SLICES,
) -> SlicePlan:
    """Chooses the slices.

    Args:
        rows: Rows in the dataset, None for a stream.
        bytes_per_row: What a row decodes to, measured on a first small slice.
        step: Rows in a slice, where the user has said so.
        iterations: Slices in an epoch, where the user has said so.
        read_all: Read every row.
        max_slices: Slices in an epoch at most, where the user has not said how many.
    """
    largest = max(1, int(MAX_SLICE_BYTES / max(bytes_per_row, 1.0)))
    wanted = iterations or MAX_SLICES
    if step is None:
        # A stream has no length to divide: 1000 rows is what the datasets library itself batches by.
        step = min(largest, 1000) if rows is None else max(1, min(largest, -(-rows // wanted)))
    if rows is None:
        return SlicePlan(None, step, iterations or max_slices)
    step = min(step, rows)
    available = -(-rows // step)
    if read_all:
        return SlicePlan(rows, step, available)
    return SlicePlan(rows, step, min(available, iterations or max_slices))
