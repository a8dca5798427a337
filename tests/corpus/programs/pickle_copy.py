"""
verdict: no-leak
data: varying
why: slices are pickled, unpickled and deep-copied.
"""

import copy
import pickle


def consume(batch):
    pickle.loads(pickle.dumps(batch))
    copy.deepcopy(batch)
