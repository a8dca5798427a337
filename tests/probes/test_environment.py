from __future__ import annotations

import getpass
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hfmemdebug.probes.environment import (
    container,
    environment,
    format_environment,
)


def test_begins_with_what_datasets_cli_prints() -> None:
    """The real command of the installed datasets beside ours; how it writes a label differs between releases."""
    script = "from datasets.commands.env import EnvironmentCommand; EnvironmentCommand().run()"
    theirs = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    lines = [line for line in theirs.stdout.replace("`", "").lower().splitlines() if line.startswith("- ")]
    assert len(lines) >= 6
    ours = format_environment(environment()).replace("`", "").lower().splitlines()
    assert [line for line in ours[: len(lines) + 1] if line in lines] == lines


def test_every_label_has_a_value_and_no_name_of_the_user() -> None:
    lines = environment()
    assert all(lines.values())
    assert "unknown" not in {
        lines[label] for label in ("RAM", "Page size", "Arrow memory pool", "Start method")
    }
    text = format_environment(lines)
    assert str(Path.home()) + "/" not in text
    assert f"@{socket.gethostname()}" not in text
    assert f"/{getpass.getuser()}/" not in text


def test_nothing_raises_where_nothing_can_be_read(tmp_path: Path) -> None:
    lines = environment(root=tmp_path, environ={})
    assert lines["Memory limit"] == "unknown"
    assert lines["malloc"] == "unknown"
    assert lines["Transparent huge pages"] == "unknown"
    assert lines["Overcommit"] == "unknown"
    assert lines["malloc settings"] == "none set"
    assert "available" in lines["RAM"]


def test_limit_of_the_control_group(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/a\n")
    (tmp_path / "sys/fs/cgroup/a").mkdir(parents=True)
    assert environment(root=tmp_path)["Memory limit"] == "unlimited"
    (tmp_path / "sys/fs/cgroup/a/memory.max").write_text(f"{600 << 20}\n")
    assert environment(root=tmp_path)["Memory limit"] == "600 MB"
    assert environment(root=tmp_path)["cgroup"] == "v2"


def test_settings_of_the_kernel(tmp_path: Path) -> None:
    for path, text in {
        "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
        "proc/sys/vm/overcommit_memory": "2\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    lines = environment(root=tmp_path)
    assert lines["Transparent huge pages"] == "madvise"
    assert lines["Overcommit"].startswith("2 ")


def test_malloc_settings_without_folders() -> None:
    lines = environment(
        environ={
            "MALLOC_ARENA_MAX": "2",
            "PYTHONMALLOC": "malloc",
            "LD_PRELOAD": "/home/somebody/lib/libjemalloc.so.2:/opt/b.so",
            "OTHER": "x",
        }
    )
    assert (
        lines["malloc settings"]
        == "MALLOC_ARENA_MAX=2, PYTHONMALLOC=malloc, LD_PRELOAD=libjemalloc.so.2:b.so"
    )


def test_arrow_pool_in_use() -> None:
    code = "from hfmemdebug.probes.environment import environment; print(environment()['Arrow memory pool'])"
    env = {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert out.stdout.strip() == "system (ARROW_DEFAULT_MEMORY_POOL=system)"


@pytest.mark.parametrize(
    ("file", "text", "environ", "name"),
    [
        (".dockerenv", "", {}, "docker"),
        ("run/.containerenv", "", {}, "podman"),
        ("proc/self/cgroup", "4:memory:/kubepods/burstable/pod1/abc\n", {}, "kubernetes"),
        ("proc/self/cgroup", "4:memory:/docker/abc\n", {}, "docker"),
        (".dockerenv", "", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "kubernetes"),
        ("proc/self/cgroup", "0::/\n", {"container": "systemd-nspawn"}, "systemd-nspawn"),
        ("proc/self/cgroup", "0::/\n", {}, "none"),
    ],
)
def test_container(tmp_path: Path, file: str, text: str, environ: dict[str, str], name: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text)
    assert container(root=tmp_path, environ=environ) == name


def test_asking_for_the_start_method_does_not_fix_it() -> None:
    code = (
        "import multiprocessing; from hfmemdebug.probes.environment import environment; environment();"
        "multiprocessing.set_start_method('spawn'); print(environment()['Start method'])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "spawn"


def test_heavy_packages_are_not_imported() -> None:
    code = (
        "import sys; from hfmemdebug.probes.environment import environment; environment();"
        "print(sorted({'datasets', 'pandas', 'torch', 'huggingface_hub'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
