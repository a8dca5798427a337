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


@dataclass(frozen=True)
class LoadedFile:
    """A file behind a loaded dataset.

    Attributes:
        path: Absolute path.
        size_bytes: Its size on disk.
        filesystem: The type of the file system that holds it (``ext4``, ``tmpfs``, ``nfs4``), or None.
        memory_backed: Whether its pages live in memory only (tmpfs, ramfs): they cannot be taken back.
    """

    path: str
    size_bytes: int
    filesystem: str | None
    memory_backed: bool


@dataclass(frozen=True)
class LoadReport:
    """What was really loaded, to be printed and recorded.

    Attributes:
        source: Which kind of thing the name turned out to be (``save_to_disk folder``, ``Parquet``, ``Hub``, …).
        name: The name after mapping (``wmt/wmt19`` for ``wmt19``) or the path as given.
        split: The split that was taken, or None where there are none.
        storage: ``memory-mapped``, ``in memory``, ``mixed`` or ``streaming``.
        rows: Rows, or None for a stream.
        columns: Column names.
        record_batches: Number of record batches over all files, or None.
        data_bytes: Bytes of the Arrow data, or None for a stream.
        files: The files that hold the rows.
        from_cache: Whether a prepared cache was used; None where there is no cache in play.
        notes: Lines that the user should read (``the folder ./wmt19 was taken, not the Hub's wmt19``).
        private: Whether the Hub shows the dataset to its owners alone; None where that is not known (from a
            copy, offline) or where it is not from the Hub.
        step: Rows in a slice where the source decides it (an iterable gives one item at a time), or None.
    """

    source: str
    name: str
    split: str | None
    storage: str
    rows: int | None
    columns: tuple[str, ...]
    record_batches: int | None
    data_bytes: int | None
    files: tuple[LoadedFile, ...] = ()
    from_cache: bool | None = None
    notes: tuple[str, ...] = ()
    private: bool | None = None
    step: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> LoadReport:
        """Reads what `to_dict` wrote."""
        return cls(
            **{
                **document,
                "columns": tuple(document["columns"]),
                "files": tuple(LoadedFile(**file) for file in document["files"]),
                "notes": tuple(document["notes"]),
            }
        )
