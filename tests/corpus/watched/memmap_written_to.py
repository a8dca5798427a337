"""
verdict: no-leak
why: embeddings are written to a mapped file all along: its dirty pages are the file's, and go to the disk.
"""

import sys
import tempfile
import time

import datasets
import numpy as np

dataset = datasets.load_from_disk(sys.argv[1])

with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
    steps = 1000
    embeddings = np.memmap(f"{folder}/embeddings", dtype=np.float32, mode="w+", shape=(steps * 20, 2048))
    for step in range(steps):
        start = step * 20 % len(dataset)
        lengths = [len(text) for text in dataset[start : start + 20]["text"]]
        embeddings[step * 20 : step * 20 + 20] = np.array(lengths, dtype=np.float32)[:, None] + step
        time.sleep(0.01)
    print(embeddings.shape)
    del embeddings
