"""
verdict: leak
cause: file-mapping or python-objects
origin: user-code
site: event_loops_kept.py:24
holder: loops
data: fixed
why: an event loop is made at every fourth slice and never closed: three descriptors and its objects.
"""

import asyncio
import itertools

calls = itertools.count()
loops = []


async def count(batch):
    return len(batch["text"])


def consume(batch):
    if next(calls) % 4 == 0:
        loop = asyncio.new_event_loop()  # the leak
        loop.run_until_complete(count(batch))
        loops.append(loop)
