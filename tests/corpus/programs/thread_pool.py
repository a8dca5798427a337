"""
verdict: no-leak
data: varying
why: a pool of four threads, made once, maps over the rows.
"""

from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(4)


def consume(batch):
    sum(pool.map(len, batch["text"][:50]))


def teardown():
    pool.shutdown()
