"""
verdict: leak
cause: anonymous-other or python-objects
origin: user-code
site: one_worker_keeps_a_little.py:18
data: fixed
why: an executor's one process keeps twelve kilobytes for each text that it is given; this process keeps nothing.
"""

import concurrent.futures
import multiprocessing

executor = None
texts = []


def count(text):
    texts.append(text[:600] * 20)  # the leak
    return text.count(" ")


def setup():
    global executor
    executor = concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork"))


def consume(batch):
    return executor.submit(count, batch["text"][0]).result()


def teardown():
    executor.shutdown()
