"""
verdict: no-leak or inconclusive
why: a helper process that keeps what it is sent is ended and begun anew every second and a half.
"""

import subprocess
import sys
import time

import datasets

CODE = """
import sys
seen = {}
for number, line in enumerate(sys.stdin):
    seen[number] = line.split()
    print(len(seen), flush=True)
"""

dataset = datasets.load_from_disk(sys.argv[1])

total = 0
for _ in range(8):
    helper = subprocess.Popen(
        [sys.executable, "-c", CODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    for step in range(100):
        for text in dataset[step * 10 : step * 10 + 10]["text"]:
            helper.stdin.write(text[:200].replace("\n", " ") + "\n")
            helper.stdin.flush()
            total += int(helper.stdout.readline())
        time.sleep(0.01)
    helper.stdin.close()
    helper.wait()
    helper.stdout.close()
print(total)
