"""
verdict: leak
cause: native-heap or python-objects
site: text_kept_in_main.py:20
why: a log in a variable of main() is one text that is never cut, beside a short one that is.
"""

import sys
import time

import datasets


def main(path):
    dataset = datasets.load_from_disk(path)
    log = last = ""
    for _ in range(2):
        for start in range(0, len(dataset), 200):
            text = "".join(dataset[start : start + 200]["text"])
            log += text  # the leak
            last = (last + text)[-2_000_000:]
            time.sleep(0.03)
    print(len(log), len(last))


if __name__ == "__main__":
    main(sys.argv[1])
