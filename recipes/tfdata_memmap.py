"""Memmaps behind `tf.data`: a basic one, `from_generator` with prefetch, and a pool of workers that stays behind.

    python recipes/tfdata_memmap.py            # 2000 images of 64 × 64 × 3 float32 (98 MB)
    python recipes/tfdata_memmap.py --full     # 40000 images (2 GB)

The three examples of the source, one after the other in one process, and what each step adds to it. The
same pipelines, judged:

    hfmemdebug profile recipes/tfdata_memmap.py:images --consumer recipes/tfdata_memmap.py:mean
    hfmemdebug profile recipes/tfdata_memmap.py:made_anew
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import gc
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

SHAPE = (64, 64, 3)
IMAGES, FULL_IMAGES = 2_000, 40_000
BATCH, WORKERS, TAKES = 32, 4, 3


@functools.cache
def folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(dir=Path.cwd())


def save(count: int) -> None:
    """Images and labels, written through memmaps piece by piece, as example 1 does it with an array."""
    import numpy as np

    rng = np.random.default_rng(0)
    images = np.memmap(path("images"), dtype=np.float32, mode="w+", shape=(count, *SHAPE))
    for start in range(0, count, 1000):
        part = images[start : start + 1000]
        part[:] = rng.random(part.shape, dtype=np.float32)
    labels = np.memmap(path("labels"), dtype=np.int64, mode="w+", shape=(count,))
    labels[:] = np.arange(count) % 10
    images.flush()
    labels.flush()


def path(name: str) -> Path:
    return Path(folder().name) / f"{name}.mmap"


@functools.cache
def memmaps() -> tuple[Any, Any]:
    import numpy as np

    images = np.memmap(path("images"), dtype=np.float32, mode="r").reshape(-1, *SHAPE)
    return images, np.memmap(path("labels"), dtype=np.int64, mode="r")


def batches() -> Iterator[tuple[Any, Any]]:
    """Example 2's generator."""
    images, labels = memmaps()
    for start in range(0, len(images), BATCH):
        yield images[start : start + BATCH], labels[start : start + BATCH]


def augmented(rows: range) -> tuple[Any, Any]:
    """Example 3's work, which a worker does."""
    import numpy as np

    images, labels = memmaps()
    part = images[rows.start : rows.stop]
    noise = np.random.normal(0, 0.1, part.shape).astype(np.float32)
    return np.clip(part + noise, 0, 1), labels[rows.start : rows.stop]


def new_pool(workers: int) -> Any:
    # What the source's Pool() is on Linux up to Python 3.13.
    return multiprocessing.get_context("fork").Pool(workers)


def augmented_batches(pool: Any = None) -> Iterator[tuple[Any, Any]]:
    """Example 3's generator.

    Args:
        pool: One from outside; None makes one here, as the source does.
    """
    own = new_pool(WORKERS) if pool is None else None
    count = len(memmaps()[0])
    for start in range(0, count, BATCH):
        yield (own or pool).apply(augmented, (range(start, min(start + BATCH, count)),))
    if own is not None:
        # Reached only by those who take the last batch.
        own.close()
        own.join()


def dataset(generator: Callable[[], Iterator[Any]]) -> Any:
    import tensorflow as tf

    signature = (
        tf.TensorSpec(shape=(None, *SHAPE), dtype=tf.float32),
        tf.TensorSpec(shape=(None,), dtype=tf.int64),
    )
    return tf.data.Dataset.from_generator(generator, output_signature=signature).prefetch(tf.data.AUTOTUNE)


def take_one(kept: list[Any], *, keep: bool, pool: Any = None) -> None:
    """One batch of example 3, and the rest is abandoned.

    Args:
        kept: Where iterators are kept.
        keep: Keep this one, as something that wants a batch now and then does; else it is dropped, as
            `for batch in dataset.take(1)` drops it.
        pool: A pool from outside of the generator.
    """
    iterator = iter(dataset(lambda: augmented_batches(pool)))
    next(iterator)
    if keep:
        kept.append(iterator)
    del iterator
    gc.collect()


def images() -> Any:
    """For `hfmemdebug profile`: example 2."""
    save(IMAGES)
    return dataset(batches)


def mean(batch: Any) -> None:
    """For `--consumer`: reads a batch of it."""
    import tensorflow as tf

    float(tf.reduce_mean(batch[0]))


def made_anew() -> Iterator[int]:
    """For `hfmemdebug profile`: the pipeline of example 2 is made again for each batch."""
    save(BATCH)
    for _ in range(12):
        for _, labels in dataset(batches):
            yield len(labels)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--full", action="store_true", help="40000 images instead of 2000")
    count = FULL_IMAGES if parser.parse_args().full else IMAGES
    import tensorflow as tf

    size = count * 64 * 64 * 3 * 4
    print(f"TensorFlow {tf.__version__}; {count} images, {size / 1e6:,.0f} MB; memory in MB\n")
    print("| step | RSS | anonymous | file | child processes |")
    print("| --- | ---: | ---: | ---: | ---: |")
    save(count)
    for images_read, _ in dataset(batches).take(1):
        # What TensorFlow sets up on first use is not the data's.
        float(tf.reduce_mean(images_read))
    found = {"start": look("at the start")}
    memmaps()[0][0].sum()
    found["opened"] = look("1: opened, one image read")
    for _ in dataset(batches):
        pass
    found["unread"] = look("2: from_generator and prefetch, no batch looked into")
    for epoch in (1, 2, 3):
        rows = 0
        for images_read, labels_read in dataset(batches):
            float(tf.reduce_mean(images_read))
            rows += len(labels_read)
        found[f"epoch {epoch}"] = look(f"2: the same, each batch looked into, epoch {epoch} ({rows} images)")
    kept: list[Any] = []
    for number in range(1, TAKES + 1):
        take_one(kept, keep=False)
        # Its workers are told to end, and nobody waits for them.
        deadline = time.monotonic() + 5
        while children() and time.monotonic() < deadline:
            time.sleep(0.05)
        found["dropped"] = look(f"3: pool of {WORKERS}, one batch, iterator dropped, time {number}")
    for number in range(1, TAKES + 1):
        take_one(kept, keep=True)
        found["kept"] = look(f"3: pool of {WORKERS}, one batch, iterator kept, time {number}")
    kept.clear()
    gc.collect()
    pool = new_pool(WORKERS)
    for number in range(1, TAKES + 1):
        take_one(kept, keep=True, pool=pool)
        found["outside"] = look(f"3: one pool outside of the generator, iterator kept, time {number}")
    kept.clear()
    pool.terminate()
    pool.join()
    return check(found, size, rows == count)


def look(step: str) -> dict[str, int]:
    """Prints and returns what this process holds, in bytes, and how many children it has."""
    from hfmemdebug.probes.status import StatusReader

    status = StatusReader().read()
    found = {"rss": status.rss, "anonymous": status.anon or 0, "file": status.file or 0}
    sizes = " | ".join(f"{value / 1e6:,.0f}" for value in found.values())
    found["children"] = children()
    print(f"| {step} | {sizes} | {found['children']} |", flush=True)
    return found


def children() -> int:
    count = 0
    for task in Path("/proc/self/task").iterdir():
        # A thread may have ended meanwhile.
        with contextlib.suppress(OSError):
            count += len((task / "children").read_text().split())
    return count


def check(found: dict[str, dict[str, int]], size: int, all_read: bool) -> int:
    """The claims, each against what was measured."""
    start, first, last = found["start"], found["epoch 1"], found["epoch 3"]
    claims = {
        "example 1: opening a memmap reads nothing": found["opened"]["rss"] - start["rss"] < 0.1 * size,
        "example 2: every image was read": all_read,
        "example 2: a batch is no copy: not looked into, its pages are not read": found["unread"]["file"]
        - start["file"]
        < 0.1 * size,
        "example 2: RSS grows by the file, once": first["file"] - start["file"] > 0.8 * size
        and abs(last["file"] - first["file"]) < 0.1 * size,
        "example 2: anonymous memory does not grow with the data": last["anonymous"] - first["anonymous"]
        < 20e6 + 0.05 * size,
        "example 3: a dropped iterator ends its pool": found["dropped"]["children"] == 0,
        "example 3: a kept iterator keeps its pool": found["kept"]["children"] == TAKES * WORKERS,
        "example 3: a pool outside of the generator is there once": found["outside"]["children"] == WORKERS,
    }
    print()
    for claim, holds in claims.items():
        print(f"{'holds' if holds else 'DOES NOT HOLD'}: {claim}")
    return 0 if all(claims.values()) else 1


if __name__ == "__main__":
    status = main()
    folder().cleanup()
    sys.stdout.flush()
    # TensorFlow's threads may still hold what the interpreter would take down.
    os._exit(status)
