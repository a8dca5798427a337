"""
verdict: leak
cause: python-objects
origin: user-code
site: logging_logger_per_slice.py:18
rate: 650
data: fixed
why: loggers are kept for ever by the logging manager; one with a new name is asked for at every slice.
"""

import itertools
import logging

calls = itertools.count(1)


def consume(batch):
    logging.getLogger(f"corpus.slice{next(calls)}").debug("rows %d", len(batch["text"]))  # the leak
