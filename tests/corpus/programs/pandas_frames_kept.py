"""
verdict: leak
cause: native-heap or python-objects
origin: user-code
site: pandas_frames_kept.py:19
holder: frames
rate: 6000
data: fixed
libraries: pandas
why: a frame of each slice's statistics is kept.
"""

import pandas as pd

frames = []


def consume(batch):
    frames.append(pd.DataFrame({"length": [float(len(text)) for text in batch["text"]]}))  # the leak
