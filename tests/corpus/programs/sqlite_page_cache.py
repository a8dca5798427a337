"""
verdict: no-leak or inconclusive
data: fixed
why: rows go into a database on disk, whose page cache fills up to its 2 MB in a hundred slices and stays so.
"""

import shutil
import sqlite3
import tempfile
from pathlib import Path

folder = tempfile.mkdtemp()
connection = None


def setup():
    global connection
    connection = sqlite3.connect(Path(folder) / "log.db", isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("CREATE TABLE log (text TEXT)")


def consume(batch):
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO log VALUES (?)", [(text[:400] * 8,) for text in batch["text"][:16]])
    connection.execute("COMMIT")


def teardown():
    connection.close()
    shutil.rmtree(folder)
