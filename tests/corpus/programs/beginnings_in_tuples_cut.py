"""
verdict: no-leak or inconclusive
data: fixed
why: of each of fifty kinds a tuple of the last thousand beginnings stays, made anew each time and far from full.
"""

import itertools

numbers = itertools.count()
of_kind = {}


def consume(batch):
    number = next(numbers)
    kind = f"kind {number % 50}"
    of_kind[kind] = (*of_kind.get(kind, ()), batch["text"][0][:300] + str(number))
    of_kind[kind] = of_kind[kind][-1000:]
