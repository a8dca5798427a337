"""What holds a leak, in programs of which that is known, each in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from origin.tracing import run_traced

from hfmemdebug.origin.containers import of_a_running_program

# Source, words of the path, unit, growth per slice.
HELD = {
    "thousand": (
        "cache={}\n"
        "n=0\n"
        "def consume():\n"
        "    global n\n"
        "    for _ in range(1000):\n"
        "        n+=1\n"
        "        cache[n]=None\n",
        "module program: dict `cache`",
        "key",
        1000,
    ),
    "closure": (
        "def make():\n"
        "    seen=[]\n"
        "    def f():\n"
        "        seen.append(bytes(100))\n"
        "    return f\n"
        "consume=make()\n",
        "module program: list `consume, closure variable seen`",
        "item",
        1,
    ),
    "handler": (
        "import logging\n"
        "class Store(logging.Handler):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.records=[]\n"
        "    def emit(self, r):\n"
        "        self.records.append(r)\n"
        "log=logging.getLogger('train')\n"
        "log.addHandler(Store())\n"
        "def consume():\n"
        "    log.warning('x')\n",
        "module program: list `log.handlers[…].records`",
        "item",
        1,
    ),
    "handlers_add": (
        "import logging\n"
        "log=logging.getLogger('train')\n"
        "class T:\n"
        "    def emit(self,r): pass\n"
        "def consume():\n"
        "    h=logging.NullHandler()\n"
        "    log.addHandler(h)\n",
        "module program: list `log.handlers`",
        "item",
        1,
    ),
    "lru_method": (
        "import functools\n"
        "n=0\n"
        "class M:\n"
        "    @functools.lru_cache(maxsize=100000)\n"
        "    def load(self,i):\n"
        "        return bytes(100)\n"
        "m=M()\n"
        "def consume():\n"
        "    global n\n"
        "    n+=1\n"
        "    m.load(n)\n",
        "module program: lru_cache (maxsize=100000) `M.load`, 30 entries",
        "entry",
        1,
    ),
    "cycle_gcoff": (
        "import gc\n"
        "gc.disable()\n"
        "class Node:\n"
        "    pass\n"
        "def consume():\n"
        "    a=Node(); a.me=a; a.data=bytes(100)\n",
        "reference cycles, which the collector would free if it were not off: objects of type `program.Node`",
        "object",
        1,
    ),
    "cycle_threshold_of_0": (
        "import gc\n"
        "gc.set_threshold(0)\n"
        "class Node:\n"
        "    pass\n"
        "def consume():\n"
        "    a=Node(); a.me=a; a.data=bytes(100)\n",
        "reference cycles, which the collector would free if it were not off: objects of type `program.Node`",
        "object",
        1,
    ),
    "cycle_saveall": (
        "import gc\n"
        "gc.set_debug(gc.DEBUG_SAVEALL)\n"
        "class Node:\n"
        "    pass\n"
        "def consume():\n"
        "    a=Node(); a.me=a; a.data=bytes(100)\n",
        "module gc: list `garbage`",
        "item",
        1,
    ),
    "thread": (
        "import threading\n"
        "stop=threading.Event()\n"
        "def worker(data):\n"
        "    stop.wait()\n"
        "def consume():\n"
        "    threading.Thread(target=worker,args=(bytearray(1000),),daemon=True).start()\n",
        "threads that do not end, in `worker` (program.py:4)",
        "thread",
        1,
    ),
    "thread_local_list": (
        "import threading, queue\n"
        "q=queue.Queue()\n"
        "done=queue.Queue()\n"
        "def worker():\n"
        "    seen=[]\n"
        "    while True:\n"
        "        seen.append(q.get())\n"
        "        done.put(1)\n"
        "threading.Thread(target=worker,daemon=True,name='prefetch').start()\n"
        "def consume():\n"
        "    q.put(bytes(100)); done.get()\n",
        "thread `prefetch`, local variable `seen` of `worker`: list",
        "item",
        1,
    ),
    "exc_module": (
        "last=None\n"
        "def work(prev):\n"
        "    data=bytearray(1000)\n"
        "    raise ValueError('x') from prev\n"
        "def consume():\n"
        "    global last\n"
        "    try:\n"
        "        work(last)\n"
        "    except ValueError as e:\n"
        "        last=e\n",
        "module program: ValueError `last`, a chain of exceptions",
        "ValueError",
        1,
    ),
    "sys_last": (
        "import sys\n"
        "def work():\n"
        "    data=[bytes(1000)]\n"
        "    raise ValueError('x')\n"
        "def consume():\n"
        "    try:\n"
        "        work()\n"
        "    except ValueError as e:\n"
        "        e.__context__=getattr(sys,'last_value',None)\n"
        "        sys.last_value=e\n",
        "module sys: ValueError `last_value`, a chain of exceptions",
        "ValueError",
        1,
    ),
    "gen_local": (
        "def collect():\n"
        "    seen=[]\n"
        "    while True:\n"
        "        seen.append((yield))\n"
        "g=collect()\n"
        "next(g)\n"
        "def consume():\n"
        "    g.send(bytes(100))\n",
        "module program: list `g, local variable seen of the generator collect`",
        "item",
        1,
    ),
    "gen_suspended": (
        "streams=[]\n"
        "def gen():\n"
        "    data=bytearray(1000)\n"
        "    yield 1\n"
        "    yield 2\n"
        "def consume():\n"
        "    g=gen(); next(g); streams.append(g)\n",
        "module program: list `streams`",
        "item",
        1,
    ),
    "inst_attr": (
        "class T:\n"
        "    def __init__(self):\n"
        "        self.h=[]\n"
        "    def step(self):\n"
        "        self.h.append(bytes(100))\n"
        "t=T()\n"
        "def consume():\n"
        "    t.step()\n",
        "module program: list `t.h`",
        "item",
        1,
    ),
    "class_attr": (
        "class T:\n"
        "    h=[]\n"
        "    def step(self):\n"
        "        self.h.append(bytes(100))\n"
        "def consume():\n"
        "    T().step()\n",
        "module program: list `T.h`",
        "item",
        1,
    ),
    "default": (
        "def consume(acc=[]):\n    acc.append(bytes(100))\n",
        "module program: list `consume, default of acc`",
        "item",
        1,
    ),
    "kwdefault": (
        "def consume(*,acc=[]):\n    acc.append(bytes(100))\n",
        "module program: list `consume, default of acc`",
        "item",
        1,
    ),
    "funcattr": (
        "def consume():\n    consume.seen.append(bytes(100))\nconsume.seen=[]\n",
        "module program: list `consume.seen`",
        "item",
        1,
    ),
    "finalize": (
        "import weakref\n"
        "class A: pass\n"
        "a=A()\n"
        "def consume():\n"
        "    weakref.finalize(a, print, bytearray(100))\n",
        "module weakref: dict `finalize._registry`",
        "key",
        1,
    ),
    "atexit": (
        "import atexit\ndef consume():\n    atexit.register(print, bytearray(1000))\n",
        "functions registered with `atexit`",
        "function",
        1,
    ),
    "partial": (
        "import functools\n"
        "def run(*a): pass\n"
        "hook=run\n"
        "def consume():\n"
        "    global hook\n"
        "    hook=functools.partial(hook, bytearray(500))\n",
        "module program: partial `hook`",
        "argument",
        1,
    ),
    "wrap": (
        "def step(): pass\ndef consume():\n    global step\n    def new(inner=step): inner\n    step=new\n",
        "module program: function `step`",
        "function",
        1,
    ),
    "linked": (
        "class Node:\n"
        "    def __init__(self,n): self.next=n; self.data=bytes(100)\n"
        "head=None\n"
        "def consume():\n"
        "    global head\n"
        "    head=Node(head)\n",
        "module program: Node `head`",
        "Node",
        1,
    ),
    "counter": (
        "from collections import Counter\n"
        "d=Counter()\n"
        "n=0\n"
        "def consume():\n"
        "    global n\n"
        "    n+=1\n"
        "    d[n]+=1\n",
        "module program: Counter `d`",
        "key",
        1,
    ),
    "string": (
        "s=''\ndef consume():\n    global s\n    s+='x'*1000\n",
        "module program: str `s`",
        "byte",
        1000,
    ),
    "bytesio": (
        "import io\nb=io.BytesIO()\ndef consume():\n    b.write(bytes(1000))\n",
        "module program: BytesIO `b`",
        "byte",
        1181,
    ),
    "np_concat": (
        "import numpy as np\n"
        "b=np.ones(0)\n"
        "def consume():\n"
        "    global b\n"
        "    b=np.concatenate([b,np.ones(100)])\n",
        "module program: ndarray `b`",
        "byte",
        800,
    ),
    "queue": (
        "import queue\nq=queue.Queue()\ndef consume():\n    q.put(bytes(100))\n",
        "module program: deque `q.queue`",
        "item",
        1,
    ),
    "contextvar": (
        "import contextvars\n"
        "v=contextvars.ContextVar('v',default=())\n"
        "def consume():\n"
        "    v.set((*v.get(), bytes(100)))\n",
        "context variable: tuple `v`",
        "item",
        1,
    ),
    "nested_dict": (
        "state={'runs':{'a':[]}}\ndef consume():\n    state['runs']['a'].append(bytes(100))\n",
        "module program: list `state['runs']['a']`",
        "item",
        1,
    ),
    "list of weak references": (
        "import weakref\n"
        "class Some: pass\n"
        "alive=[]\nrefs=[]\n"
        "def consume():\n"
        "    alive.append(Some())\n"
        "    refs.append(weakref.ref(alive[-1], lambda ref, text=bytes(500): None))\n",
        "module program: list `alive`",
        "item",
        1,
    ),
    "weakkey": (
        "import weakref\n"
        "class A: pass\n"
        "keep=[]\n"
        "d=weakref.WeakKeyDictionary()\n"
        "def consume():\n"
        "    a=A(); keep.append(a); d[a]=bytes(100)\n",
        "module program: list `keep`",
        "item",
        1,
    ),
    "frozen_attr": (
        "class S: pass\n"
        "s=S()\n"
        "n=0\n"
        "def consume():\n"
        "    global n\n"
        "    n+=1\n"
        "    setattr(s,'a%d'%n,bytes(100))\n",
        # Up to Python 3.10 attributes are in a dictionary that the collector knows.
        "module program: attributes of `s`" if sys.version_info >= (3, 11) else "module program: dict `s`",
        "attribute" if sys.version_info >= (3, 11) else "key",
        1,
    ),
}


def test_what_no_collection_looks_at(tmp_path: Path) -> None:
    source = (
        "import gc\nclass Node:\n    def __init__(self): self.me = self\n"
        "def consume():\n    Node()\n    gc.freeze()\n"
    )
    (holder,) = run_traced(tmp_path, source, "find_holders(walk, 20)", unseen=10)
    assert "gc.freeze()" in holder["path"]
    assert holder["growth_per_iteration"] >= 1


@pytest.mark.parametrize("name", HELD)
def test_holder(tmp_path: Path, name: str) -> None:
    source, path, unit, growth = HELD[name]
    holder = run_traced(tmp_path, source, "find_holders(walk, 20)", unseen=10)[0]
    assert holder["path"].startswith(path)
    assert holder["unit"] == unit
    # Before Python 3.11 the dictionary of an object's attributes is one more.
    most = 2 * growth if name == "cycle_saveall" else growth
    assert 0.7 * growth <= holder["growth_per_iteration"] <= 1.3 * most


def test_a_thread_that_makes_tuples_is_not_disturbed(tmp_path: Path) -> None:
    """A tuple that is being filled may have no other reference: the thread would get a SystemError."""
    source = (
        "import threading\n"
        "failed=[]\n"
        "kept=[]\n"
        "def fill():\n"
        "    try:\n"
        "        while True: tuple(str(i) for i in range(300))\n"
        "    except SystemError as error:\n"
        "        failed.append(str(error))\n"
        "threading.Thread(target=fill, daemon=True).start()\n"
        "def consume():\n"
        "    kept.append([1])\n"
    )
    found = run_traced(tmp_path, source, "([find_holders(walk, 20) for _ in range(5)][-1], program.failed)")
    assert found[0][0]["path"].startswith("module program: list `kept`")
    assert found[1] == []


PINNED = {
    "arrow_slice": (
        "import pyarrow as pa\n"
        "kept=[]\n"
        "def consume():\n"
        "    t=pa.table({'a':[1.0]*10000})\n"
        "    kept.append(t.slice(0,1))\n",
        {"kind": "Table", "used_bytes": 8, "held_bytes": 80000},
    ),
    "numpy_view": (
        "import numpy as np\nkept=[]\ndef consume():\n    kept.append(np.ones(10000)[:1])\n",
        {"kind": "ndarray", "used_bytes": 8, "held_bytes": 80000},
    ),
    "memview": (
        "kept=[]\ndef consume():\n    kept.append(memoryview(bytes(10000))[:8])\n",
        {"kind": "memoryview", "used_bytes": 8, "held_bytes": 10000},
    ),
    "numpy_dict_view": (
        "import numpy as np\nkept={}\ndef consume():\n    kept[len(kept)]={'first':np.ones(10000)[:1]}\n",
        {"kind": "ndarray", "used_bytes": 8, "held_bytes": 80000},
    ),
    "copy": (
        "import numpy as np\nkept=[]\ndef consume():\n    kept.append(np.ones(10000)[:1].copy())\n",
        None,
    ),
    "views of one base": (
        "import numpy as np\nbase=np.ones(10000)\nkept=[]\ndef consume():\n    kept.append(base[:1000])\n",
        None,
    ),
    "rows of a mapped file": (
        "import numpy as np, tempfile\n"
        "file=tempfile.NamedTemporaryFile()\n"
        "file.write(bytes(800000)); file.flush()\n"
        "kept=[]\n"
        "def consume():\n"
        "    kept.append(np.memmap(file.name, mode='r')[:8])\n",
        None,
    ),
}


@pytest.mark.parametrize("name", PINNED)
def test_how_little_is_used_of_what_is_held(tmp_path: Path, name: str) -> None:
    source, pins = PINNED[name]
    holder = run_traced(tmp_path, source, "find_holders(walk, 20)", unseen=10)[0]
    assert "`kept`" in holder["path"]
    assert holder.get("pins") == pins


def test_what_is_replaced_holds_nothing(tmp_path: Path) -> None:
    source = (
        "last = ''\nnumbers = iter(range(10**9))\n\ndef consume():\n    global last\n"
        "    last = 'x' * (1000 if next(numbers) % 2 else 2000)\n"
    )
    assert run_traced(tmp_path, source, "find_holders(walk, 20)", unseen=10) == []


def test_what_came_once_is_no_chain(tmp_path: Path) -> None:
    source = (
        "class Node:\n    def __init__(self, after):\n        self.after = after\n\nhead = None\ncalls = 0\n\n"
        "def consume():\n    global head, calls\n    calls += 1\n    if calls == 15:\n"
        "        for _ in range(40):\n            head = Node(head)\n"
    )
    assert run_traced(tmp_path, source, "find_holders(walk, 20)", unseen=10) == []


def test_one_large_item_in_many_slices_is_shown(tmp_path: Path) -> None:
    source = (
        "checkpoints = []\ncalls = 0\n\ndef consume():\n    global calls\n    calls += 1\n"
        "    if calls % 20 == 0:\n        checkpoints.append(bytearray(1_000_000))\n"
    )
    holder = run_traced(tmp_path, source, "find_holders(walk, 20)", unseen=10)[0]
    assert holder["path"] == "module program: list `checkpoints`"


def test_no_tuple_is_held_that_is_being_filled() -> None:
    held = []

    def numbers() -> Iterator[int]:
        for number in range(50):
            if number % 20 == 9:
                held.append(of_a_running_program())
            yield number

    # One that somebody else refers to cannot be given its length.
    assert tuple(numbers()) == tuple(range(50))
    inside = {"in a tuple": 1}
    around = [inside], (inside,)
    objects, within = of_a_running_program()
    assert any(each is around[0] for each in objects) and not any(type(each) is tuple for each in objects)
    assert any(each is inside for each in within)
