"""Lines that would take something out of what grows, where a condition is met that was not."""

from __future__ import annotations

from pathlib import Path

import pytest
from origin.tracing import run_traced

BEGIN = "import itertools, os, random, time\nsteps = itertools.count()\ncache, kept = {}, []\n"
ADD = "    cache[next(steps)] = bytes(1000)\n"


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("def fill(into, most):\n    into.append(bytes(999))\n    if len(into) > most:\n        into.pop(0)\n"
         "def consume():\n    fill(kept, 9000)\n", 6),
        ("most = int(os.environ.get('MOST', 9000))\nmost += 1\ndef consume():\n" + ADD
         + "    while len(cache) > most:\n        cache.popitem()\n", 8),
        ("used = 0\nroom = 9_000_000\ndef consume():\n    global used\n    while used + 1000 > room:\n"
         "        used -= len(cache.popitem()[1])\n    used += 1000\n" + ADD, 8),
        ("def consume():\n" + ADD + "    for key in list(itertools.islice(cache, max(0, len(cache) - 9000))):\n"
         "        del cache[key]\n", 6),
        ("def consume():\n" + ADD + "    for key in list(cache)[:-9000]:\n        cache.pop(key)\n", 6),
        ("step = 0\ndef consume():\n    global step, cache\n    step += 1\n    if step > 10 and not step % 9000:\n"
         "        cache = {}\n" + ADD, 8),
        ("began = time.monotonic()\ndef consume():\n" + ADD
         + "    if time.monotonic() - began > 9000:\n        cache.clear()\n", 7),
        ("def consume():\n" + ADD + "    now = next(steps)\n    old = [key for key in cache if key < now - 9000]\n"
         "    for key in old:\n        del cache[key]\n", 8),
        ("minutes = {}\ndef consume():\n    now = time.time() // 60\n"
         "    minutes.setdefault(now, []).append(bytes(999))\n    for minute in list(minutes):\n"
         "        if minute < now - 60:\n            del minutes[minute]\n", 9),
    ],
)  # fmt: skip
def test_a_condition_that_is_not_met_is_said(tmp_path: Path, source: str, line: int) -> None:
    holder = run_traced(tmp_path, BEGIN + source, "trace(walk).holders")[0]
    assert holder["path"].endswith(f"`, emptied where a condition is met that was not (program.py:{line})")


def test_the_condition_of_the_class_whose_it_is(tmp_path: Path) -> None:
    source = (
        "class Store:\n    def __init__(self): self.items = []\n    def put(self, x, most=9000):\n"
        "        self.items.append(x)\n        if len(self.items) > most:\n            self.items.clear()\n"
        "store = Store()\ndef consume():\n    store.put(bytes(9000))\n"
    )
    holder = run_traced(tmp_path, BEGIN + source, "trace(walk).holders")[0]
    assert holder["path"].endswith("`, emptied where a condition is met that was not (program.py:8)")


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("store = helpers.Store()\ndef consume(): store.put(bytes(9000))\n", 5),
        ("def consume(): helpers.remember(kept, bytes(9000), 5000 + next(steps))\n", 9),
    ],
)
def test_the_condition_in_another_file(tmp_path: Path, source: str, line: int) -> None:
    (tmp_path / "helpers.py").write_text(
        "class Store:\n    def __init__(self): self.items = []\n    def put(self, x, most=9000):\n"
        "        self.items.append(x)\n        if len(self.items) > most:\n            self.items.clear()\n"
        "def remember(into, x, most):\n    into.append(x)\n    if len(into) > most:\n        into.pop(0)\n"
    )
    holder = run_traced(tmp_path, BEGIN + "import helpers\n" + source, "trace(walk).holders")[0]
    assert holder["path"].endswith(f"`, emptied where a condition is met that was not (helpers.py:{line})")


@pytest.mark.parametrize(
    "source",
    [
        # It is met, and does not help.
        "def consume():\n"
        + ADD
        + "    if len(cache) > 3 * next(steps) - 9000:\n        cache.pop('none', None)\n",
        # Nobody calls it.
        "def tidy(most):\n    if len(cache) > most:\n        cache.clear()\ndef consume():\n" + ADD,
        # It does not measure anything.
        "def consume():\n" + ADD + "    if 'end' in cache:\n        cache.clear()\n",
        "def consume():\n" + ADD + "    if random.random() < 1e-9:\n        cache.clear()\n",
        # What lies in it decides.
        "def consume():\n    kept.append((next(steps), bytes(999)))\n    while kept[0][0] < -1:\n"
        "        kept.pop(0)\n",
        # One of them goes at every so many.
        "step = 0\ndef consume():\n    global step\n    step += 1\n    kept.append(bytes(999))\n"
        "    if not step % 9000:\n        del kept[0]\n",
        # Another class has one of the same name.
        "class Keeps:\n    def __init__(self): self.items = []\n    def put(self, x): self.items.append(x)\n"
        "class Store(Keeps):\n    def put(self, x, most=9000):\n        self.items.append(1)\n"
        "        if len(self.items) > most:\n            self.items.clear()\n"
        "keeps, store = Keeps(), Store()\ndef consume():\n    keeps.put(bytes(9000))\n    store.put(1)\n",
        # What is emptied is another one.
        "def consume():\n" + ADD + "    if len(cache) > 1e9:\n        kept.clear()\n",
    ],
)
def test_what_is_no_such_condition_is_not_called_one(tmp_path: Path, source: str) -> None:
    holder = run_traced(tmp_path, BEGIN + source, "trace(walk).holders")[0]
    assert "emptied" not in holder["path"]
    assert "bounded" not in holder["path"]
