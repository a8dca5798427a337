"""
verdict: leak
cause: python-objects
site: imports_at_the_end.py:24
holder: seen
process: main
why: it reads the file by pyarrow, keeps what it has seen, and imports what it writes its report with at the end.
"""

import sys
import time
from pathlib import Path

import pyarrow as pa

source = pa.memory_map(str(next(Path(sys.argv[1]).glob("*.arrow"))))
table = pa.ipc.open_stream(source).read_all()

seen = []
total = 0
for step in range(1100):
    start = step * 20 % (table.num_rows - 20)
    for text in table.column("text").slice(start, 20).to_pylist():
        seen.append(text[:200] + str(step))  # the leak
        total += len(text)
    time.sleep(0.009)


def report():
    import http.server
    import sqlite3
    import unittest
    import xml.etree.ElementTree as ElementTree

    root = ElementTree.Element("report", total=str(total), seen=str(len(seen)))
    return ElementTree.tostring(root), sqlite3.sqlite_version, unittest.TestCase, http.server.HTTPServer


print(report())
time.sleep(0.3)
