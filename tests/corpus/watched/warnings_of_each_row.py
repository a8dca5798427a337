"""
verdict: leak
cause: python-objects
site: warnings_of_each_row.py:24
holder: __warningregistry__
process: main
why: a warning that names the row is another one for each row, and Python remembers every one it has shown.
"""

import sys
import time
import warnings

import datasets

dataset = datasets.load_from_disk(sys.argv[1])

warnings.simplefilter("default")
total = 0
for step in range(1000):
    start = step * 15 % len(dataset)
    for number, text in enumerate(dataset[start : start + 15]["text"]):
        if len(text) > 100:
            warnings.warn(f"row {step * 15 + number} will be cut: {text[:200]}", stacklevel=1)  # the leak
        total += len(text[:100])
    time.sleep(0.01)
print(total)
