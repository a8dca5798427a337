"""
verdict: no-leak
finding: bounded-cache or step
why: features are scaled in a private map of their file: pages are copied until all have been, after four tenths.
"""

import sys
import tempfile
import time

import datasets
import numpy as np

dataset = datasets.load_from_disk(sys.argv[1])

with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
    count = 8_000
    np.memmap(f"{folder}/features", dtype=np.float32, mode="w+", shape=(count, 2048)).flush()
    features = np.memmap(f"{folder}/features", dtype=np.float32, mode="c", shape=(count, 2048))
    for step in range(1000):
        at = step * 20 % count
        features[at : at + 20] += len(dataset[step * 20 % len(dataset)]["text"])
        batch = dataset[step * 20 % len(dataset) : step * 20 % len(dataset) + 20]["text"]
        time.sleep(0.01)
    print(float(features[0, 0]), len(batch))
    del features
