"""
verdict: no-leak
data: fixed
why: at the 30th call a few modules are imported for the first time.
"""

import itertools

calls = itertools.count(1)


def consume(batch):
    if next(calls) == 30:
        import mailbox  # noqa: F401
        import xml.dom.minidom

        xml.dom.minidom.parseString("<a/>")
