"""
verdict: leak
cause: python-objects
origin: user-code
rate: 1000
data: fixed
why: a MemoryHandler without a target keeps each record, since its capacity is never reached.
"""

import logging
import logging.handlers

logger = logging.getLogger("corpus.memory")
logger.setLevel(logging.INFO)
logger.propagate = False
logger.addHandler(logging.handlers.MemoryHandler(capacity=10**9, flushLevel=logging.CRITICAL))


def consume(batch):
    logger.info("rows %d", len(batch["text"]))
