"""
verdict: leak
cause: python-objects
origin: user-code
site: weakref_list.py:24
holder: observers
rate: 80
data: fixed
why: weak references to dead objects are never removed from their list.
"""

import weakref


class Observer:
    pass


observers = []


def consume(batch):
    observer = Observer()
    observers.append(weakref.ref(observer, lambda dead: None))  # the leak
