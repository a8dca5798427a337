"""
verdict: leak
cause: native-heap or python-objects
site: kept_beside_a_shortened_text.py:21
why: a log in a variable of main() is one text that is never cut; each batch is, to as much as it never has.
"""

import sys
import time

import datasets


def main(path):
    dataset = datasets.load_from_disk(path)
    log = ""
    for _ in range(2):
        for start in range(0, len(dataset), 200):
            text = "".join(dataset[start : start + 200]["text"])
            text = text[:100_000_000]
            log += text  # the leak
            time.sleep(0.03)
    print(len(log))


if __name__ == "__main__":
    main(sys.argv[1])
