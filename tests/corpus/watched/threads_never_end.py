"""
verdict: leak
cause: anonymous-other
why: each step starts a thread that waits for an event that nobody sets.
"""

import sys
import threading
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])


event = threading.Event()
for step in range(400):
    text = dataset[step * 20]["text"]
    threading.Thread(target=event.wait, name=text[:20], daemon=True).start()
    time.sleep(0.03)
