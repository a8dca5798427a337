"""Containers that their own code bounds, in a number that the run did not reach."""

from __future__ import annotations

from pathlib import Path

import pytest
from origin.tracing import run_traced

BEGIN = "import collections, itertools\nsteps = itertools.count()\n"
LRU = (
    "class Lru(collections.OrderedDict):\n"
    "    def __init__(self, size):\n"
    "        super().__init__()\n"
    "        self.size = size\n"
    "    def __setitem__(self, key, value):\n"
    "        super().__setitem__(key, value)\n"
    "        {trim}\n"
)
OWNER = (
    "class Cache:\n"
    "    {attributes}\n"
    "    def __init__(self):\n"
    "        self.data = {{}}\n"
    "    def add(self, key, value):\n"
    "        self.data[key] = value\n"
    "        if len(self.data) > self.limit:\n"
    "            self.evict()\n"
    "    def evict(self):\n"
    "        {evict}\n"
    "cache = Cache()\n"
    "def consume():\n"
    "    cache.add(next(steps), bytes(1000))\n"
)
BYTES = "cache = {{}}\ntotal = 0\ndef consume():\n    global total\n    cache[next(steps)] = bytes(1000)\n    {count}\n"
DROP = "        total -= len(cache.pop(min(cache)))\n"
ADD = "def consume():\n    cache[next(steps)] = bytes(1000)\n"


THREAD = (
    "import queue, threading\nasked = queue.Queue()\ndef work():\n    seen = {{-1: []}}\n    while True:\n"
    "        seen[asked.get()] = [bytes(1000)]\n        {trim}\n        asked.task_done()\n"
    "threading.Thread(target=work, daemon=True).start()\n"
    "def consume():\n    asked.put(next(steps))\n    asked.join()\n"
)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (THREAD.format(trim="while len(seen) > 9000: seen.pop(min(seen))"), "9,000 (program.py:9)"),
        (
            "def collect():\n    seen = {}\n    while True:\n        seen[(yield)] = bytes(1000)\n"
            "        if len(seen) > 9000:\n            seen.pop(min(seen))\n"
            "g = collect()\nnext(g)\ndef consume():\n    g.send(next(steps))\n",
            "9,000 (program.py:7)",
        ),
        (
            "kept = []\ndef consume():\n    if len(kept) < 9000:\n        kept.append(bytes(1000))\n"
            "    else:\n        kept[0] = bytes(1000)\n",
            "9,000 ",
        ),
        (
            "import heapq\nkept = []\ndef consume():\n    if len(kept) < 9000:\n"
            "        heapq.heappush(kept, bytes(1000))\n",
            "9,000 ",
        ),
        (
            BYTES.format(count="total += 1000") + "    while total > 1000 * 9000:\n" + DROP,
            "9,000,000 in `total` (program.py:9)",
        ),
        (
            "cache = {}\n" + ADD + "    if len(cache) > 9000:\n        cache.pop(next(iter(cache)))\n",
            "9,000 (program.py:6)",
        ),
        (
            "cache = {}\ndef consume():\n    if len(cache) < 9 * 1000:\n        cache[next(steps)] = bytes(1000)\n",
            "9,000 ",
        ),
        (
            "cache = {}\ndef consume():\n    if 9000 <= len(cache):\n        return\n"
            "    cache[next(steps)] = bytes(1000)\n",
            "9,000 ",
        ),
        (
            "MOST = 9000\ncache = {}\n"
            + ADD
            + "    while len(cache) > MOST:\n        del cache[min(cache)]\n",
            "9,000 ",
        ),
        (
            "kept = []\ndef consume():\n    kept.append(bytes(1000))\n"
            "    if len(kept) >= 9000 and steps:\n        kept[:] = []\n",
            "9,000 ",
        ),
        ("kept = []\ndef consume():\n    kept.append(bytes(1000))\n    del kept[:-9000]\n", "9,000 "),
        (
            "kept = []\ndef consume():\n    kept.append(bytes(1000))\n    if next(steps) % 9000 == 8999:\n"
            "        print(len(kept))\n        kept.clear()\n",
            "9,000 ",
        ),
        ("cache = {}\n" + ADD + "    if len(cache) > 9e3:\n        cache.clear()\n", "9,000 "),
        (
            "config = {'cache': {'most': 9000}}\ncache = {}\n"
            + ADD
            + "    if len(cache) > config['cache']['most']:\n        cache.clear()\n",
            "9,000 ",
        ),
        (
            OWNER.replace("if len(self.data)", "while len(self)").format(
                attributes="limit = 9000\n    def __len__(self): return len(self.data)",
                evict="self.data.popitem()",
            ),
            "9,000 ",
        ),
        (
            "kept = []\ndef consume():\n    global kept\n    if steps:\n        kept.append(bytes(1000))\n"
            "    kept = kept[-9000:]\n",
            "9,000 ",
        ),
        (
            "cache = {}\norder = collections.deque()\ndef consume():\n    cache[key := next(steps)] = bytes(1000)\n"
            "    order.append(key)\n    if len(order) > 9000:\n        del cache[order.popleft()]\n",
            "9,000 in `len(order)` (program.py:8)",
        ),
        (
            LRU.format(trim="if len(self) > self.size: self.popitem(last=False)")
            + "cache = Lru(9000)\n"
            + ADD,
            "9,000 ",
        ),
        (OWNER.format(attributes="limit = 9000", evict="del self.data[min(self.data)]"), "9,000 "),
        (
            "kept = []\ndef consume():\n    global kept\n    kept = sorted([*kept, str(next(steps)) * 500])[:9000]\n",
            "9,000 (program.py:6)",
        ),
        (
            "import heapq\nkept = []\ndef consume():\n    global kept\n"
            "    kept = heapq.nlargest(9000, [*kept, str(next(steps)) * 500])\n",
            "9,000 (program.py:7)",
        ),
        ("kept = []\ndef consume():\n    kept.insert(0, bytes(1000))\n    del kept[9000:]\n", "9,000 "),
        (
            "class Config: most = 9000\nconfig = Config()\ncache = {}\n"
            + ADD
            + "    if len(cache) > config.most:\n        cache.clear()\n",
            "9,000 ",
        ),
        (
            "import heapq\nkept = []\ndef consume():\n    heapq.heappush(kept, bytes(1000))\n"
            "    if len(kept) > 9000:\n        heapq.heappop(kept)\n",
            "9,000 ",
        ),
        (
            "import numpy\nkept = numpy.empty((0, 99))\ndef consume():\n    global kept\n"
            "    kept = numpy.concatenate([kept, numpy.ones((1, 99))])[-9000:]\n",
            "9,000 (program.py:7)",
        ),
        ("import queue\nq = queue.Queue(maxsize=9000)\ndef consume():\n    q.put(bytes(1000))\n", "9,000"),
        # In a function that is called, or that runs beside; in a property; in how many keys there can be.
        (
            "cache = {}\ndef trim():\n    while len(cache) > 9000:\n        cache.popitem()\n"
            + ADD
            + "    trim()\n",
            "9,000 (program.py:5)",
        ),
        (
            "import threading, time\ncache = {}\ndef janitor():\n    while True:\n        time.sleep(1)\n"
            "        while len(cache) > 9000:\n            cache.popitem()\n"
            "threading.Thread(target=janitor, daemon=True).start()\n" + ADD,
            "9,000 (program.py:8)",
        ),
        (
            "import threading, time\ncache = {}\nclass Janitor(threading.Thread):\n    def run(self):\n"
            "        while True:\n            time.sleep(1)\n            if len(cache) > 9000: cache.clear()\n"
            "Janitor(daemon=True).start()\n" + ADD,
            "9,000 (program.py:9)",
        ),
        (
            "class Cache:\n    def __init__(self): self.items = {}\n"
            "    @property\n    def full(self):\n        'Whether.'\n        return len(self.items) >= 9000\n"
            "    def put(self, key):\n        if self.full: self.items.popitem()\n"
            "        self.items[key] = bytes(1000)\n"
            "cache = Cache()\ndef consume(): cache.put(next(steps))\n",
            "9,000 (program.py:10)",
        ),
        (
            "cache = {}\ndef room(): return len(cache) < 9000\n"
            "def consume():\n    if not room():\n        cache.clear()\n    cache[next(steps)] = bytes(1000)\n",
            "9,000 (program.py:6)",
        ),
        ("ring = {}\ndef consume(): ring[next(steps) % 9000] = bytes(1000)\n", "9,000 (program.py:4)"),
        (
            "ring = {}\ndef consume():\n    slot = next(steps) % 9000\n    ring[slot] = bytes(1000)\n",
            "9,000 (program.py:6)",
        ),
        # Of a class; in closures, with a limit that is an argument of the function around.
        (
            "class Cache:\n    seen = {}\n    @classmethod\n    def put(cls, key):\n"
            "        cls.seen[key] = bytes(1000)\n        if len(cls.seen) > 9000:\n            cls.seen.popitem()\n"
            "def consume(): Cache.put(next(steps))\n",
            "9,000 (program.py:8)",
        ),
        (
            "def memo(limit):\n    def decorate(function):\n        cache = {}\n        def wrapper(key):\n"
            "            if len(cache) >= limit:\n                cache.pop(next(iter(cache)))\n"
            "            cache[key] = function(key)\n        return wrapper\n    return decorate\n"
            "@memo(9000)\ndef make(key): return bytes(1000)\ndef consume(): make(next(steps))\n",
            "9,000 (program.py:7)",
        ),
        # Under another name; as an entry.
        (
            "class Cache:\n    def __init__(self): self.items = {}\n    def put(self, key):\n"
            "        items = self.items\n        items[key] = bytes(1000)\n        if len(items) > 9000:\n"
            "            items.clear()\ncache = Cache()\ndef consume(): cache.put(next(steps))\n",
            "9,000 (program.py:8)",
        ),
        (
            "metrics = {'loss': []}\ndef consume():\n    metrics['loss'].append(bytes(1000))\n"
            "    if len(metrics['loss']) > 9000:\n        metrics['loss'].pop(0)\n",
            "9,000 (program.py:6)",
        ),
        (
            "lists = {}\ndef consume():\n    key = next(steps) % 3\n    lists.setdefault(key, [])\n"
            "    lists[key].append(bytes(1000))\n    lists[key] = lists[key][-9000:]\n",
            "9,000 (program.py:8)",
        ),
        (
            "sets = collections.defaultdict(set)\ndef consume():\n    number = next(steps)\n    key = number % 3\n"
            "    sets[key].add(number.to_bytes(1000, 'big'))\n    sets[key] = set(sorted(sets[key])[-9000:])\n",
            "9,000 (program.py:8)",
        ),
        # Cut as it is made anew in other ways.
        (
            "cache = {}\ndef consume():\n    global cache\n    cache[next(steps)] = bytes(1000)\n"
            "    cache = {key: value for key, value in list(cache.items())[-9000:]}\n",
            "9,000 (program.py:7)",
        ),
        (
            "kept = []\ndef consume():\n    global kept\n    kept.append(bytes(1000))\n"
            "    kept = [each for each in kept[-9000:] if each]\n",
            "9,000 (program.py:7)",
        ),
        # Texts and arrays, also under keys.
        (
            "log = ''\ndef consume():\n    global log\n    log = log + 'x' * 100 + str(next(steps))\n"
            "    log = log[-9_000_000:]\n",
            "9,000,000 (program.py:7)",
        ),
        (
            "rows = {}\ndef consume():\n    key = next(steps) % 3\n"
            "    rows[key] = (*rows.get(key, ()), bytes(1000))\n    rows[key] = rows[key][-9000:]\n",
            "9,000 (program.py:7)",
        ),
        (
            "logs = {}\ndef consume():\n    key = next(steps) % 3\n"
            "    logs[key] = (logs.get(key, '') + 'x' * 100)[-9_000_000:]\n",
            "9,000,000 (program.py:6)",
        ),
        (
            "import numpy as np\nclass Store:\n    def __init__(self): self.rows = {}\n    def add(self, key):\n"
            "        old = self.rows.get(key, np.zeros(0))\n"
            "        self.rows[key] = np.concatenate([old, np.ones(100)])[-9_000_000:]\n"
            "store = Store()\ndef consume(): store.add(next(steps) % 3)\n",
            "9,000,000 (program.py:8)",
        ),
    ],
)
def test_a_bound_is_said(tmp_path: Path, source: str, words: str) -> None:
    # Lists that are made anew at each slice are found by what is in them.
    holder = run_traced(tmp_path, BEGIN + source, "trace(walk).holders")[0]
    assert f", bounded to {words}" in holder["path"]


STORE = (
    "class Base:\n    def __init__(self, room): self.items, self.room = {}, room\n"
    "    def put(self, key, value):\n        self.items[key] = value\n"
    "        if len(self.items) > self.room:\n            self.items.popitem()\n"
    "class Other:\n    def put(self, key, value): self.items[key] = value\n"
    "def remember(cache, key, most=9000, value=None):\n    cache[key] = value\n"
    "    while len(cache) > LIMIT:\n        del cache[next(iter(cache))]\n"
    "def collect(cache, key): cache[key] = bytes(1000)\n"
    "LIMIT = 9000\n"
)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("store = helpers.Base(9000)\ndef consume(): store.put(next(steps), bytes(1000))\n", 5),
        (
            "class Mine(helpers.Base):\n    def __init__(self): super().__init__(9000)\n"
            "    def see(self, value): self.put(next(steps), value)\n"
            "store = Mine()\ndef consume(): store.see(bytes(1000))\n",
            5,
        ),
        ("cache = {}\ndef consume(): helpers.remember(cache, next(steps), value=bytes(1000))\n", 11),
        (
            "from helpers import remember\ncache = {}\n"
            "def consume(): remember(key=next(steps), value=bytes(1000), cache=cache)\n",
            11,
        ),
        # Where it is filled without one as well, that is no bound.
        ("store = helpers.Base(9000)\ndef consume(): store.items[next(steps)] = bytes(1000)\n", None),
        ("store = helpers.Base(9)\ndef consume(): store.items[next(steps)] = bytes(1000)\n", None),
        ("cache = {}\ndef consume(): helpers.collect(cache, next(steps))\n", None),
    ],
)
def test_a_bound_in_another_file_is_said(tmp_path: Path, source: str, line: int | None) -> None:
    (tmp_path / "helpers.py").write_text(STORE)
    holder = run_traced(tmp_path, BEGIN + "import helpers\n" + source, "trace(walk).holders")[0]
    assert holder["path"].endswith(f"`, bounded to 9,000 (helpers.py:{line})" if line else "`")


@pytest.mark.parametrize(
    "attributes",
    [
        "        self.maxsize = most",
        "        self.__maxsize = most\n    maxsize = property(lambda self: self.__maxsize)",
        "        self._max_size = most",
        "        self.capacity = most",
    ],
)
@pytest.mark.parametrize("base", ["", "(dict)"])
def test_an_installed_cache_says_its_bound(tmp_path: Path, attributes: str, base: str) -> None:
    library = tmp_path / "site-packages" / "caching.py"
    library.parent.mkdir()
    library.write_text(
        f"class Cache{base}:\n    def __init__(self, most):\n        self.data = {{}}\n{attributes}\n"
        "    def put(self, key, value):\n        "
        + ("self[key] = value\n" if base else "self.data[key] = value\n")
    )
    source = (
        f"import sys\nsys.path.insert(0, {str(library.parent)!r})\nimport caching\n"
        "cache = caching.Cache({most})\ndef consume():\n    cache.put(next(steps), bytes(1000))\n"
    )
    for most, words in ((9000, "`, bounded to 9,000"), (0, "`"), (3, "`"), (2**31 - 1, "`")):
        (holder,) = run_traced(tmp_path, BEGIN + source.replace("{most}", str(most)), "trace(walk).holders")
        assert holder["path"].endswith(words)


def test_what_a_bounded_container_holds_is_known_of_numbers_and_texts_alone(tmp_path: Path) -> None:
    source = (
        "class Some: pass\nfew = {}\ndef consume():\n    if len(few) < 9000:\n        few[next(steps)] = "
    )
    held = []
    for value in ("1.5", "('x' * 1000, 1)", "Some()"):
        (holder,) = run_traced(tmp_path, f"{BEGIN}{source}{value}\n", "find_holders(walk, 20)")
        held.append(holder.get("bytes_per_iteration"))
    assert 50 < held[0] < 250 < 1000 < held[1] < 1500
    assert held[2] is None


@pytest.mark.parametrize(
    "source",
    [
        # Another function's of the same name has one.
        THREAD.format(trim="pass")
        + "def other(seen):\n    seen[1] = 2\n    while len(seen) > 9000: seen.pop(min(seen))\n",
        # It was reached, and did not help.
        "cache = {}\n" + ADD + "    if len(cache) > 3:\n        cache.pop('no such key', None)\n",
        # Nobody takes anything out.
        "cache = {}\n" + ADD + "    if len(cache) > 9000:\n        print('large')\n",
        OWNER.format(attributes="limit = 9000", evict="pass"),
        # The bound grows too.
        "cache = {}\nmost = 9000\ndef consume():\n    global most\n    most += 1\n    if len(cache) < most:\n"
        "        cache[next(steps)] = bytes(1000)\n",
        # Another function fills it, and looks at nothing.
        "cache = {}\ndef never():\n    if len(cache) < 9000:\n        cache[next(steps)] = 1\n" + ADD,
        # Only now and then, or never, it is cut.
        "kept = []\ndef consume():\n    kept.append(bytes(1000))\n    if next(steps) < 0:\n        del kept[:-9000]\n",
        "kept = []\ndef consume():\n    kept.append(bytes(1000))\n    last = kept[-9000:]\n",
        # What it is compared with is raised.
        "config = {'most': 9000}\ncache = {}\n"
        + ADD
        + "    if len(cache) > config['most']:\n        cache.clear()\n    config['most'] += 1\n",
        "config = {'most': 9000}\ncache = {}\n"
        + ADD
        + "    if len(cache) > config['most']:\n        cache.clear()\n    config.update(most=next(steps))\n",
        "config = {'most': 9000}\ncache = {}\ndef fill(config):\n    cache[next(steps)] = bytes(1000)\n"
        "    if len(cache) > config['most']:\n        cache.clear()\n"
        "def consume():\n    fill({'most': 10**9})\n",
        # One of them goes at every so many steps.
        "kept = []\ndef consume():\n    kept.append(bytes(999))\n    if next(steps) % 900 == 7:\n        del kept[0]\n",
        # It measures what nobody counts.
        BYTES.format(count="pass") + "    while total > 9000:\n" + DROP,
        # What is bounded is the other one.
        "cache = {}\nother = {}\n" + ADD + "    if len(other) > 9000:\n        other.clear()\n",
        # It does not keep the rest from being put in.
        "cache = {}\ndef consume():\n    if len(cache) < 9000 or steps:\n        cache[next(steps)] = bytes(1000)\n",
        "import queue\nq = queue.Queue()\ndef consume():\n    q.put(bytes(1000))\n",
        # It is called under a condition; by nobody; it runs beside, and looks at nothing.
        "cache = {}\ndef trim():\n    while len(cache) > 9000:\n        cache.popitem()\n"
        + ADD
        + "    if next(steps) < 0:\n        trim()\n",
        "cache = {}\ndef trim():\n    while len(cache) > 9000:\n        cache.popitem()\n" + ADD,
        "import threading\ncache = {}\ndef beside():\n    len(cache) > 9000\n"
        "threading.Thread(target=beside).start()\n" + ADD,
        # Not all its keys go round; the number that goes round is a value.
        "ring = {}\ndef consume():\n    ring[next(steps) % 9000] = 1\n    ring[str(next(steps))] = bytes(1000)\n",
        "ring = {}\ndef consume(): ring[next(steps)] = str(next(steps) % 9000) * 300\n",
        # Another variable of that name, and another entry.
        "class Cache:\n    def __init__(self): self.items, self.others = {}, {}\n    def put(self, key):\n"
        "        items = self.others\n        self.items[key] = bytes(1000)\n        if len(items) > 9000:\n"
        "            items.clear()\ncache = Cache()\ndef consume(): cache.put(next(steps))\n",
        # Full is another one.
        "cache, other = {}, {}\ndef full(): return len(other) > 9000\n"
        + ADD
        + "    if full():\n        cache.clear()\n",
    ],
)
def test_what_is_no_bound_is_not_called_one(tmp_path: Path, source: str) -> None:
    holder = run_traced(tmp_path, BEGIN + source, "find_holders(walk, 20)")[0]
    assert "bounded" not in holder["path"]
