"""
verdict: leak
cause: anonymous-other or python-objects
origin: user-code
data: fixed
why: a dictionary in the process of multiprocessing.Manager gains 50 KB at every slice; this process keeps nothing.
"""

import multiprocessing

manager = None
shared = None


def setup():
    global manager, shared
    manager = multiprocessing.get_context("fork").Manager()
    shared = manager.dict()


def consume(batch):
    shared[len(shared)] = b"x" * 50_000


def teardown():
    manager.shutdown()
