"""
verdict: leak
cause: python-objects
site: helper_keeps_lines.py:21
holder: seen
process: python helper_keeps_lines.py
why: a helper that the program talks to through pipes keeps each line it was asked for; the program itself is clean.
"""

import subprocess
import sys
import time


def serve():
    seen = {}
    for number, line in enumerate(sys.stdin):
        # As a memory of what was asked before, by a key that never comes again.
        key = f"{number}:{line[:20]}"
        if key not in seen:
            seen[key] = line.split()  # the leak
        print(len(seen[key]), flush=True)


def main():
    import datasets

    dataset = datasets.load_from_disk(sys.argv[1])
    helper = subprocess.Popen(
        [sys.executable, __file__, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    total = 0
    for step in range(1000):
        for text in dataset[step * 10 : step * 10 + 10]["text"]:
            helper.stdin.write(text[:200].replace("\n", " ") + "\n")
            helper.stdin.flush()
            total += int(helper.stdout.readline())
        time.sleep(0.01)
    helper.stdin.close()
    helper.wait()
    print(total)


if sys.argv[1] == "--serve":
    serve()
else:
    main()
