"""
verdict: leak or inconclusive
cause: python-objects
origin: user-code
site: monitor_thread_history.py:22
holder: history
data: fixed
why: a thread reads the load every few milliseconds and keeps all readings: it grows with time, not with slices.
"""

import os
import threading
import time

history = []
done = threading.Event()
thread = None


def watch():
    while not done.is_set():
        history.append({"time": time.time(), "load": os.getloadavg(), "cpu": time.process_time()})  # the leak
        done.wait(0.002)


def setup():
    global thread
    thread = threading.Thread(target=watch, daemon=True)
    thread.start()


def consume(batch):
    sum(len(text) for text in batch["text"])


def teardown():
    done.set()
    thread.join()
