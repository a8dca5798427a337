"""`np.load`, `np.load(mmap_mode=…)` and `np.memmap` of one array: what is right, and what is in memory?

    python recipes/numpy_load_vs_memmap.py           # 400 × 120 × 120 × 3 float64
    python recipes/numpy_load_vs_memmap.py --full    # 4002 × 120 × 120 × 3 float64 (1.4 GB)

Each way to open it runs in a process of its own, which then reads all of it. `sys.getsizeof` is shown
beside what is resident: it counts the Python object, never what stands behind it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROW = (120, 120, 3)
ROWS, FULL_ROWS = 400, 4_002
WAYS = (
    "np.load",
    "np.load(mmap_mode='r')",
    "np.memmap of the .npy, no dtype",
    "np.memmap of the .npy, float64",
    "np.memmap of the raw file, right",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--full", action="store_true", help="4002 rows instead of 400")
    parser.add_argument("--one", nargs=3, metavar=("FOLDER", "ROWS", "WAY"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        folder, rows, way = options.one
        print(json.dumps(look(Path(folder), int(rows), way)))
        return 0
    rows = FULL_ROWS if options.full else ROWS
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        return compare(Path(folder), rows)


def compare(folder: Path, rows: int) -> int:
    npy, raw = save(folder, rows)
    size = rows * 120 * 120 * 3 * 8
    print(f"{rows} × 120 × 120 × 3 float64: {size:,} bytes = {size / 1e6:,.1f} MB = {size / 2**20:,.1f} MiB")
    print(f"X_train.npy {npy.stat().st_size:,} bytes, X_train_raw.rbf {raw.stat().st_size:,} bytes\n")
    print(
        "| opened with | shape | dtype | right? | getsizeof | RSS, opened | RSS, all read | anonymous | file |"
    )
    print("| --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: |")
    found = {}
    for way in WAYS:
        command = [sys.executable, __file__, "--one", str(folder), str(rows), way]
        found[way] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        print(f"| {way} | {cells(found[way])} |", flush=True)
    print("\nWhat hfmemdebug says of them:")
    for arguments in (
        ["X_train.npy"],
        ["X_train_raw.rbf", "--dtype", "float64", "--shape", "2330,120,120,3"],
    ):
        print(f"$ hfmemdebug profile {' '.join(arguments)} -q\n{profile(folder, arguments)}")
    return check(found, size, npy, raw)


def save(folder: Path, rows: int) -> tuple[Path, Path]:
    """The same numbers with a header and without."""
    import numpy as np

    npy, raw = folder / "X_train.npy", folder / "X_train_raw.rbf"
    array = np.lib.format.open_memmap(npy, mode="w+", dtype="float64", shape=(rows, *ROW))
    rng = np.random.default_rng(0)
    for row in array:
        row[:] = rng.random(ROW)
    array.flush()
    array.tofile(raw)
    return npy, raw


def look(folder: Path, rows: int, way: str) -> dict[str, Any]:
    """Opens the array in one way and reads all of it. Sizes in bytes, of what this adds to the process."""
    import numpy as np

    from hfmemdebug.probes.status import StatusReader

    npy, raw = folder / "X_train.npy", folder / "X_train_raw.rbf"
    status = StatusReader()
    before = status.read()
    opened: dict[str, Any] = {
        WAYS[0]: lambda: np.load(npy),
        WAYS[1]: lambda: np.load(npy, mmap_mode="r"),
        WAYS[2]: lambda: np.memmap(npy, mode="r"),
        WAYS[3]: lambda: np.memmap(npy, dtype="float64", mode="r"),
        WAYS[4]: lambda: np.memmap(raw, dtype="float64", mode="r", shape=(rows, *ROW)),
    }
    array = opened[way]()
    after_opening = status.read()
    first = float(np.random.default_rng(0).random(ROW)[0, 0, 0])
    for start in range(0, len(array), max(1, len(array) // 100)):
        array[start : start + max(1, len(array) // 100)].max()
    after = status.read()
    return {
        "shape": str(array.shape),
        "dtype": str(array.dtype),
        "right": array.shape == (rows, *ROW) and float(array.flat[0]) == first,
        "getsizeof": sys.getsizeof(array),
        "opened": after_opening.rss - before.rss,
        "read": after.rss - before.rss,
        "anonymous": (after.anon or 0) - (before.anon or 0),
        "file": (after.file or 0) - (before.file or 0),
    }


def cells(found: dict[str, Any]) -> str:
    sizes = " | ".join(f"{found[name] / 1e6:,.1f} MB" for name in ("opened", "read", "anonymous", "file"))
    right = "yes" if found["right"] else "NO"
    return f"{found['shape']} | {found['dtype']} | {right} | {found['getsizeof']:,} bytes | {sizes}"


def profile(folder: Path, arguments: list[str]) -> str:
    command = [sys.executable, "-m", "hfmemdebug", "profile", *arguments, "-q"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip()


def check(found: dict[str, dict[str, Any]], size: int, npy: Path, raw: Path) -> int:
    """The claims, each against what was measured."""
    load, mapped, raw_bytes, shifted, right = (found[way] for way in WAYS)
    claims = {
        "the raw file is 128 bytes smaller than the .npy, no more": npy.stat().st_size - raw.stat().st_size
        == 128,
        "np.load holds all of it as anonymous memory": load["anonymous"] > 0.95 * size,
        "mapped, nothing of it is in memory when it is opened": mapped["opened"] < 0.1 * size,
        "mapped and read, all of it is in memory, as pages of the file": mapped["file"] > 0.95 * size,
        "getsizeof says the same of nothing and of everything": mapped["getsizeof"]
        == right["getsizeof"]
        < 1000,
        "np.memmap of a .npy gives wrong numbers of a wrong shape": not raw_bytes["right"]
        and not shifted["right"],
        "np.memmap of the raw file is right with dtype and shape": right["right"],
    }
    print()
    for claim, holds in claims.items():
        print(f"{'holds' if holds else 'DOES NOT HOLD'}: {claim}")
    return 0 if all(claims.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
