"""
verdict: leak
cause: python-objects
origin: user-code
holder: kept
rate: 630000
data: fixed
fast: yes
why: every slice is appended to a module's list.
"""

kept = []


def consume(batch):
    kept.append(batch)
