"""
verdict: leak
cause: python-objects
origin: user-code
site: logging_handlers.py:18
rate: 290
data: fixed
why: a handler is added to the same logger at every call and never removed.
"""

import logging

logger = logging.getLogger("corpus.handlers")
logger.propagate = False


def consume(batch):
    handler = logging.NullHandler()  # the leak
    logger.addHandler(handler)
    logger.info("rows %d", len(batch["text"]))
