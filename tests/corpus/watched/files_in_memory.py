"""
verdict: leak or inconclusive
cause: shared-memory
why: each batch is written to a file in /dev/shm, which is memory, and stays there.
"""

import os
import shutil
import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])


folder = f"/dev/shm/hfmemdebug-corpus-{os.getpid()}"
os.mkdir(folder)
try:
    for step in range(600):
        text = "".join(dataset[step * 30 : step * 30 + 30]["text"])
        with open(f"{folder}/{step}.txt", "w") as file:
            file.write(text)
        time.sleep(0.015)
finally:
    shutil.rmtree(folder)
