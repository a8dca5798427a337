"""
verdict: leak
cause: python-objects
origin: user-code
site: thread_collects.py:22
holder: local variable `seen` of `work`
rate: 640
data: fixed
why: one thread serves all slices, and keeps what it was given in a local list.
"""

import queue
import threading

requests = queue.Queue()
answers = queue.Queue()


def work():
    seen = []
    while True:
        seen.append(bytes(600 + requests.get()))  # the leak
        answers.put(len(seen))


threading.Thread(target=work, daemon=True).start()


def consume(batch):
    requests.put(1)
    answers.get()
