"""
verdict: no-leak
data: varying
why: asyncio.run at every slice closes what it opens.
"""

import asyncio


async def length(text):
    await asyncio.sleep(0)
    return len(text)


async def lengths(batch):
    return await asyncio.gather(*(length(text) for text in batch["text"][:50]))


def consume(batch):
    asyncio.run(lengths(batch))
