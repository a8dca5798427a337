"""
verdict: no-leak
data: numeric
why: each slice goes to JSON and back.
"""

import json


def consume(batch):
    json.loads(json.dumps({"score": batch["score"], "label": batch["label"]}))
