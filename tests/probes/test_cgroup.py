from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from hfmemdebug.probes.cgroup import (
    cgroup_version,
    container_memory,
    memory_available,
    memory_limit,
    memory_pressure,
    memory_total,
    parse_cgroup,
    parse_pressure,
)

GB = 1 << 30
V1_NO_LIMIT = "9223372036854771712"

V2_CGROUP = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/job.scope\n"
V2_MOUNTS = (
    "24 31 0:22 / /proc rw,nosuid,nodev,noexec,relatime shared:13 - proc proc rw\n"
    "30 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
)
V1_CGROUP = """\
12:pids:/docker/4f3c
5:cpu,cpuacct:/docker/4f3c
4:memory:/docker/4f3c
1:name=systemd:/docker/4f3c
"""
# A container without a cgroup namespace: its own group is mounted as the root, under the host's name.
V1_MOUNTS = (
    "1241 1232 0:29 /docker/4f3c /sys/fs/cgroup/cpu,cpuacct ro master:12 - cgroup cgroup rw,cpu,cpuacct\n"
    "1245 1232 0:33 /docker/4f3c /sys/fs/cgroup/memory ro master:16 - cgroup cgroup rw,memory\n"
)
HYBRID_CGROUP = """\
9:name=systemd:/
8:pids:/
4:memory:/process_api/f78d
3:cpuset:/
0::/
"""
HYBRID_MOUNTS = (
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
)


@pytest.fixture(autouse=True)
def machine_of_16_gb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(total=16 * GB, available=8 * GB))


def machine(root: Path, cgroup: str | None, mounts: str | None, files: dict[str, str]) -> Path:
    """A root directory with `/proc` texts and files of the control groups below `/sys/fs/cgroup`."""
    (root / "proc/self").mkdir(parents=True)
    if cgroup is not None:
        (root / "proc/self/cgroup").write_text(cgroup)
    if mounts is not None:
        (root / "proc/self/mountinfo").write_text(mounts)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


@pytest.mark.parametrize(
    ("text", "unified", "memory", "description"),
    [
        (V2_CGROUP, V2_CGROUP[3:-1], None, "v2"),
        (V1_CGROUP, None, "/docker/4f3c", "v1"),
        (HYBRID_CGROUP, "/", "/process_api/f78d", "v1 (hybrid)"),
        ("1:name=systemd:/a\n0::/b\n", "/b", None, "v2 (hybrid)"),
        ("4:memory:/with:colon\n", None, "/with:colon", "v1"),
        ("", None, None, "none"),
        ("nonsense\n", None, None, "none"),
    ],
)
def test_cgroup_text(text: str, unified: str | None, memory: str | None, description: str) -> None:
    membership = parse_cgroup(text)
    assert (membership.unified, membership.memory_v1, membership.description) == (
        unified,
        memory,
        description,
    )


def test_v2_limit_is_the_lowest_among_the_ancestors(tmp_path: Path) -> None:
    job = "user.slice/user-1000.slice/user@1000.service/app.slice/job.scope"
    root = machine(
        tmp_path,
        V2_CGROUP,
        V2_MOUNTS,
        {
            f"{job}/memory.max": "max",
            "user.slice/user-1000.slice/user@1000.service/memory.max": str(6 * GB),
            "user.slice/user-1000.slice/memory.max": str(2 * GB),
            "user.slice/memory.max": str(3 * GB),
        },
    )
    assert memory_limit(root=root) == 2 * GB
    assert memory_total(root=root) == 2 * GB
    assert cgroup_version(root=root) == "v2"


def test_v2_available_is_what_the_tightest_ancestor_leaves(tmp_path: Path) -> None:
    job = "user.slice/user-1000.slice/user@1000.service/app.slice/job.scope"
    root = machine(
        tmp_path,
        V2_CGROUP,
        V2_MOUNTS,
        {
            f"{job}/memory.max": str(4 * GB),
            f"{job}/memory.current": str(3 * GB),
            f"{job}/memory.stat": f"anon {GB}\nfile {2 * GB}\ninactive_file {GB}\nactive_file {GB}",
            "user.slice/memory.max": str(5 * GB),
            "user.slice/memory.current": str(3 * GB),
            "user.slice/memory.stat": "inactive_file 0\nactive_file 0",
        },
    )
    # The job's own group: 4 - (3 - 2 of file pages) = 3; the slice: 5 - 3 = 2; the machine: 8.
    assert memory_available(root=root) == 2 * GB


def test_v2_above_high_a_process_stands_still_so_high_counts_as_the_end(tmp_path: Path) -> None:
    root = machine(
        tmp_path,
        "0::/job\n",
        V2_MOUNTS,
        {"job/memory.max": str(4 * GB), "job/memory.high": str(GB), "job/memory.current": "0"},
    )
    assert memory_available(root=root) == GB
    assert memory_limit(root=root) == 4 * GB


def test_v1_container_without_a_namespace(tmp_path: Path) -> None:
    root = machine(
        tmp_path,
        V1_CGROUP,
        V1_MOUNTS,
        {
            "memory/memory.limit_in_bytes": str(GB),
            "memory/memory.usage_in_bytes": str(GB * 3 // 4),
            "memory/memory.stat": f"active_file 5\ntotal_inactive_file {GB // 4}\ntotal_active_file {GB // 4}",
        },
    )
    assert memory_limit(root=root) == GB
    assert memory_available(root=root) == GB * 3 // 4


@pytest.mark.parametrize("sentinel", [V1_NO_LIMIT, "9223372036854710272"])
def test_v1_sentinel_is_no_limit_whatever_the_page_size(tmp_path: Path, sentinel: str) -> None:
    root = machine(
        tmp_path,
        HYBRID_CGROUP,
        HYBRID_MOUNTS,
        {
            "memory/process_api/f78d/memory.limit_in_bytes": sentinel,
            "memory/memory.limit_in_bytes": sentinel,
            # The v2 hierarchy of a hybrid host has no memory controller: what lies there means nothing.
            "unified/memory.max": "1",
        },
    )
    assert memory_limit(root=root) is None
    assert memory_available(root=root) == 8 * GB


def test_hybrid_limit_of_an_ancestor(tmp_path: Path) -> None:
    files = {
        "memory/process_api/f78d/memory.limit_in_bytes": V1_NO_LIMIT,
        "memory/process_api/memory.limit_in_bytes": str(600 << 20),
    }
    assert memory_limit(root=machine(tmp_path, HYBRID_CGROUP, HYBRID_MOUNTS, files)) == 600 << 20


def test_group_outside_of_what_is_mounted_is_the_mounts_root(tmp_path: Path) -> None:
    mounts = "30 23 0:26 /../pod /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
    root = machine(tmp_path, "0::/elsewhere\n", mounts, {"memory.max": str(GB)})
    assert memory_limit(root=root) == GB


def test_without_mountinfo_the_usual_places_are_read(tmp_path: Path) -> None:
    assert memory_limit(root=machine(tmp_path / "2", "0::/a\n", None, {"a/memory.max": "7"})) == 7
    files = {"memory/a/memory.limit_in_bytes": "9"}
    assert memory_limit(root=machine(tmp_path / "1", "3:memory:/a\n", None, files)) == 9


def test_usage_that_cannot_be_read_leaves_the_limit(tmp_path: Path) -> None:
    assert memory_available(root=machine(tmp_path, "0::/a\n", V2_MOUNTS, {"a/memory.max": "4096"})) == 4096


def test_over_the_limit_nothing_is_available(tmp_path: Path) -> None:
    files = {"a/memory.max": "4096", "a/memory.current": "8192"}
    assert memory_available(root=machine(tmp_path, "0::/a\n", V2_MOUNTS, files)) == 0


def test_unknown_is_none_and_nothing_raises(tmp_path: Path) -> None:
    assert memory_available(root=tmp_path) == 8 * GB
    assert memory_total(root=tmp_path) == 16 * GB
    assert memory_limit(root=tmp_path) is None
    assert cgroup_version(root=tmp_path) == "none"
    broken = machine(tmp_path / "x", "0::/a\n", "\x00\n - \n", {"a/memory.max": "many", "a/memory.stat": "x"})
    assert memory_limit(root=broken) is None
    assert memory_available(root=broken) == 8 * GB


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
    assert parse_pressure(PSI) == {"some": 1.25, "full": 0.5}
