"""
verdict: leak
cause: file-mapping
why: each batch of rows opens the dataset's file once more and keeps it open.
"""

import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])

opened = []
for step in range(900):
    rows = dataset[step * 20 : step * 20 + 20]
    opened.append(open(dataset.cache_files[0]["filename"], "rb"))
    opened[-1].seek(step)
    time.sleep(0.012)
print(len(opened), len(rows["text"]))
