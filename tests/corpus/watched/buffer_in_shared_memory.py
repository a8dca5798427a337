"""
verdict: no-leak
why: a segment of 120 MB is made before the loop, and a process of its own fills it to the end of the run.
"""

import multiprocessing
import sys
import time
from multiprocessing import shared_memory

import datasets

PART, PARTS = 128 << 10, 960


def fill(name, path):
    dataset = datasets.load_from_disk(path)
    segment = shared_memory.SharedMemory(name=name)
    for part in range(PARTS):
        text = dataset[part * 7 % len(dataset)]["text"].encode()[:1000]
        segment.buf[part * PART : (part + 1) * PART] = text.ljust(1000) * 131 + bytes(72)
        time.sleep(0.012)
    segment.close()


if __name__ == "__main__":
    segment = shared_memory.SharedMemory(create=True, size=PART * PARTS)
    process = multiprocessing.Process(target=fill, args=(segment.name, sys.argv[1]))
    process.start()
    process.join()
    print(segment.buf[0])
    segment.close()
    segment.unlink()
