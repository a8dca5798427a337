"""
verdict: leak
cause: anonymous-other or file-mapping
why: each step starts a process that waits for input for ever, and nobody ends it.
"""

import subprocess
import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])


open_processes = []
for step in range(130):
    text = dataset[step * 100]["text"]
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdin.write(text.encode())
    open_processes.append(process)
    time.sleep(0.08)
for process in open_processes:
    process.communicate()
