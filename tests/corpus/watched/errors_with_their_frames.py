"""
verdict: leak
cause: python-objects
site: errors_with_their_frames.py:19
holder: errors
process: main
why: errors are kept for a summary at the end, and each keeps the frame, and the batch in it, that it came from.
"""

import sys
import time

import datasets

dataset = datasets.load_from_disk(sys.argv[1])


def check(step):
    texts = [text + str(step) for text in dataset[step * 19 : step * 19 + 20]["text"]]  # the leak
    if step % 3 == 0:
        raise ValueError(f"batch {step} is too long")
    return len(texts)


errors = []
for step in range(1000):
    try:
        check(step)
    except ValueError as error:
        errors.append(error)
    time.sleep(0.01)
print(len(errors))
