"""
verdict: no-leak or inconclusive
data: fixed
why: of each of fifty kinds the last thousand texts are kept, in lists that are far from full.
"""

import collections
import itertools

numbers = itertools.count()
of_kind = collections.defaultdict(list)


def consume(batch):
    number = next(numbers)
    kind = f"kind {number % 50}"
    of_kind[kind].append(batch["text"][0][:300] + str(number))
    of_kind[kind] = of_kind[kind][-1000:]
