"""
verdict: no-leak
data: fixed
why: one thread serves all slices, and keeps the last ten in a local list.
"""

import queue
import threading

requests = queue.Queue()
answers = queue.Queue()


def work():
    seen = []
    while True:
        seen.append(bytes(600 + requests.get()))
        del seen[:-10]
        answers.put(len(seen))


threading.Thread(target=work, daemon=True).start()


def consume(batch):
    requests.put(1)
    answers.get()
