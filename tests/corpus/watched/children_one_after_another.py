"""
verdict: no-leak
why: each step runs a Python process and waits for it.
"""

import subprocess
import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])


total = 0
for step in range(110):
    text = "\n".join(dataset[step * 100 : step * 100 + 100]["text"])
    code = "import sys; print(len(sys.stdin.read().split()))"
    total += int(
        subprocess.run([sys.executable, "-c", code], input=text, capture_output=True, text=True).stdout
    )
    time.sleep(0.03)
print(total)
