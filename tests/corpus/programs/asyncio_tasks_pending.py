"""
verdict: leak
cause: python-objects
origin: user-code
site: asyncio_tasks_pending.py:23
holder: pending
rate: 840
data: fixed
why: a task that waits for ever is added to a loop at every slice.
"""

import asyncio

loop = asyncio.new_event_loop()
pending = set()


async def wait_for_ever():
    await loop.create_future()


async def add_one():
    pending.add(loop.create_task(wait_for_ever()))  # the leak
    await asyncio.sleep(0)


def consume(batch):
    loop.run_until_complete(add_one())
