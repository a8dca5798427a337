"""
verdict: leak
cause: native-heap or python-objects
origin: user-code
site: sqlite_grows.py:18
rate: 15500
data: varying
why: ten texts a slice go into a database in memory.
"""

import sqlite3

database = sqlite3.connect(":memory:")
database.execute("CREATE TABLE texts (text TEXT)")


def consume(batch):
    database.executemany("INSERT INTO texts VALUES (?)", [(text,) for text in batch["text"][:10]])  # the leak
    database.commit()
