from __future__ import annotations

from pathlib import Path

import pytest
from probes.test_cgroup import GB, V1_CGROUP, V1_MOUNTS, V2_CGROUP, V2_MOUNTS, machine

from hfmemdebug.probes.container import container_memory, memory_pressure, parse_pressure

PSI = (
    "some avg10=1.25 avg60=0.60 avg300=0.12 total=2500000\n"
    "full avg10=0.50 avg60=0.10 avg300=0.01 total=1000000\n"
)


def test_v2_the_group_that_is_nearest_to_its_limit(tmp_path: Path) -> None:
    job = "user.slice/user-1000.slice/user@1000.service/app.slice/job.scope"
    root = machine(
        tmp_path,
        V2_CGROUP,
        V2_MOUNTS,
        {
            f"{job}/memory.max": str(4 * GB),
            f"{job}/memory.current": str(3 * GB),
            f"{job}/memory.stat": f"anon {GB}\nfile {2 * GB}\ninactive_file {GB}\nactive_file {GB}",
            "user.slice/memory.max": str(8 * GB),
            "user.slice/memory.current": str(3 * GB),
            f"{job}/memory.pressure": PSI,
        },
    )
    memory = container_memory(root=root)
    assert memory is not None
    assert (memory.limit, memory.usage) == (4 * GB, 3 * GB)
    assert (memory.working_set, memory.unreclaimable) == (2 * GB, GB)
    assert memory_pressure(root=root)["some"] == 1.25


def test_v1_without_a_limit_is_our_own_group(tmp_path: Path) -> None:
    files = {
        "memory/memory.usage_in_bytes": str(GB),
        "memory/memory.stat": f"inactive_file 1\ntotal_inactive_file {GB // 4}\ntotal_active_file {GB // 4}",
    }
    memory = container_memory(root=machine(tmp_path, V1_CGROUP, V1_MOUNTS, files))
    assert memory is not None
    assert memory.limit is None
    assert (memory.working_set, memory.unreclaimable) == (GB * 3 // 4, GB // 2)


def test_what_cannot_be_read_is_none(tmp_path: Path) -> None:
    assert container_memory(root=machine(tmp_path / "a", None, None, {})) is None
    assert memory_pressure(root=tmp_path / "a") == {}
    root = machine(tmp_path / "b", "0::/a\n", V2_MOUNTS, {"a/memory.current": "7"})
    memory = container_memory(root=root)
    assert memory is not None
    assert (memory.usage, memory.working_set, memory.unreclaimable) == (7, None, None)


@pytest.mark.parametrize("text", ["", "some\n", "nonsense"])
def test_pressure_that_says_nothing(text: str) -> None:
    assert parse_pressure(text) == {}


def test_pressure() -> None:
    assert parse_pressure(PSI) == {"some": 1.25, "some_total": 2.5, "full": 0.5, "full_total": 1.0}
