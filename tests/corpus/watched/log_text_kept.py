"""
verdict: leak
cause: native-heap or python-objects
site: log_text_kept.py:18
why: a log is one text that is never cut, beside a short one that is.
"""

import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])
log = last = ""
for _ in range(2):
    for start in range(0, len(dataset), 200):
        text = "".join(dataset[start : start + 200]["text"])
        log += text  # the leak
        last = (last + text)[-2_000_000:]
        time.sleep(0.03)
print(len(log), len(last))
