"""
verdict: inconclusive or no-leak
why: it is over before anything could be told.
"""

import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])

print(len(dataset[:1000]["text"]))
time.sleep(0.3)
