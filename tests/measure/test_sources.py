"""Arrays and iterables through the real command: the same arms, verdicts and proof as for a dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from measure.box import Box

MB = 1024**2


@pytest.fixture
def box(tmp_path: Path) -> Box:
    box = Box(tmp_path, rows=30)
    np.save(tmp_path / "x.npy", np.ones((4000, 1024), dtype=np.float32))
    return box


def test_a_npy_is_mapped_read_and_taken_back(box: Box) -> None:
    status, result = box.result("profile", "x.npy", "--step", "200")
    assert (status, result["verdict"], result["cause"]) == (0, "no-leak", "mmap-file-pages")
    (arm,) = result["arms"]
    assert (arm["mode"], arm["rows_total"], arm["loaded"]["storage"]) == ("mmap", 4000, "memory-mapped")
    assert arm["growth"]["file"] > 8 * MB
    assert arm["reclaim"]["why_not"] is None
    assert arm["reclaim"]["freed_bytes"] > 8 * MB
    assert arm["reclaim"]["same_data"] is True


def test_raw_numbers_mapped_against_in_memory_with_code_that_leaks(box: Box) -> None:
    np.load(box.folder / "x.npy").tofile(box.folder / "x.memmap")
    target = box.code(
        "seen = []\ndef f(rows):\n    assert rows.shape == (80, 1024)\n    seen.append(rows.mean(0))\n"
    )
    status, result = box.result(
        "diagnose",
        "x.memmap",
        "--dtype",
        "float32",
        "--shape",
        "(-1, 1024)",
        "--step",
        "80",
        "--consumer",
        target,
    )
    assert (status, result["verdict"], result["origin"]) == (1, "leak", "user-code")
    assert result["cause"] in ("python-objects", "native-heap")
    assert 4096 <= result["rate_bytes_per_iteration"] < 5000
    assert {arm["mode"] for arm in result["arms"]} == {"mmap", "in-memory"}
    assert "code.py" in result["sites"][0]["file"]


def test_copies_on_write_are_named_by_their_file(box: Box) -> None:
    target = box.code(
        "import numpy as np\n"
        "table, at = np.load('x.npy', mmap_mode='c'), 0\n"
        "def f(rows):\n"
        "    global at\n"
        "    table[at % 4000 : at % 4000 + 20] += 1\n"
        "    at += 20\n"
    )
    status, result = box.result(
        "profile", "./ds", "--consumer", target, "--iterations", "1", "--epochs", "120"
    )
    assert (status, result["verdict"], result["cause"]) == (0, "no-leak", "copy-on-write")
    finding = result["findings"][0]
    assert finding["reclaimable"] is False
    assert finding["growth_bytes"] > 7 * MB
    assert "x.npy (at most 15.6 MB)" in finding["detail"]


def test_an_iterable_over_a_memmap_is_judged_and_its_pages_taken_back(box: Box) -> None:
    box.code(
        "import numpy as np\n"
        "table = np.load('x.npy', mmap_mode='r')\n"
        "def f():\n"
        "    for start in range(0, 4000, 100):\n"
        "        yield table[start : start + 100].sum()\n"
    )
    status, result = box.result("profile", "code.py:f")
    assert (status, result["verdict"], result["cause"]) == (0, "no-leak", "mmap-file-pages")
    (arm,) = result["arms"]
    assert (arm["mode"], arm["step"], arm["slices_per_epoch"]) == ("streaming", 1, 50)
    assert arm["rows"] == arm["iterations"] == 40 * arm["epochs"]
    assert arm["reclaim"]["freed_bytes"] > 8 * MB
    assert arm["reclaim"]["same_data"] is True


def test_an_iterable_that_leaks_is_told_from_a_consumer_and_its_line_is_found(box: Box) -> None:
    box.code(
        "seen = []\ndef f():\n    for n in range(60):\n        seen.append([n] * 100)\n        yield n\n"
    )
    status, result = box.result("diagnose", "code.py:f")
    assert (status, result["verdict"], result["origin"]) == (1, "leak", "library")
    assert "in your iterable or in what it calls" in result["summary"]
    assert "per item" in result["summary"]
    assert Path(result["sites"][0]["file"]).name == "code.py"
    assert "seen" in result["holders"][0]["path"]


def test_the_consumer_of_an_iterable_has_the_iterable_alone_as_its_control(box: Box) -> None:
    box.code(
        "def rows():\n    yield from range(60)\nseen = []\ndef f(item):\n    seen.append(str(item) * 20)\n"
    )
    status, result = box.result("diagnose", "code.py:rows", "--consumer", "code.py:f")
    assert (status, result["verdict"], result["origin"]) == (1, "leak", "user-code")
    assert [arm["name"] for arm in result["arms"]] == ["streaming", "streaming + consumer"]


@pytest.mark.parametrize(
    ("code", "status", "says"),
    [
        (
            "raise ValueError('no database')\ndef f(): pass\n",
            4,
            "making the iterable: ValueError: no database",
        ),
        ("def f(): raise ValueError('no rows')\n", 4, "making the iterable: ValueError: no rows"),
        (
            "def f():\n    yield 1\n    raise ValueError('torn')\n",
            4,
            "reading the first items: ValueError: torn",
        ),
        ("def f(): return 3\n", 2, "f() returned int, which cannot be iterated"),
        ("def f(): return []\n", 2, "the iterable has no items"),
    ],
)
def test_an_iterable_that_fails(box: Box, code: str, status: int, says: str) -> None:
    box.code(code)
    done = box.run("profile", "code.py:f")
    assert done.returncode == status
    assert says in done.stderr.splitlines()[-1]
    assert ("Traceback" in done.stderr) == (status == 4), "a traceback of their own code is theirs"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["code.py:f", "--step", "5"], "--step means nothing for an iterable"),
        (["code.py:f", "--in-mem"], "--in-mem means nothing for an iterable of yours"),
        (["x.npy", "--streaming"], "--streaming means nothing for an array"),
        (["x.npy", "--shape", "many"], "--shape many: not a shape"),
        (["ds", "--dtype", "float32"], "ds is no regular file"),
    ],
)
def test_options_that_mean_nothing_are_refused(box: Box, arguments: list[str], says: str) -> None:
    box.code("def f(): return [1, 2, 3]\n")
    done = box.run("profile", *arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
