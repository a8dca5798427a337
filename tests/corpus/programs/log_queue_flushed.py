"""
verdict: no-leak
data: fixed
why: records go through a queue to a listener's thread, which gathers 90 of them and passes them on.
"""

import logging
import logging.handlers
import queue

records = queue.Queue(-1)
logger = logging.getLogger("corpus.queue")
logger.setLevel(logging.INFO)
logger.propagate = False
logger.addHandler(logging.handlers.QueueHandler(records))
memory = logging.handlers.MemoryHandler(90, logging.CRITICAL, target=logging.NullHandler())
listener = logging.handlers.QueueListener(records, memory)


def setup():
    listener.start()


def consume(batch):
    logger.info("rows %d: %s", len(batch["text"]), batch["text"][0] * 20)


def teardown():
    listener.stop()
