"""
verdict: no-leak or inconclusive
data: fixed
why: of each of fifty kinds a set of the last thousand texts stays, sorted and made anew each time.
"""

import collections
import itertools

numbers = itertools.count()
of_kind = collections.defaultdict(set)


def consume(batch):
    number = next(numbers)
    kind = f"kind {number % 50}"
    of_kind[kind].add(f"{number:09} {batch['text'][0][:300]}")
    of_kind[kind] = set(sorted(of_kind[kind])[-1000:])
