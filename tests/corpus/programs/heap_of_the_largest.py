"""
verdict: no-leak or inconclusive
data: varying
why: a heap holds the 200 longest texts that were seen: it fills at once, and is then replaced ever more seldom.
"""

import heapq

longest = []


def consume(batch):
    for text in batch["text"][:50]:
        entry = (len(text), text)
        if len(longest) < 200:
            heapq.heappush(longest, entry)
        else:
            heapq.heappushpop(longest, entry)
