"""
verdict: no-leak
data: fixed
why: a handler is added at every call, and the one before is removed.
"""

import logging

logger = logging.getLogger("corpus.replaced")
logger.propagate = False


def consume(batch):
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.addHandler(logging.NullHandler())
    logger.warning("rows %d", len(batch["text"]))
