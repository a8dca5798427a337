"""
verdict: no-leak
data: fixed
libraries: tqdm
why: a progress bar that writes to the null device.
"""

import os

from tqdm import tqdm

bar = tqdm(file=open(os.devnull, "w"), mininterval=0)  # noqa: PTH123, SIM115


def consume(batch):
    bar.update(len(batch["text"]))
    bar.set_postfix(rows=len(batch["text"]))
