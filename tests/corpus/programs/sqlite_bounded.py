"""
verdict: no-leak
data: varying
why: a table in memory is emptied before each slice's rows go into it.
"""

import sqlite3

database = sqlite3.connect(":memory:")
database.execute("CREATE TABLE texts (text TEXT)")


def consume(batch):
    database.execute("DELETE FROM texts")
    database.executemany("INSERT INTO texts VALUES (?)", [(text,) for text in batch["text"][:100]])
    database.commit()
