"""
verdict: leak
cause: python-objects
site: map_with_a_closure_that_keeps.py:21
holder: examples
process: main
why: the function of a map in the main process puts the words of every row into a list around it.
"""

import sys
import tempfile
import time

import datasets


def counter():
    examples = []

    def count(row):
        examples.append(row["text"][:80].split())  # the leak
        if len(examples) % 20 == 0:
            time.sleep(0.012)
        return {"count": len(examples[-1])}

    return count


dataset = datasets.load_from_disk(sys.argv[1])
with tempfile.TemporaryDirectory() as folder:
    mapped = dataset.map(counter(), cache_file_name=f"{folder}/mapped.arrow", new_fingerprint="counted")
    print(len(mapped))
    del mapped
