"""
verdict: no-leak or inconclusive
why: one text in a variable of main() is cut to its last 300 million characters, of which a tenth come.
"""

import sys
import time

import datasets


def main(path):
    dataset = datasets.load_from_disk(path)
    log = ""
    for _ in range(2):
        for start in range(0, len(dataset), 200):
            log += "".join(dataset[start : start + 200]["text"])
            log = log[-300_000_000:]
            time.sleep(0.03)
    print(len(log))


if __name__ == "__main__":
    main(sys.argv[1])
