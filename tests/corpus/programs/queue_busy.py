"""
verdict: no-leak or inconclusive
data: fixed
why: a queue whose arrivals and services are random: its length wanders, and always comes back to nothing.
"""

import collections
import random

random_numbers = random.Random(29)
waiting = collections.deque()


def consume(batch):
    for _ in range(10):
        if random_numbers.random() < 0.45:
            waiting.append(bytearray(10_000))
        if waiting and random_numbers.random() < 0.5:
            waiting.popleft()
