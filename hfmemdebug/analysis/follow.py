"""Which counter is followed to find the lines of a leak that are not those of Python objects."""

from __future__ import annotations

from collections.abc import Sequence

from hfmemdebug.analysis.assess import EXACT, PAGE, THINGS, Assessment

# Of a leak that is so much Python's objects, they have the lines.
MOSTLY = 0.5


def native_growth(
    assessment: Assessment, others: Sequence[Assessment] = ()
) -> tuple[str, float, int | None] | None:
    """The counter and the rate of a leak that Python's objects have little part in; None where they have.

    Where things are counted, the third is how many bytes each of them stands for.

    Args:
        assessment: The arm that leaks.
        others: The other arms that do.
    """
    growing = {component.name: component.trend.rate for component in assessment.growing}
    if "dev_shm" in growing:
        # While two arms run, each sees the files of both that nobody holds open.
        seen = [c.trend.rate for other in others for c in other.growing if c.name == "dev_shm"]
        growing["dev_shm"] = min([growing["dev_shm"], *seen])
    half = MOSTLY * sum(growing.get(name, 0.0) for name in (*EXACT, "dev_shm"))
    if "python" in growing and growing["python"] >= half:
        return None
    followed = [name for name in ("arrow", "malloc", "shmem", "dev_shm", "other", *THINGS) if name in growing]
    if growing.get("dev_shm", 0.0) >= half:
        # Small things beside a file are how it was made.
        followed.sort(key=lambda name: name != "dev_shm")
    name = next(iter(followed), None)
    if name == "dev_shm" and "fds" in growing:
        # Where a file that is memory was opened, not where it was written.
        return "fds", growing["fds"], round(growing["dev_shm"] / growing["fds"])
    return None if name is None else (name, growing[name], PAGE if name in THINGS else None)
