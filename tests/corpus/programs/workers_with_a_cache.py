"""
verdict: no-leak
data: fixed
why: the initializer of a pool gives each worker an LRU of 64 entries; they are full in the second epoch.
"""

import functools
import itertools
import multiprocessing

context = multiprocessing.get_context("fork")
numbers = itertools.count()
lookup = None
pool = None


def begin(size):
    global lookup
    lookup = functools.lru_cache(maxsize=size)(lambda key: bytearray(b"v") * 50_000)


def work(key):
    return len(lookup(key))


def setup():
    global pool
    pool = context.Pool(2, initializer=begin, initargs=(64,))


def consume(batch):
    pool.map(work, [next(numbers) for _ in range(2)], chunksize=1)


def teardown():
    pool.terminate()
    pool.join()
