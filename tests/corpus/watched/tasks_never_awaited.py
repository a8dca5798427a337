"""
verdict: leak
cause: python-objects
site: tasks_never_awaited.py:25
holder: tasks
process: main
why: an asyncio program starts a task for each batch, which waits for something that does not come.
"""

import asyncio
import sys

import datasets


async def score(texts, ready):
    await ready.wait()
    return sum(map(len, texts))


async def main(dataset):
    tasks, ready = set(), asyncio.Event()
    for step in range(1000):
        start = step * 20 % len(dataset)
        texts = [text[:300] + str(step) for text in dataset[start : start + 20]["text"]]  # the leak
        tasks.add(asyncio.create_task(score(texts, ready)))
        await asyncio.sleep(0.01)
    ready.set()
    print(sum(await asyncio.gather(*tasks)))


asyncio.run(main(datasets.load_from_disk(sys.argv[1])))
