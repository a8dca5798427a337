from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from supervise import programs
from uncovered import uncovered

from hfmemdebug.inject import _hfmemdebug_common
from hfmemdebug.probes.inside import FOLDER, InsideReader, environment
from hfmemdebug.recording.end import BoundedText, Cache

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only on Linux")


def run(
    code: str, folder: Path, *arguments: str, flags: tuple[str, ...] = ("-W", "error"), **environ: str
) -> str:
    """A program with the sampler in it; what it printed."""
    (folder / "pages").mkdir(exist_ok=True)
    program = folder / "program.py"
    program.write_text(code)
    done = subprocess.run(
        [sys.executable, *flags, str(program), *arguments],
        env={
            **os.environ,
            "PYTHONPATH": f"{FOLDER}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
            "HFMEMDEBUG_RUN": str(folder / "pages"),
            "HFMEMDEBUG_RUN_DEBUG": "1",
            **environ,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def pids(folder: Path) -> list[int]:
    return sorted(int(path.stem) for path in (folder / "pages").glob("*.page"))


def test_counters_outlive_the_process(tmp_path: Path) -> None:
    out = run(
        "import os, time; kept = ['x' * 100 + str(i) for i in range(50000)]; time.sleep(.3); print(os.getpid())",
        tmp_path,
    )
    reader = InsideReader(tmp_path / "pages")
    found = reader.read(int(out))
    assert found is not None
    assert found["blocks"] > 50_000
    assert found["rows"] == 0
    assert found["ending"] is True
    assert "arrow" not in found
    assert reader.versions(int(out))["Python version"] == sys.version.split()[0]
    reader.forget(int(out))
    assert pids(tmp_path) == []


def test_the_program_does_not_notice(tmp_path: Path) -> None:
    code = (
        "import os, sys, threading\n"
        "print(threading.active_count(), len(os.listdir('/proc/self/fd')))\n"
        "print([entry for entry in sys.path if entry.endswith('inject')])\n"
    )
    with_it = run(code, tmp_path)
    without = subprocess.run(
        [sys.executable, str(tmp_path / "program.py")], capture_output=True, text=True, check=True
    )
    assert with_it == without.stdout


def test_the_environments_own_sitecustomize_runs(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own/sitecustomize.py").write_text("import builtins; builtins.theirs = 5")
    path = f"{FOLDER}{os.pathsep}{tmp_path / 'own'}"
    out = run("import sitecustomize; print(theirs, sitecustomize.__file__)", tmp_path, PYTHONPATH=path)
    assert out == f"5 {tmp_path / 'own/sitecustomize.py'}\n"
    assert pids(tmp_path)


STARTED = """
import os, subprocess, sys, time
def work(*ignored):
    kept = bytearray(b"x") * (8 << 20)
    time.sleep(0.3)
if __name__ == "__main__":
    how = sys.argv[1]
    if how == "os.fork":
        pid = os.fork()
        if pid == 0:
            work()
            os._exit(0)
        os.waitpid(pid, 0)
    elif how == "subprocess":
        subprocess.run([sys.executable, "-c", "import time; time.sleep(0.3)"], check=True)
    else:
        package, _, method = how.partition(" ")
        context = __import__(package).get_context(method)
        child = context.Process(target=work)
        child.start()
        child.join()
"""


@pytest.mark.parametrize(
    ("how", "least"),
    [
        ("os.fork", 2),
        ("subprocess", 2),
        ("multiprocessing fork", 2),
        ("multiprocessing spawn", 2),
        # The server itself, and what it forks.
        ("multiprocessing forkserver", 3),
        ("multiprocess fork", 2),
    ],
)
def test_children_are_followed(how: str, least: int, tmp_path: Path) -> None:
    # dill, which multiprocess brings, warns of itself on some versions.
    run(STARTED, tmp_path, how, flags=())
    reader = InsideReader(tmp_path / "pages")
    found = [reader.read(pid) for pid in pids(tmp_path)]
    assert len([one for one in found if one and one["blocks"] > 0]) >= least


# pyarrow has threads of its own, of which Python from 3.12 on warns at each fork.
IGNORE = ("-W", "ignore::DeprecationWarning")


def test_a_fork_has_a_page_of_its_own_and_rows_of_its_own(tmp_path: Path) -> None:
    dataset = programs.make_dataset(tmp_path)
    code = (
        "import datasets, os, sys, time\n"
        "ds = datasets.load_from_disk(sys.argv[1])\n"
        "ds[:700]\n"
        "pid = os.fork()\n"
        "for row in ds.select(range(300)): pass\n"
        "time.sleep(0.3)\n"
        "if pid == 0: os._exit(0)\n"
        "os.waitpid(pid, 0)\n"
        "print(os.getpid(), pid)\n"
    )
    parent, child = map(int, run(code, tmp_path, str(dataset), flags=IGNORE).split())
    reader = InsideReader(tmp_path / "pages")
    rows = [(reader.read(pid) or {}).get("rows") for pid in (parent, child)]
    assert rows == [1000, 300]


def test_threads_that_fork_at_the_same_time_leave_one_sampler(tmp_path: Path) -> None:
    code = (
        "import os, threading, time\n"
        "def forks():\n"
        "    for _ in range(15):\n"
        "        pid = os.fork()\n"
        "        if pid == 0: os._exit(0)\n"
        "        os.waitpid(pid, 0)\n"
        "began = time.monotonic()\n"
        "threads = [threading.Thread(target=forks) for _ in range(3)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
        "time.sleep(0.3)\n"
        "print(len(os.listdir('/proc/self/task')))\n"
    )
    assert run(code, tmp_path, flags=IGNORE) == "2\n"


INTERPRETERS = r"""
import sys, threading, time
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
def work():
    each = interpreters.create()
    run = getattr(interpreters, "run_string", None) or interpreters.exec
    run(each, "def f(n): return sum(i for i in range(n))\nfor _ in range(60): f(30000)")
    interpreters.destroy(each)
for _ in range(2): work()
thread = threading.Thread(target=work)
thread.start()
until = time.monotonic() + 2.2
while time.monotonic() < until: time.sleep(0.01)
thread.join()
"""


def test_other_interpreters_of_the_process_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    # Not everything that Python starts with, coverage's part among it, can be loaded in another interpreter.
    subprocess.run(
        [sys.executable, "-c", INTERPRETERS],
        env=environment(tmp_path / "pages", uncovered(), trace=None),
        stderr=subprocess.DEVNULL,
        check=True,
        timeout=120,
    )
    page = (tmp_path / "pages" / f"{pids(tmp_path)[0]}.page").read_bytes()
    ticks = int.from_bytes(page[_hfmemdebug_common.S_TICKS * 8 :][:8], sys.byteorder)
    # Theirs would have begun to count anew.
    assert ticks >= 10


def test_samplers_are_told_how_many_share_the_time(tmp_path: Path) -> None:
    run("import os\nif os.fork() == 0: os._exit(0)\nos.wait()", tmp_path)
    parent, child = pids(tmp_path)
    reader = InsideReader(tmp_path / "pages")
    with (tmp_path / "pages" / f"{parent}.page").open("rb", buffering=0) as page:
        for change, pid, expected in (
            (reader.read, parent, 1),
            (reader.read, child, 2),
            (reader.forget, child, 1),
        ):
            change(pid)
            page.seek(_hfmemdebug_common.S_PROCESSES * 8)
            assert int.from_bytes(page.read(8), sys.byteorder) == expected


READS = {
    "ds[5], ds[-1]": 2,
    "ds[10:30], ds[:7], ds[3:100:2]": 20 + 7 + 49,
    "ds[[1, 5, 9]], ds[range(4)]": 7,
    "ds['text']": 0,
    "[row for row in ds]": 2000,
    "[batch for batch in ds.iter(300)]": 2000,
    "ds.with_format('numpy')[:50], [b for b in ds.with_format('numpy').iter(500)]": 2050,
    "[row for row in ds.to_iterable_dataset()]": 2000,
    "ds.__getitems__([1, 2, 3])": 3,
}


def test_a_fork_keeps_sharing_what_its_parent_has(tmp_path: Path) -> None:
    dataset = programs.make_dataset(tmp_path)
    code = (
        "import gc, os, re, sys, time\n"
        "import datasets\n"
        "ds = datasets.load_from_disk(sys.argv[1])\n"
        "kept = [[i] for i in range(400_000)]\n"
        "gc.disable()\n"
        "if os.fork() == 0:\n"
        "    ds[:100]\n"
        "    time.sleep(1)\n"
        "    with open('/proc/self/smaps_rollup') as file:\n"
        "        print(re.search(r'Private_Dirty: +(\\d+)', file.read())[1], flush=True)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
    )
    # Lists of 64 bytes with the collector's part: 26 MB.
    assert int(run(code, tmp_path, str(dataset), flags=IGNORE)) < 15_000


def test_rows_are_counted_however_they_are_read(tmp_path: Path) -> None:
    dataset = programs.make_dataset(tmp_path)
    code = (
        "import _hfmemdebug_hooks, datasets, sys\n"
        "ds = datasets.load_from_disk(sys.argv[1])\n"
        f"for reads in {list(READS)!r}:\n"
        "    before = _hfmemdebug_hooks.rows[0]\n"
        "    eval(reads)\n"
        "    print(_hfmemdebug_hooks.rows[0] - before)\n"
    )
    counted = [int(line) for line in run(code, tmp_path, str(dataset), flags=()).split()]
    assert dict(zip(READS, counted, strict=True)) == READS


def test_where_rows_are_read_the_program_gives_way_to_each_reading(tmp_path: Path) -> None:
    dataset = programs.make_dataset(tmp_path)
    code = (
        "import _hfmemdebug_hooks, datasets, sys, time\n"
        "thread = _hfmemdebug_hooks.thread\n"
        "wait, given = thread.wait_for_sample, []\n"
        "thread.wait_for_sample = lambda: given.append(wait())\n"
        "ds = datasets.load_from_disk(sys.argv[1])\n"
        "for reads in (lambda: ds[:100], lambda: ds[3], lambda: next(iter(ds.iter(16))), lambda: list(ds)):\n"
        "    given.clear()\n"
        "    _hfmemdebug_hooks.rows[0] = 1\n"
        "    while len(given) < 3:\n"
        "        reads()\n"
        "    print('given')\n"
    )
    # However they are read; it would not end otherwise.
    assert run(code, tmp_path, str(dataset), flags=()).split() == ["given"] * 4


def test_arrow_is_read_once_the_program_has_imported_it(tmp_path: Path) -> None:
    code = (
        "import os, time, pyarrow\n"
        "kept = pyarrow.array(range(1_000_000))\n"
        "time.sleep(0.3)\nprint(os.getpid())"
    )
    found = InsideReader(tmp_path / "pages").read(int(run(code, tmp_path)))
    assert found is not None
    assert found["arrow"] >= 8_000_000 or found["malloc"] >= 8_000_000


def test_where_nothing_was_asked_for_nothing_happens(tmp_path: Path) -> None:
    run("pass", tmp_path, HFMEMDEBUG_RUN="")
    assert pids(tmp_path) == []


def test_a_folder_that_is_gone_does_not_disturb(tmp_path: Path) -> None:
    run("import os; os.fork() or os._exit(0)", tmp_path, HFMEMDEBUG_RUN="/nowhere", HFMEMDEBUG_RUN_DEBUG="")


def test_no_page_is_no_reading(tmp_path: Path) -> None:
    reader = InsideReader(tmp_path)
    assert reader.read(1) is None
    (tmp_path / "1.page").write_bytes(b"short")
    assert reader.read(1) is None
    (tmp_path / "2.page").write_bytes(bytes(4096))
    assert reader.read(2) is None
    assert reader.versions(1) == {}


def test_caches_that_are_not_full_as_the_program_ends_are_told(tmp_path: Path) -> None:
    code = (
        "import functools, os, time\n"
        "@functools.lru_cache(maxsize=5000)\ndef half_full(n): return [n]\n"
        "@functools.lru_cache(maxsize=2000)\ndef full(n): return [n]\n"
        "@functools.lru_cache(maxsize=None)\ndef unbounded(n): return [n]\n"
        "time.sleep(2.5)\n"
        "for n in range(2500): half_full(n), full(n), unbounded(n)\n"
        "print(os.getpid())"
    )
    found = InsideReader(tmp_path / "pages").caches(int(run(code, tmp_path)))
    # Of each a number and a list with it.
    assert [replace(each, blocks_an_entry=round(each.blocks_an_entry or 0)) for each in found] == [
        Cache("lru_cache (maxsize=5000) `half_full`", entries=2500, bound=5000, blocks_an_entry=2)
    ]


def test_what_the_programs_code_bounds_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import os, queue, time\n"
        "class Store:\n"
        "    def __init__(self, room): self.items, self.room = {}, room\n"
        "    def put(self, key):\n"
        "        self.items[key] = [key]\n"
        "        if len(self.items) > self.room: self.items.clear()\n"
        "class Owner: pass\n"
        "owner, full, waiting, total = Owner(), Store(2500), queue.Queue(maxsize=9000), 0\n"
        "owner.store, texts, endless = Store(5000), {}, []\n"
        "def remember(text):\n"
        "    global total\n"
        "    texts[text] = text\n"
        "    total += 10\n"
        "    while total > 100_000: total -= len(texts.popitem()[0])\n"
        "time.sleep(2.5)\n"
        "for n in range(2500):\n"
        "    owner.store.put(n), full.put(n), waiting.put([n]), remember(str(n)), endless.append([n])\n"
        "print(os.getpid())\n"
    )
    reader, pid = ended(tmp_path)
    found = {cache.path: cache for cache in reader.caches(pid)}
    assert found.keys() == {
        "dict `owner.store.items`, bounded to 5,000 (program.py:6)",
        "deque `waiting.queue`, bounded to 9,000",
        "dict `texts`, bounded to 100,000 in `total` (program.py:14)",
    }
    # Where something else is measured, it has room for four times as many of those.
    assert sorted(cache.bound for cache in found.values()) == [5_000, 9_000, 10_000]
    assert {cache.entries for cache in found.values()} == {2500}


def test_texts_and_arrays_that_the_code_cuts_are_told_until_they_are_as_long(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import io, os, sys, time\n"
        "log = short = full = endless = ''\n"
        "parts, MOST = {'a': b'', 'b': b''}, 8_000_000\n"
        "class Log:\n"
        "    text = ''\n"
        "    def __init__(self): self.words = ('y' * 2_000_000)[:MOST]\n"
        "def never(step, most):\n"
        "    global log\n"
        "    if step % 100 == 0: log = ''\n"
        "    if len(log) > most: log = log[-most:]\n"
        "made, state = [], {'buffer': io.BytesIO(b'z' * 6_000_000), 'log': 'z' * 2_000_000}\n"
        "state['log'] = state['log'][-MOST:]\n"
        "owner = Log()\n"
        "def put(text):\n"
        "    global log, short, full, endless\n"
        "    log = (log + text)[-MOST:]\n"
        "    short = (short + text[:9])[-MOST:]\n"
        "    full = (full + text)[-MOST // 4:]\n"
        "    endless += text\n"
        "    owner.text += text\n"
        "    if len(owner.text) > 2 * MOST: owner.text = owner.text[-MOST:]\n"
        "    made.append(0)\n"
        "    for key in parts:\n"
        "        parts[key] = (parts[key] + text.encode())[-5_000_000:]\n"
        "time.sleep(2.5)\n"
        "for n in range(4): put('x' * 1_000_000)\n"
        # As workers of multiprocessing know it.
        "sys.modules['__mp_main__'] = sys.modules['__main__']\n"
        "print(os.getpid())\n"
    )
    reader, pid = ended(tmp_path)
    found = {value.path: value for value in reader.values(pid)}
    assert found.keys() == {
        "str module __main__ `log`, bounded to 8,000,000 (program.py:16)",
        "str module __main__ `owner.text`, bounded to 16,000,000 (program.py:21)",
        "bytes module __main__ `parts[a key]`, bounded to 5,000,000 (program.py:24)",
    }
    sizes = sorted((round(each.bytes / 1e6), round(each.bound_bytes / 1e6)) for each in found.values())
    assert sizes == [(4, 8), (4, 16), (8, 10)]


def test_texts_that_no_function_cuts_and_files_in_memory_are_told_too(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import io, os, time\ntext, shard, written, kept = None, io.BytesIO(), io.StringIO(), io.BytesIO()\n"
        "time.sleep(2.5)\n"
        "for n in range(4):\n"
        "    more = str(n) * 1_000_000\n"
        "    text = more if text is None else (text + more)[-7_000_000:]\n"
        "    shard.write(more.encode()), written.write(more), kept.write(more.encode())\n"
        "    if shard.tell() > 9_000_000: shard = io.BytesIO()\n"
        "    if written.tell() > 8_000_000: written.seek(0), written.truncate()\n"
        "print(os.getpid())\n"
    )
    reader, pid = ended(tmp_path)
    assert {(each.path, round(each.bytes / 1e6)) for each in reader.values(pid)} == {
        ("str module __main__ `text`, bounded to 7,000,000 (program.py:6)", 4),
        ("BytesIO module __main__ `shard`, bounded to 9,000,000 (program.py:8)", 4),
        ("StringIO module __main__ `written`, bounded to 8,000,000 (program.py:9)", 4),
    }


@pytest.mark.parametrize(
    ("made", "blocks"),
    [
        ("{(n, 'key'): [n * 1.5, n * 2.5] for n in range(4000)}", 5),
        ("[{'text': str(n) * 9} for n in range(4000)]", 2),
        ("collections.deque([n * 1.5 for n in range(4000)])", 1),
        # What all have in common is no part of each.
        ("[(n * 1.5, shared) for n in range(4000)]", 2),
        # Texts alone, which are told of no dictionary: its keys are not looked at.
        ("{str(n): None for n in range(4000)}", 0),
    ],
)
def test_how_many_blocks_an_entry_has(made: str, blocks: int) -> None:
    code = (
        f"import sys, collections; sys.path.insert(0, {str(FOLDER)!r})\n"
        "import _hfmemdebug_bounded\n"
        f"shared = [[n * 1.5] for n in range(5000)]\ncontainer = {made}\n"
        "print(_hfmemdebug_bounded.blocks_an_entry(container, len(container)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) == pytest.approx(blocks, abs=0.1)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("texts = {}\n    for n in range(9000):\n        texts[n] = [n]\n"
         "        if len(texts) > MOST: texts.clear()\n", ["`texts` in main, bounded to 40,000 (program.py:7)"]),
        ("most, rows = 30_000, collections.deque(maxlen=50_000)\n    kept: list = []\n"
         "    for n in range(9000):\n        rows.append([n])\n        kept.append([n])\n"
         "        while len(kept) >= most: kept.pop(0)\n",
         ["`rows` in main, bounded to 50,000 (program.py:4)", "`kept` in main, bounded to 30,000 (program.py:9)"]),
        # Without a bound, with a small one, and with one that changes.
        ("kept, last = [], collections.deque(maxlen=100)\n    for n in range(9000): kept.append([n]), last.append(n)\n",
         []),
        ("kept, most = [], 10_000\n    for n in range(9000):\n        kept.append([n])\n        most += 1\n"
         "        if len(kept) > most: kept.pop()\n", []),
    ],
)  # fmt: skip
def test_bounds_of_variables_whose_function_has_returned_are_told(
    tmp_path: Path, body: str, told: list[str]
) -> None:
    source = f"import collections\nMOST = 40_000\ndef main():\n    {body}"
    assert bounds_of_what_has_returned(source, tmp_path) == told


@pytest.mark.parametrize(
    ("most", "made", "bound"),
    [
        ("self, most", "Store(50_000)", 50_000),
        ("self, most=30_000", "Store()", 30_000),
        ("self, name, *, most=30_000", "Store('x', most=MOST)", 40_000),
        ("self, most", "Store(int('50_000'))", None),
    ],
)
def test_objects_of_a_function_that_has_returned(
    tmp_path: Path, most: str, made: str, bound: int | None
) -> None:
    source = (
        "import collections\nMOST = 40_000\nclass Store:\n"
        f"    def __init__({most}): self.items, self.most, self.last = {{}}, most, collections.deque(maxlen=9000)\n"
        "    def put(self, key):\n        self.items[key] = [key]\n"
        "        if len(self.items) > self.most: self.items.popitem()\n"
        f"def main():\n    store = {made}\n    for n in range(9000): store.put(n), store.last.append([n])\n"
    )
    told = ["`last` of a Store, bounded to 9,000 (program.py:4)"]
    if bound is not None:
        told = [f"`items` of a Store, bounded to {bound:,} (program.py:7)", *told]
    assert bounds_of_what_has_returned(source, tmp_path) == told


@pytest.mark.parametrize(
    "source",
    [
        # A limit that changes, one that nobody knows, and one that only another method keeps.
        "    def put(self, key):\n        self.items[key] = [key]\n"
        "        if len(self.items) > self.most:\n            self.most *= 2\n            self.items.popitem()\n"
        "def main():\n    store = Store(40_000)\n    for n in range(9000): store.put(n)\n",
        "    def put(self, key):\n        self.items[key] = [key]\n"
        "        if len(self.items) > self.most: self.items.popitem()\n"
        "def main():\n    store = Store(int('40_000'))\n    for n in range(9000): store.put(n)\n",
        "    def put(self, key): self.items[key] = [key]\n"
        "    def trim(self):\n        if len(self.items) > 40_000: self.items.popitem()\n"
        "def main():\n    store = Store()\n    for n in range(9000): store.put(n)\n",
        # Another's of the same name, one of a function that never ran, and an argument.
        "    def put(self, key):\n        if len(self.items) > 40_000: self.items.clear()\n"
        "def main():\n    items = []\n    for n in range(9000):\n        items.append([n])\n",
        "def other():\n    items = []\n    while len(items) < 40_000: items.append([1])\n"
        "def main():\n    kept = []\n    for n in range(9000): kept.append([n])\n",
        "def main(most=None):\n    kept = []\n    if most is None: most = 40_000\n"
        "    for n in range(9000):\n        kept.append([n])\n        if len(kept) > most: kept.pop()\n",
    ],
)
def test_what_is_no_bound_of_a_variable(tmp_path: Path, source: str) -> None:
    head = "import collections\nclass Store:\n    def __init__(self, most=30_000): self.items, self.most = {}, most\n"
    assert bounds_of_what_has_returned(head + source, tmp_path) == []


def test_texts_of_a_function_that_has_returned(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import os, time\nMOST = 40_000_000\n"
        "def main():\n    log = kept = ''\n    for step in range(9):\n"
        "        log = (log + str(step) * 1_000_000)[-MOST:]\n        kept += 'x'\n    time.sleep(2.5)\n"
        "main()\nprint(os.getpid())\n"
    )
    reader, pid = ended(tmp_path)
    (value,) = reader.returned_values(pid)
    assert 7_000_000 < value.bytes < 20_000_000
    path = "`log` in main, bounded to 40,000,000 (program.py:6)"
    assert value == BoundedText(path, value.bytes, 40_000_000, pid, most_bytes=160_000_000)


def test_code_that_fails_as_the_program_ends_costs_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import gc, os, pathlib, time\n__file__ = pathlib.Path(__file__)\nNONE = 0\ncycles, kept = [], {}\n"
        "class Proxy:\n    def __getattribute__(self, name): raise SystemError(name)\n"
        "proxies = [Proxy() for _ in range(100)]\n"
        "def add(key):\n    kept[key] = [key]\n    if len(kept) > 90_000 // NONE: kept.clear()\n"
        "def text(): return '\\d'\n"
        "time.sleep(2.5)\ngc.set_threshold(100_000, 10, 10)\n"
        "for n in range(9000):\n    kept[n] = [n]\n    cycle = []\n    cycle.append(cycle)\n"
        "print(os.getpid())\n"
    )
    pages = tmp_path / "pages"
    pages.mkdir()
    environ = {**os.environ, **environment(pages, os.environ, trace=None)}
    done = subprocess.run(
        [sys.executable, tmp_path / "program.py"], env=environ, capture_output=True, text=True, check=True
    )
    reader = InsideReader(pages)
    pid = int(done.stdout)
    reader.read(pid)
    reader.forget(pid)
    # Python says it of the script itself, since 3.12, and we do not say it again.
    assert done.stderr.count("Warning") == (sys.version_info >= (3, 12))
    assert reader.caches(pid) == ()
    assert reader.garbage_blocks[pid] > 5000
    assert "Python version" in reader.versions(pid)


def bounds_of_what_has_returned(source: str, folder: Path) -> list[str]:
    """What is told of a program whose `main()` is called, and then it ends."""
    waits = "    time.sleep(2.5)\n"
    (folder / "program.py").write_text(f"import os, time; {source}{waits}main()\nprint(os.getpid())\n")
    reader, pid = ended(folder)
    return [variable.path for variable in reader.variables(pid)]


def ended(folder: Path) -> tuple[InsideReader, int]:
    """Runs the program of a folder, which prints its PID, to its end, without a failure of ours."""
    pages = folder / "pages"
    pages.mkdir()
    environ = {**os.environ, **environment(pages, os.environ, trace=None), "HFMEMDEBUG_RUN_DEBUG": "1"}
    done = subprocess.run(
        [sys.executable, folder / "program.py"], env=environ, capture_output=True, text=True, check=True
    )
    assert not done.stderr
    return InsideReader(pages), int(done.stdout)


def test_shared_memory_that_the_program_makes_is_known_by_name_and_line(tmp_path: Path) -> None:
    code = (
        "from multiprocessing import shared_memory\n"
        "def make():\n"
        "    return shared_memory.SharedMemory(create=True, size=100)\n"
        "block = make()\n"
        "same = shared_memory.SharedMemory(block.name)\n"
        "print(block.name); same.close(); block.close(); block.unlink()\n"
    )
    out = run(code, tmp_path)
    assert (tmp_path / "pages/segments").read_text() == f"{out.strip()}\t{tmp_path}/program.py\t3\n"


ENDINGS = {
    "cycles that nobody has": (
        "nodes = [Node([i]) for i in range(30000)]\ndel nodes\n",
        lambda blocks: blocks > 60_000,
    ),
    # As a trainer whose callback refers to it, when the function that had it returns.
    "one that has all": (
        "trainer = Node([float(i) for i in range(60000)])\ndel trainer\n",
        lambda blocks: blocks is not None and blocks < 10_000,
    ),
    "cycles that refer to one that has all": (
        "trainer = Node([])\ntrainer.has += [Node(trainer) for i in range(30000)]\ndel trainer\n",
        lambda blocks: blocks is not None and blocks < 10_000,
    ),
    # Which turns the collector off, whatever `gc.isenabled` says.
    "a threshold of 0": (
        "gc.set_threshold(0)\nfor i in range(30000):\n    Node([i])\n",
        lambda blocks: blocks is None,
    ),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_garbage_that_waited_is_told_from_what_was_in_use_to_the_end(ending: str, tmp_path: Path) -> None:
    code, expected = ENDINGS[ending]
    node = "class Node:\n    def __init__(self, has):\n        self.has, self.me = has, self\n"
    # Programs that are over at once are not asked.
    out = run(f"import gc, os, time\n{node}time.sleep(2.1)\n{code}print(os.getpid())", tmp_path)
    reader = InsideReader(tmp_path / "pages")
    assert reader.read(int(out)) is not None
    reader.forget(int(out))
    assert expected(reader.garbage_blocks.get(int(out))), reader.garbage_blocks
