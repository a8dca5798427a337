"""
verdict: leak
cause: python-objects
origin: user-code
site: logging_filters.py:20
rate: 250
data: fixed
why: a new filter, a lambda with a closure, is added to the logger at every call.
"""

import logging

logger = logging.getLogger("corpus.filters")
logger.addHandler(logging.NullHandler())
logger.propagate = False


def consume(batch):
    rows = len(batch["text"])
    logger.addFilter(lambda record: rows > 0)  # the leak
