"""A program of the corpus in a bare loop, as one would write it, for the tools that `compare_peers.py` runs.

    python tests/benchmarks/peer_loop.py NAME DATASETS EPOCHS [--rss | --psleak]

With --rss the RSS in bytes after each slice is printed, as JSON. With --psleak one slice is the function that
psleak calls again and again, and its finding is printed, or null.
"""

from __future__ import annotations

import array
import importlib.util
import itertools
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from corpus.labels import PROGRAMS, read_label

SLICES, STEP = 50, 400


def main() -> None:
    import datasets

    name, folder, epochs = sys.argv[1:4]
    how = sys.argv[4] if len(sys.argv) > 4 else None
    label = read_label(PROGRAMS / f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, label.path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    data: Any = datasets.load_from_disk(str(Path(folder) / label.data))
    if "--format" in label.options:
        data = data.with_format(label.options[label.options.index("--format") + 1])
    getattr(module, "setup", lambda: None)()
    if how == "--psleak":
        _psleak(data, module.consume)
    else:
        _loop(data, module.consume, int(epochs), rss=how == "--rss")
    getattr(module, "teardown", lambda: None)()


def _loop(data: Any, consume: Any, epochs: int, *, rss: bool) -> None:
    # Numbers of a list would be objects, and a page of them a growth that a slope test sees.
    readings = array.array("q", bytes(8 * epochs * SLICES))
    for number in range(epochs * SLICES):
        index = number % SLICES
        consume(data[index * STEP : (index + 1) * STEP])
        if rss:
            readings[number] = int(Path("/proc/self/statm").read_bytes().split()[1]) * 4096
    if rss:
        print(json.dumps(readings.tolist()))


def _psleak(data: Any, consume: Any) -> None:
    import psleak

    class Test(psleak.MemoryLeakTestCase):
        def runTest(self) -> None:
            turns = itertools.cycle(range(SLICES))

            def one_slice() -> None:
                index = next(turns)
                consume(data[index * STEP : (index + 1) * STEP])

            self.execute(one_slice)

    try:
        Test().runTest()
    except psleak.Error as error:
        print(json.dumps(f"{type(error).__name__}: {str(error).splitlines()[0]}"))
    else:
        print("null")


if __name__ == "__main__":
    main()
