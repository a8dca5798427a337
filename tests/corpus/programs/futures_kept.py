"""
verdict: leak
cause: python-objects
origin: user-code
site: futures_kept.py:18
holder: futures
data: fixed
why: the futures of a pool of threads are kept, and with each its result of 20 KB.
"""

from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(2)
futures = []


def work(rows):
    return b"x" * (20_000 + rows)  # the leak


def consume(batch):
    future = pool.submit(work, len(batch["text"]))
    future.result()
    futures.append(future)


def teardown():
    pool.shutdown()
