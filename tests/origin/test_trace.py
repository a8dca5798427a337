"""Sites and holders of programs whose leak is known, each traced in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from uncovered import uncovered

_DRIVER = """
import json, sys
sys.path.insert(0, {folder!r})
import program
from hfmemdebug.origin.trace import trace

def walk():
    while True:
        program.consume()
        yield

print(json.dumps(trace(walk)))
"""


def traced(folder: Path, source: str) -> dict[str, Any]:
    """What the tracing pass says of a program whose `consume()` is called at every slice."""
    (folder / "program.py").write_text(source)
    code = _DRIVER.format(folder=str(folder))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=uncovered()
    )
    found: dict[str, Any] = json.loads(done.stdout)
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


def test_bounded_cache_that_is_full_is_no_site(tmp_path: Path) -> None:
    source = "from collections import deque\nlast = deque(maxlen=10)\n\ndef consume():\n    last.append(bytes(1000))\n"
    found = traced(tmp_path, source)
    assert found["sites"] == []
    assert found["holders"] == []


_NATIVE_DRIVER = """
import json, sys
sys.path.insert(0, {folder!r})
import program
from hfmemdebug.origin.trace import trace
from hfmemdebug.probes.process import ProcessProbe

def walk():
    while True:
        program.consume()
        yield

probe = ProcessProbe()
probe.watch_arrow()
print(json.dumps(trace(walk, (probe.reader_of({counter!r}), {rate}))))
"""
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
        # Two lines that each make half of it: neither is called the one.
        (_LIBC + "\ndef consume():\n    libc.malloc(5000)\n    libc.malloc(5000)\n", "malloc", 10000, []),
    ],
    ids=["plain", "beside a temporary", "nested", "two halves"],
)
def test_native_line(tmp_path: Path, source: str, counter: str, rate: float, lines: list[int]) -> None:
    (tmp_path / "program.py").write_text(source)
    code = _NATIVE_DRIVER.format(folder=str(tmp_path), counter=counter, rate=rate)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=uncovered()
    )
    found = json.loads(done.stdout)
    assert [site["line"] for site in found["sites"]] == lines
    assert all(site["kind"] == "native" for site in found["sites"])
    if lines:
        assert found["sites"][0]["bytes_per_iteration"] == pytest.approx(rate, rel=0.05)
