"""Segments of shared memory that a program has made, by their names."""

from __future__ import annotations

import sys
from multiprocessing import shared_memory
from pathlib import Path

import pytest

from hfmemdebug.processes.segments import Segments

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only on Linux")

# A line of the function below.
LINE = 22


def test_what_was_made_and_not_unlinked(tmp_path: Path) -> None:
    now = [0.0]
    segments = Segments(tmp_path, clock=lambda: now[0])

    def later() -> int | None:
        now[0] += 1.0
        return segments.size()

    assert later() is None
    made = [shared_memory.SharedMemory(create=True, size=1 << 20) for _ in range(2)]
    try:
        for segment in made:
            segment.buf[:] = b"x" * segment.size
            with (tmp_path / "segments").open("a") as file:
                file.write(f"{segment.name}\t{__file__}\t{LINE}\n")
        # It is asked for twice a second at most.
        assert segments.size() is None
        assert later() == 2 << 20
        assert segments.reserved == 2 << 20
        made[0].unlink()
        assert later() == 1 << 20
        made[1].unlink()
        assert later() == 0
        assert segments.most == 2 << 20
        (line,) = segments.by_line()
        assert line == {
            "file": __file__, "line": LINE, "function": "test_what_was_made_and_not_unlinked",
            "bytes": 2 << 20, "count": 2,
        }  # fmt: skip
    finally:
        for segment in made:
            segment.close()
