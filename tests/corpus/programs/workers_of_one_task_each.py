"""
verdict: no-leak
data: fixed
why: a pool replaces its worker after every task: processes come and go, and each takes its memory along.
"""

import multiprocessing

pool = None


def work(rows):
    return len(bytes(1_000_000 + rows))


def setup():
    global pool
    pool = multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1)


def consume(batch):
    pool.apply(work, (len(batch["text"]),))


def teardown():
    pool.terminate()
    pool.join()
