"""
verdict: no-leak
data: varying
why: a message per slice goes to a NullHandler and to a handler that counts.
"""

import logging


class Counting(logging.Handler):
    seen = 0

    def emit(self, record):
        self.seen += len(self.format(record))


logger = logging.getLogger("corpus.null")
logger.setLevel(logging.INFO)
logger.propagate = False
logger.addHandler(logging.NullHandler())
logger.addHandler(Counting())


def consume(batch):
    logger.info("a slice of %d rows, the first of %d letters", len(batch["text"]), len(batch["text"][0]))
