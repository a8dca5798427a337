"""
verdict: leak
cause: anonymous-other or python-objects
origin: user-code
data: fixed
why: a thread is started at every call and waits for ever: its stack, its objects.
"""

import threading

never = threading.Event()


def consume(batch):
    threading.Thread(target=never.wait, daemon=True).start()
