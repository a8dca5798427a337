"""
verdict: no-leak
data: fixed
why: a timeout of an hour is set for each slice and cancelled; the loop drops cancelled ones when there are many.
"""

import asyncio

loop = None


def setup():
    global loop
    loop = asyncio.new_event_loop()


async def work(texts):
    scratch = bytearray(10_000)
    timeout = loop.call_later(3600, scratch.clear)
    await asyncio.sleep(0)
    timeout.cancel()
    return sum(map(len, texts))


def consume(batch):
    loop.run_until_complete(work(batch["text"]))


def teardown():
    loop.close()
