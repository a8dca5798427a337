"""
verdict: no-leak
data: varying
why: a pool of two workers, made once, is given a piece of work at every slice.
"""

import multiprocessing

context = multiprocessing.get_context("fork")
pool = None


def setup():
    global pool
    pool = context.Pool(2)


def consume(batch):
    pool.map(len, batch["text"][:20])


def teardown():
    pool.terminate()
    pool.join()
