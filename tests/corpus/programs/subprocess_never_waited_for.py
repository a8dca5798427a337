"""
verdict: leak
cause: anonymous-other
origin: user-code
data: fixed
why: a command is started at each slice, ends, and is never waited for: a zombie each.
"""

import subprocess

started = []


def consume(batch):
    started.append(subprocess.Popen(["true"]))
