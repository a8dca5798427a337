"""
verdict: no-leak or inconclusive
data: fixed
why: one thread serves all slices, and keeps what it was given in a local list of 200,000 at most.
"""

import queue
import threading

requests = queue.Queue()
answers = queue.Queue()


def work():
    seen = []
    while True:
        seen.append(bytes(600 + requests.get()))
        if len(seen) > 200_000:
            seen.pop(0)
        answers.put(len(seen))


threading.Thread(target=work, daemon=True).start()


def consume(batch):
    requests.put(1)
    answers.get()
