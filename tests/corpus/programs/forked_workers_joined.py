"""
verdict: no-leak
data: fixed
why: a worker is forked at every fifth slice, and joined.
"""

import itertools
import multiprocessing

calls = itertools.count()
context = multiprocessing.get_context("fork")


def work(rows):
    sum(range(rows))


def consume(batch):
    if next(calls) % 5 == 0:
        worker = context.Process(target=work, args=(len(batch["text"]),))
        worker.start()
        worker.join()
        worker.close()
