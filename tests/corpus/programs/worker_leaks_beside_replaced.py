"""
verdict: leak
cause: anonymous-other or python-objects
origin: user-code
rate: 100000
site: worker_leaks_beside_replaced.py:23
data: fixed
why: a worker keeps 100 KB with each task; what another one keeps goes with it after 24 tasks, as a sawtooth.
"""

import multiprocessing

context = multiprocessing.get_context("fork")
kept = []
lasting = replaced = None


def work(texts):
    return sum(map(len, texts))


def keep(texts):
    kept.append(bytearray(b"x") * 100_000)  # the leak
    return work(texts)


def keep_for_a_while(texts):
    kept.append(bytearray(b"y") * 200_000)
    return work(texts)


def setup():
    global lasting, replaced
    lasting, replaced = context.Pool(1), context.Pool(1, maxtasksperchild=24)


def consume(batch):
    texts = (batch["text"][:20],)
    lasting.apply(keep, texts)
    replaced.apply(keep_for_a_while, texts)


def teardown():
    for pool in (lasting, replaced):
        pool.terminate()
        pool.join()
