"""
verdict: leak
cause: python-objects or native-heap
origin: user-code
site: process_queue_unread.py:21
data: fixed
why: results go into a multiprocessing.Queue that no process reads: its pipe is full, and its buffer takes the rest.
"""

import multiprocessing

results = None


def setup():
    global results
    results = multiprocessing.get_context("fork").Queue()


def consume(batch):
    results.put({"lengths": bytearray(len(text) % 256 for text in batch["text"] * 10)})  # the leak
