"""
verdict: leak
cause: python-objects
origin: user-code
site: signal_handler_chain.py:17
rate: 300
data: fixed
why: each new signal handler keeps the one before, to call it.
"""

import signal


def consume(batch):
    previous = signal.getsignal(signal.SIGUSR2)

    def handler(number, frame):  # the leak
        if callable(previous):
            previous(number, frame)

    signal.signal(signal.SIGUSR2, handler)
