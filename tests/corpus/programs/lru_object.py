"""
verdict: no-leak or inconclusive
data: fixed
why: an object with a dict of features throws the oldest out when there are 2048, which takes as many slices.
"""

import itertools

numbers = itertools.count()


class FeatureStore:
    limit = 2048

    def __init__(self):
        self._features = {}

    def get(self, key, text):
        found = self._features.get(key)
        if found is None:
            found = self._features[key] = [float(ord(letter)) for letter in text[:100]]
            if len(self._features) > self.limit:
                self._evict()
        return found

    def _evict(self):
        oldest = next(iter(self._features))
        del self._features[oldest]


store = FeatureStore()


def consume(batch):
    store.get(next(numbers), batch["text"][0] * 10)
