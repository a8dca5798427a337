"""Three trainings of one tiny model with a real Trainer, in a process of their own; prints what came of them.

Arguments: a folder to work in. The model is made from its config: nothing is loaded from anywhere.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

from hfmemdebug.integrations.transformers import MemoryCallback

ROWS, BATCH, ACCUMULATED, EPOCHS, LEAK = 90, 2, 3, 5, 8000
kept: list[str] = []


def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    return {name: torch.tensor([row[name] for row in rows]) for name in ("input_ids", "labels")}


def leaking(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    kept.append("x" * (LEAK // ACCUMULATED) + str(len(kept)))
    return collate(rows)


def trainer(folder: Path, callback: MemoryCallback | None, **options: Any) -> Trainer:
    torch.manual_seed(0)
    collator = options.pop("collator", collate)
    rows = Dataset.from_dict(
        {"input_ids": [[n % 50] * 8 for n in range(ROWS)], "labels": [n % 2 for n in range(ROWS)]}
    )
    config = BertConfig(
        vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8,
        max_position_embeddings=8,
    )  # fmt: skip
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(folder / "board")
    arguments = TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=BATCH, gradient_accumulation_steps=ACCUMULATED,
        eval_strategy="epoch", report_to=["tensorboard"], use_cpu=True, disable_tqdm=True,
        **{"num_train_epochs": EPOCHS, "logging_steps": 1, "save_strategy": "no", **options},
    )  # fmt: skip
    return Trainer(
        model=BertForSequenceClassification(config),
        args=arguments,
        train_dataset=rows,
        eval_dataset=rows.select(range(4)),
        data_collator=collator,
        callbacks=[callback] if callback is not None else [],
    )


def losses(run: Trainer) -> list[float]:
    return [line["loss"] for line in run.state.log_history if "loss" in line]


def told(callback: MemoryCallback) -> dict[str, Any]:
    return callback.result().to_dict()


def main(folder: Path) -> None:
    clean = MemoryCallback(folder / "clean.jsonl")
    run = trainer(folder / "clean", clean, save_strategy="steps", save_steps=20)
    returned = run.train()
    document: dict[str, Any] = {
        "clean": told(clean),
        "history": [line for line in run.state.log_history if "loss" in line],
        "returned": [returned.metrics, run.evaluate()],
        "losses": losses(run),
        "losses without it": losses_without(folder / "without"),
    }
    guilty = MemoryCallback(str(folder / "leak.jsonl"))
    # By a number of steps, so that the last epoch is cut.
    trainer(
        folder / "leak", guilty, collator=leaking, max_steps=int(4.6 * ROWS / BATCH / ACCUMULATED)
    ).train()
    document["leak"] = told(guilty)
    resumed = MemoryCallback(folder / "resumed.jsonl")
    trainer(folder / "clean", resumed).train(resume_from_checkpoint=str(folder / "clean" / "checkpoint-20"))
    document["resumed"] = told(resumed)
    print(json.dumps(document))


def losses_without(folder: Path) -> list[float]:
    run = trainer(folder, None)
    run.train()
    return losses(run)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
