"""
verdict: leak
cause: python-objects
origin: user-code
site: class_attribute_history.py:17
holder: Metrics.history
rate: 850
data: fixed
why: a list that was meant for one object is the class's: it outlives the objects of all slices.
"""


class Metrics:
    history = []  # noqa: RUF012

    def log(self, size):
        self.history.append(bytes(size))  # the leak


def consume(batch):
    Metrics().log(800)
