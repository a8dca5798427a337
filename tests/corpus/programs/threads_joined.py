"""
verdict: no-leak
data: fixed
why: a thread is started and joined at every call.
"""

import threading


def consume(batch):
    lengths = []
    worker = threading.Thread(target=lambda: lengths.append(sum(map(len, batch["text"]))))
    worker.start()
    worker.join()
