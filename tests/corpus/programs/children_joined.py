"""
verdict: no-leak
data: fixed
why: a child process is run to its end at every slice.
"""

import subprocess


def consume(batch):
    subprocess.run(["true"], check=True)
