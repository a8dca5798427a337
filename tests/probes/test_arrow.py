from __future__ import annotations

import time
from typing import Any

import pyarrow
import pytest

from hfmemdebug.probes.arrow import ArrowProbe
from hfmemdebug.probes.process import ProcessProbe

SIZE = 5 * 1024**2


@pytest.mark.parametrize("backend", pyarrow.supported_memory_backends())
def test_a_buffer_is_seen_in_whichever_pool(backend: str) -> None:
    probe = ArrowProbe()
    pool = getattr(pyarrow, f"{backend}_memory_pool")()
    before = probe.in_use()
    buffer = pyarrow.allocate_buffer(SIZE, memory_pool=pool)
    assert probe.in_use() - before >= SIZE
    del buffer
    assert probe.in_use() == before


def test_what_the_default_pool_held_counts_after_it_was_switched() -> None:
    probe = ArrowProbe()
    default = pyarrow.default_memory_pool()
    other = next(
        getattr(pyarrow, f"{name}_memory_pool")()
        for name in pyarrow.supported_memory_backends()
        if name != default.backend_name
    )
    before = probe.in_use()
    held = pyarrow.allocate_buffer(SIZE)
    pyarrow.set_memory_pool(other)
    try:
        assert pyarrow.total_allocated_bytes() < SIZE
        assert probe.in_use() - before >= SIZE
    finally:
        pyarrow.set_memory_pool(default)
    assert held.size == SIZE


def test_what_arrow_has_from_malloc_is_not_counted_twice() -> None:
    probe = ProcessProbe()
    probe.watch_arrow()

    def reading() -> dict[str, Any]:
        # It is left out for a while where it took long.
        while (read := probe.read())["malloc"] is None:
            time.sleep(0.01)
        return read

    before = reading()
    held = pyarrow.allocate_buffer(SIZE, memory_pool=pyarrow.system_memory_pool())
    after = reading()
    assert after["arrow"] - before["arrow"] == held.size
    assert after["malloc"] - before["malloc"] < SIZE // 10
    assert probe.reader_of("malloc")() < after["malloc"] + SIZE // 10


def test_releasing_keeps_what_is_in_use() -> None:
    probe = ArrowProbe()
    array = pyarrow.array(range(100_000))
    before = probe.in_use()
    probe.release_unused()
    assert probe.in_use() == before
    assert array.sum().as_py() == 4999950000
