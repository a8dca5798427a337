"""Consumers that keep nothing, one for each kind of clean repetition: what a loop does with a slice and lets go."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def tokenize(batch: dict[str, list[str]]) -> None:
    """Words to numbers, padded to the longest, with a digest of what was read."""
    rows = [text.lower().split() for text in batch["text"]]
    vocabulary = {word: number for number, word in enumerate(sorted({word for row in rows for word in row}))}
    longest = max(map(len, rows))
    ids = [[vocabulary[word] for word in row] + [-1] * (longest - len(row)) for row in rows]
    hashlib.sha256(json.dumps(ids[0]).encode()).hexdigest()


def normalize(batch: dict[str, Any]) -> None:
    """Arrays: a column normalised, a matrix product, labels sorted."""
    import numpy as np

    scores = batch["score"]
    normal = (scores - scores.mean()) / (scores.std() + 1e-9)
    embedding = np.asarray(batch["embedding"], dtype="float32")
    embedding.T @ (embedding * normal[:, None])
    np.sort(batch["label"])


def aggregate(frame: Any) -> None:
    """A data frame: groups, a join with their means, the first rows by score."""
    means = frame.groupby("label")["score"].mean().rename("mean").reset_index()
    frame[["label", "score"]].merge(means, on="label").sort_values("score").head(5).to_dict("records")


def forward(batch: dict[str, Any]) -> None:
    """Tensors: a layer, a loss, its gradients."""
    import torch

    layer = torch.nn.Linear(batch["embedding"].shape[1], 1)
    loss = (layer(batch["embedding"].float()).squeeze(1) - batch["score"].float()).square().mean()
    loss.backward()
    loss.item()


def compute(table: Any) -> None:
    """An Arrow table: a filter, lengths of lists, means of a group."""
    import pyarrow.compute as pc

    kept = table.filter(pc.greater(table["score"], 0.1))
    pc.sum(pc.list_value_length(kept["embedding"])).as_py()
    pc.value_counts(kept["label"]).to_pylist()
