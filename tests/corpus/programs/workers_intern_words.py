"""
verdict: leak
cause: anonymous-other or python-objects
origin: user-code
site: workers_intern_words.py:24
data: varying
why: each of two forked workers remembers every text that it was sent, under a number that never comes again.
"""

import itertools
import multiprocessing

context = multiprocessing.get_context("fork")
numbers = itertools.count()
memory = {}
pool = None


def measure(texts):
    total = 0
    for text in texts:
        key = next(numbers)
        if key not in memory:
            memory[key] = f"{text[:200]} {key}"  # the leak
        total += len(memory[key])
    return total


def setup():
    global pool
    pool = context.Pool(2)


def consume(batch):
    texts = batch["text"]
    half = len(texts) // 2
    pool.map(measure, [texts[:half], texts[half:]])


def teardown():
    pool.terminate()
    pool.join()
