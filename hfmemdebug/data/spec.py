"""What is to be loaded, and what was: plain values that pass between processes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class DatasetSpec:
    """A dataset as the command line names it.

    Attributes:
        dataset: A `save_to_disk` folder, an Arrow, Parquet, JSON or CSV file or glob, a ``.npy`` file, a
            file of raw numbers, ``FILE.py:FUNC`` or ``MODULE:FUNC``, or a name on the Hub.
        config: The configuration of a dataset on the Hub.
        split: The split; None means `train` where there is one.
        revision: A branch, tag or commit on the Hub.
        data_files: Globs that choose among a Hub repository's or a folder's files.
        token: A Hub token. Never recorded and never printed.
        format: A name for `Dataset.with_format`, or None for Python objects.
        decode: Whether images and audio are decoded, as a program's own loop would.
        yes: The user agreed to a large download.
        dtype: Of a file of raw numbers, what it holds (``float32``).
        shape: Of the same, its shape; the first axis may be -1.
    """

    dataset: str
    config: str | None = None
    split: str | None = None
    revision: str | None = None
    data_files: tuple[str, ...] = ()
    token: str | None = field(default=None, repr=False)
    format: str | None = None
    decode: bool = True
    yes: bool = False
    dtype: str | None = None
    shape: tuple[int, ...] | None = None

    def to_dict(self, *, with_token: bool = False) -> dict[str, Any]:
        """The specification as JSON can hold it, without the token unless asked for."""
        document = asdict(self)
        if not with_token:
            del document["token"]
        return document

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> DatasetSpec:
        """Reads what `to_dict` wrote."""
        shape = document.get("shape")
        return cls(
            **{
                **document,
                "data_files": tuple(document.get("data_files", ())),
                "shape": None if shape is None else tuple(shape),
            }
        )
