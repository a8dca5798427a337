"""
verdict: leak
cause: anonymous-other or file-mapping
origin: user-code
site: children_never_closed.py:20
holder: children
data: fixed
why: a child process is started at every fourth slice and never ended.
"""

import itertools
import subprocess

calls = itertools.count()
children = []


def consume(batch):
    if next(calls) % 4 == 0:
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)  # the leak
        children.append(child)


def teardown():
    for child in children:
        child.kill()
        child.wait()
        child.stdin.close()
