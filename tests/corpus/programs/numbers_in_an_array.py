"""
verdict: leak or inconclusive
cause: native-heap or python-objects
origin: user-code
holder: losses
data: fixed
why: an array of doubles gains 20 numbers at each slice and is made larger by an eighth now and then.
"""

import array

losses = array.array("d")


def consume(batch):
    losses.extend([0.5] * 20)
