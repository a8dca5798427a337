"""
verdict: leak
cause: native-heap or python-objects or arrow-pool
origin: user-code
holder: kept
data: fixed
options: --format arrow
why: with_format("arrow"): each table is kept; its rows are the dataset's, but its bookkeeping is its own.
"""

kept = []


def consume(table):
    kept.append(table)
