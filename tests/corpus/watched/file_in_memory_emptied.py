"""
verdict: no-leak or inconclusive
why: a file in memory, in a variable of main(), is begun anew once it has 300 million bytes, of which a tenth come.
"""

import io
import sys
import time

import datasets

FULL = 300_000_000


def main(path):
    dataset = datasets.load_from_disk(path)
    shard, written = io.BytesIO(), 0
    for _ in range(2):
        for start in range(0, len(dataset), 200):
            shard.write("".join(dataset[start : start + 200]["text"]).encode())
            if shard.tell() > FULL:
                written += shard.tell()
                shard = io.BytesIO()
            time.sleep(0.03)
    print(written)


if __name__ == "__main__":
    main(sys.argv[1])
