"""Sites and holders of programs whose leak is known, each traced in a process of its own."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from origin.tracing import run_traced

from hfmemdebug.origin.native import short_name
from hfmemdebug.origin.native_lines import lines_of


def traced(folder: Path, source: str) -> dict[str, Any]:
    """What the tracing pass says of a program whose `consume()` is called at every slice."""
    found: dict[str, Any] = run_traced(folder, source, "trace(walk)")
    return found


@pytest.mark.parametrize(
    ("source", "line", "path", "unit"),
    [
        ("seen = []\n\ndef consume():\n    seen.append(bytes(1000))\n", 4, "list `seen`", "item"),
        # The collector does not track a dictionary of numbers and strings before Python 3.14.
        (
            "import itertools\ncache = {}\nsteps = itertools.count()\n\ndef consume():\n"
            "    cache[next(steps)] = bytes(1000)\n",
            6,
            "dict `cache`",
            "key",
        ),
        (
            "class Metrics:\n    def __init__(self):\n        self.values = {}\n\nmetrics = Metrics()\n\n"
            "def consume():\n    metrics.values[len(metrics.values)] = float(len(metrics.values))\n",
            8,
            "dict `metrics.values`",
            "key",
        ),
        (
            "import functools, itertools\nsteps = itertools.count()\n\n@functools.lru_cache(maxsize=None)\n"
            "def load(step):\n    return bytes(1000)\n\ndef consume():\n    load(next(steps))\n",
            6,
            "lru_cache (unbounded) `load`",
            "entry",
        ),
    ],
)
def test_line_and_holder(tmp_path: Path, source: str, line: int, path: str, unit: str) -> None:
    found = traced(tmp_path, source)
    assert found["sites"][0]["line"] == line
    assert Path(found["sites"][0]["file"]).name == "program.py"
    assert found["sites"][0]["in_library"] is False
    holder = found["holders"][0]
    assert path in holder["path"]
    assert holder["unit"] == unit
    assert holder["growth_per_iteration"] == pytest.approx(1.0, abs=0.1)


def test_what_was_asked_for_once_is_no_site(tmp_path: Path) -> None:
    source = (
        "import ctypes\nlibc = ctypes.CDLL(None)\nlibc.malloc.restype = ctypes.c_void_p\nonce = []\ncalls = 0\n\n"
        "def consume():\n    global calls\n    calls += 1\n    libc.malloc(64)\n"
        "    if calls == 100:\n        once.extend(bytes(1000) for _ in range(40))\n"
    )
    found = traced(tmp_path, source)
    assert found["sites"] == []
    assert found["traced_bytes_per_iteration"] < 32


def test_what_comes_more_seldom_than_the_pass_is_long(tmp_path: Path) -> None:
    source = (
        "kept = []\ncalls = 0\n\n"
        "def consume():\n    global calls\n    calls += 1\n"
        "    if calls % 150 == 0:\n        kept.append(bytes(10**6))\n"
    )
    found = traced(tmp_path, source)
    assert [site["line"] for site in found["sites"]] == [8]
    assert found["sites"][0]["bytes_per_iteration"] == pytest.approx(10**6 / 160, rel=0.01)
    assert found["holders"][0]["path"] == "module program: list `kept`"


def test_bounded_cache_that_is_full_is_no_site(tmp_path: Path) -> None:
    source = "from collections import deque\nlast = deque(maxlen=10)\n\ndef consume():\n    last.append(bytes(1000))\n"
    found = traced(tmp_path, source)
    assert found["sites"] == []
    assert found["holders"] == []


def native_trace(
    folder: Path, source: str, counter: str, rate: float, *, memray: bool, bytes_each: int | None = None
) -> dict[str, Any]:
    """What the tracing pass says where a native counter leaks."""
    probe = "__import__('hfmemdebug.probes.process').probes.process.ProcessProbe()"
    reader = f"(p.watch_arrow(), p.reader_of({counter!r}))[1]"
    growth = f"NativeGrowth({counter!r}, {reader}, {rate}, {memray}, {bytes_each})"
    found: dict[str, Any] = run_traced(
        # What the first slice imports would be traced for minutes.
        folder,
        source,
        f"[trace(walk, {growth}) for p in [{probe}]][0]",
        unseen=1,
    )
    return found


_LIBC = (
    "import ctypes\nlibc = ctypes.CDLL(None)\nlibc.malloc.restype = ctypes.c_void_p\n"
    "libc.malloc.argtypes = [ctypes.c_size_t]\nlibc.free.argtypes = [ctypes.c_void_p]\n"
)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only on Linux")
@pytest.mark.parametrize(
    ("source", "counter", "rate", "lines"),
    [
        (_LIBC + "\ndef consume():\n    libc.malloc(10000)\n", "malloc", 10000, [8]),
        # What is freed again stands out by other amounts.
        (
            _LIBC
            + "\ndef consume():\n    block = libc.malloc(50000)\n    libc.malloc(10000)\n    libc.free(block)\n",
            "malloc",
            10000,
            [9],
        ),
        # A function of the user's own, called by another one: the innermost line.
        (
            _LIBC + "\ndef inner():\n    libc.malloc(10000)\n\ndef consume():\n    inner()\n",
            "malloc",
            10000,
            [8],
        ),
        # Two lines that each make half of it, beside a temporary.
        (
            _LIBC
            + "\ndef consume():\n    block = libc.malloc(30000)\n    libc.malloc(5000)\n    libc.malloc(5000)\n"
            "    libc.free(block)\n",
            "malloc",
            10000,
            [9, 10],
        ),
    ],
    ids=["plain", "beside a temporary", "nested", "two halves"],
)
def test_native_line(tmp_path: Path, source: str, counter: str, rate: float, lines: list[int]) -> None:
    found = native_trace(tmp_path, source, counter, rate, memray=False)
    assert sorted(site["line"] for site in found["sites"]) == lines
    assert all(site["kind"] == "native" for site in found["sites"])
    assert sum(s["bytes_per_iteration"] for s in found["sites"]) == pytest.approx(rate, rel=0.05)
    assert not any(site["native_frames"] for site in found["sites"])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only on Linux")
@pytest.mark.parametrize(
    ("source", "counter", "line"),
    [
        (
            "import os\n\ndef consume():\n    os.close(os.dup(2))\n    os.open('/dev/null', os.O_RDONLY)\n",
            "fds",
            5,
        ),
        (
            "import _thread, time\n\ndef consume():\n    _thread.start_new_thread(time.sleep, (60,))\n",
            "threads",
            4,
        ),
    ],
)
def test_the_line_that_makes_things(tmp_path: Path, source: str, counter: str, line: int) -> None:
    found = native_trace(tmp_path, source, counter, 1.0, memray=False, bytes_each=4096)
    assert [site["line"] for site in found["sites"]] == [line]
    assert found["sites"][0]["count_per_iteration"] == 1
    assert found["sites"][0]["bytes_per_iteration"] == 4096


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only on Linux")
def test_memory_is_mapped_at_one_line_and_touched_at_another(tmp_path: Path) -> None:
    source = (
        "import mmap\nkept = []\n\ndef consume():\n    block = mmap.mmap(-1, 65536, flags=mmap.MAP_PRIVATE)\n"
        "    block.write(bytes(65536))\n    kept.append(block)\n"
    )
    found = native_trace(tmp_path, source, "other", 65536, memray=False)
    assert found["sites"][0]["line"] == 5


def test_lines_that_make_the_rate_together() -> None:
    a, b, c, d = (("train.py", number) for number in range(4))
    assert lines_of({a: 100.0, b: 1000.0, c: -1000.0}, 100.0) == [a]
    assert lines_of({a: 40.0, b: 60.0, c: 1000.0, d: -1000.0}, 100.0) == [b, a]
    # Which two of the three is not known.
    assert lines_of({a: 50.0, b: 50.0, c: 50.0, d: -50.0}, 100.0) == []
    assert lines_of({a: 100.0, b: 100.0, c: -100.0}, 100.0) == []
    assert lines_of({}, 100.0) == []


_STRDUP = (
    "import ctypes\nlibc = ctypes.CDLL(None)\nlibc.strdup.restype = ctypes.c_void_p\n"
    "libc.strdup.argtypes = [ctypes.c_char_p]\n\ndef copy(size):\n    libc.strdup(b'x' * size)\n\n"
    "def consume():\n    copy(3000)\n    libc.strdup(b'x' * 3000)\n"
)


@pytest.mark.memray
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only on Linux")
def test_c_functions_and_the_lines_that_call_them(tmp_path: Path) -> None:
    found = native_trace(tmp_path, _STRDUP, "malloc", 6032, memray=True)
    assert {(s["line"], s["function"]) for s in found["sites"]} == {(7, "copy"), (11, "consume")}
    for site in found["sites"]:
        assert site["kind"] == "native"
        assert site["native_frames"][0] == "strdup"
        assert site["count_per_iteration"] == pytest.approx(1, abs=0.3)
        assert site["share"] == pytest.approx(0.5, abs=0.1)
    assert found["native_frames"] is None
    assert not list(Path(tempfile.gettempdir()).glob("hfmemdebug-native-*"))


@pytest.mark.memray
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only on Linux")
def test_arrows_own_functions(tmp_path: Path) -> None:
    source = (
        "import pyarrow as pa\nkept = []\n\ndef consume():\n    kept.append(pa.array([1.0] * 10000))\n"
        "    pa.array([1.0] * 5000)\n"
    )
    found = native_trace(tmp_path, source, "arrow", 80000, memray=True)
    assert [site["line"] for site in found["sites"]] == [5]
    assert any(name.startswith("arrow::") for name in found["sites"][0]["native_frames"])
    assert found["holders"][0]["path"] == "module program: list `kept`"


@pytest.mark.memray
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only on Linux")
def test_what_memray_cannot_do_is_said_and_the_line_is_named(tmp_path: Path) -> None:
    source = _LIBC + "\nimport sys\nsys.setprofile(lambda *_: None)\ndef consume():\n    libc.malloc(10000)\n"
    found = native_trace(tmp_path, source, "malloc", 10000, memray=True)
    assert "profiler" in found["native_frames"]
    assert [site["line"] for site in found["sites"]] == [10]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only on Linux")
def test_without_memray_the_line_is_named_and_the_extra_is_missing(tmp_path: Path) -> None:
    source = _LIBC + "\nimport sys\nsys.modules['memray'] = None\ndef consume():\n    libc.malloc(10000)\n"
    found = native_trace(tmp_path, source, "malloc", 10000, memray=True)
    assert found["native_frames"] == "not installed"
    assert [site["line"] for site in found["sites"]] == [10]


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("__GI___strdup", "strdup"),
        ("operator new(unsigned long)", "operator new"),
        ("arrow::NumericBuilder<arrow::Int64Type>::Resize(long)", "arrow::NumericBuilder::Resize"),
        ("__pyx_pw_7pyarrow_3lib_199array(_object*, long) [clone .lto_priv.0]", "pyarrow.lib.array"),
        ("__pyx_f_7pyarrow_3lib__sequence_to_array(_object*)", "pyarrow.lib._sequence_to_array"),
        ("arrow::(anonymous namespace)::PyConverter::Extend(_object*, long) [clone .lto_priv.0]",
         "arrow::(anonymous namespace)::PyConverter::Extend"),
    ],
)  # fmt: skip
def test_name_of_a_function(name: str, short: str) -> None:
    assert short_name(name) == short
