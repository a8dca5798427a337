"""
verdict: leak
cause: anonymous-other or python-objects
origin: user-code
site: worker_leaks.py:20
rate: 102400
fast: yes
data: fixed
why: not this process but its one worker keeps 100 KB at every slice.
"""

import multiprocessing

context = multiprocessing.get_context("fork")
kept = []
pool = None


def keep(rows):
    kept.append(b"x" * (100 * 1024 + rows))  # the leak
    return rows


def setup():
    global pool
    pool = context.Pool(1)


def consume(batch):
    pool.apply(keep, (len(batch["text"]),))


def teardown():
    pool.terminate()
    pool.join()
