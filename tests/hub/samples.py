"""Repositories for the loopback Hub, made of invented text."""

from __future__ import annotations

import io
import random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hub.repos import Repo, dataset_card, make_repo

ROWS = {"train": 3000, "validation": 200}
CONFIGS = ("cs-en", "de-en")
_SYLLABLES = ["ba", "do", "ke", "li", "mo", "nu", "pra", "ri", "sta", "to", "vy", "ze"]


def translations(rows: int, *, seed: int = 1) -> bytes:
    """A Parquet file of `rows` rows of ``translation: {cs, en}``, of varying length."""
    chance = random.Random(seed)

    def sentence() -> str:
        words = (
            "".join(chance.choices(_SYLLABLES, k=chance.randint(1, 3))) for _ in range(chance.randint(3, 15))
        )
        return " ".join(words)

    pair = pa.struct([("cs", pa.string()), ("en", pa.string())])
    table = pa.table(
        {"translation": pa.array([{"cs": sentence(), "en": sentence()} for _ in range(rows)], pair)}
    )
    stream = io.BytesIO()
    pq.write_table(table, stream, row_group_size=1000)
    return stream.getvalue()


def translation_info(config: str, *, dataset_size: int = 600_000, **rows: int) -> dict[str, Any]:
    """The part of a card that declares features, counts and sizes."""
    first, second = config.split("-")
    return {
        "config_name": config,
        "features": [{"name": "translation", "dtype": {"translation": {"languages": [first, second]}}}],
        "splits": [
            {"name": name, "num_bytes": 100 * count, "num_examples": count}
            for name, count in {**ROWS, **rows}.items()
        ],
        "download_size": 300_000,
        "dataset_size": dataset_size,
    }


def wmt(*, configs: tuple[str, ...] = CONFIGS, with_infos: bool = True, **details: Any) -> Repo:
    """A repository laid out as wmt/wmt19: configurations of language pairs, train and validation."""
    files: dict[str, Any] = {}
    for config in configs:
        for split, rows in ROWS.items():
            files[f"{config}/{split}-00000-of-00001.parquet"] = translations(rows)
    files["README.md"] = dataset_card(
        {config: {split: f"{config}/{split}-*" for split in ROWS} for config in configs},
        infos=[translation_info(config) for config in configs] if with_infos else None,
    )
    files[".gitattributes"] = "*.parquet filter=lfs diff=lfs merge=lfs -text\n"
    return make_repo(files, **details)


def single(rows: int = 1000, *, seed: int = 1, **details: Any) -> Repo:
    """A repository of one configuration with a train split, without a card's counts."""
    files = {
        "README.md": dataset_card({"default": {"train": "data/train-*"}}),
        "data/train-00000-of-00001.parquet": translations(rows, seed=seed),
    }
    return make_repo(files, **details)
