from __future__ import annotations

import gc
import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest

from hfmemdebug.probes.process import ProcessProbe
from hfmemdebug.workload.settle import settle, settle_once

PAGES = 512


class Cycle:
    def __init__(self) -> None:
        self.me = self
        self.load = bytearray(1000)


@pytest.fixture
def probe() -> ProcessProbe:
    probe = ProcessProbe()
    probe.watch_arrow()
    return probe


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.bin"
    path.write_bytes(b"x" * PAGES * mmap.PAGESIZE)
    return path


def run(probe: ProcessProbe, files: frozenset[str] = frozenset()) -> dict[str, dict[str, Any]]:
    readings: dict[str, dict[str, Any]] = {}
    settle(probe, files, lambda step, values: readings.__setitem__(step, values))
    return readings


def test_the_steps_come_in_their_order(probe: ProcessProbe, data: Path) -> None:
    steps = ["before", "collect", "release_pools", "trim"]
    assert list(run(probe, frozenset({str(data)}))) == [*steps, "drop_pages"]
    assert list(run(probe)) == steps, "without files there are no pages to drop"


def test_garbage_shows_at_the_collection(probe: ProcessProbe) -> None:
    settle_once(probe)
    thresholds = gc.get_threshold()
    # On, but not so eager that it is there first.
    gc.set_threshold(10**6)
    try:
        for _ in range(5000):
            Cycle()
        readings = run(probe)
    finally:
        gc.set_threshold(*thresholds)
    assert readings["before"]["blocks"] - readings["collect"]["blocks"] >= 5000


@pytest.mark.parametrize(
    "turn_off", [gc.disable, lambda: gc.set_threshold(0)], ids=["disable", "threshold of 0"]
)
def test_a_collector_that_is_off_stays_off(probe: ProcessProbe, turn_off: Callable[[], None]) -> None:
    gc.collect()
    thresholds = gc.get_threshold()
    turn_off()
    found = gc.isenabled(), gc.get_threshold()
    try:
        for _ in range(5000):
            Cycle()
        readings = run(probe)
        assert "collect" not in readings
        assert (gc.isenabled(), gc.get_threshold()) == found
        assert readings["before"]["blocks"] - readings["trim"]["blocks"] < 1000, "nothing was collected"
        settle_once(probe)
        assert (gc.isenabled(), gc.get_threshold()) == found
    finally:
        gc.enable()
        gc.set_threshold(*thresholds)
        gc.collect()


def test_what_an_arrow_pool_retains_shows_at_its_release(probe: ProcessProbe) -> None:
    pool = pyarrow.default_memory_pool()
    for _ in range(3):
        held = [pyarrow.array(range(20_000)) for _ in range(300)]
        del held
    readings = run(probe)
    assert readings["release_pools"]["arrow"] == readings["before"]["arrow"]
    assert readings["release_pools"]["rss"] <= readings["collect"]["rss"] + 1024**2
    assert pool.bytes_allocated() <= readings["before"]["arrow"]


def test_mapped_pages_are_dropped_and_read_the_same(probe: ProcessProbe, data: Path) -> None:
    with data.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        before = bytes(mapped)
        readings = run(probe, frozenset({str(data)}))
        assert readings["trim"]["dataset_resident"] == PAGES * mmap.PAGESIZE
        fall = readings["trim"]["file"] - readings["drop_pages"]["file"]
        assert fall == pytest.approx(PAGES * mmap.PAGESIZE, rel=0.1)
        assert bytes(mapped) == before


def test_private_copies_of_the_datasets_pages_survive(probe: ProcessProbe, data: Path) -> None:
    with data.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as mapped:
        mapped[0:4] = b"mine"
        run(probe, frozenset({str(data)}))
        assert mapped[0:4] == b"mine"


def test_other_files_pages_stay(probe: ProcessProbe, data: Path, tmp_path: Path) -> None:
    with data.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert mapped[:: mmap.PAGESIZE]
        run(probe, frozenset({str(tmp_path / "other")}))
        resident = probe.read_settled(frozenset({str(data)}))["dataset_resident"]
    assert resident == PAGES * mmap.PAGESIZE
