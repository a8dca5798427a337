"""
verdict: leak
cause: python-objects
origin: user-code
site: handler_keeps_records.py:30
holder: records
rate: 640
data: fixed
why: a handler of somebody's own keeps every record that is logged.
"""

import logging


class Keeper(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


log = logging.getLogger("train.keeper")
log.propagate = False
log.addHandler(Keeper())


def consume(batch):
    log.warning("rows: %d", len(batch["text"]))  # the leak
