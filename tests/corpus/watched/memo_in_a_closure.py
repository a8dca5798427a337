"""
verdict: no-leak or inconclusive
why: a decorator remembers up to a hundred thousand answers in a variable of its own; forty thousand come.
"""

import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])


def memo(limit):
    def decorate(function):
        cache = {}

        def wrapper(*key):
            if key not in cache:
                if len(cache) >= limit:
                    cache.pop(next(iter(cache)))
                cache[key] = function(*key)
            return cache[key]

        return wrapper

    return decorate


@memo(100_000)
def beginning(text, number):
    return [text[:100], number]


total = 0
for epoch in range(2):
    for number, row in enumerate(dataset):
        total += len(beginning(row["text"], epoch * 50_000 + number))
        if number % 50 == 49:
            time.sleep(0.012)
print(total)
