"""Whether there is room for a download and a build: `load_dataset` does not look."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hfmemdebug.data.hub_downloads import DataFile
from hfmemdebug.data.hub_trouble import shown_path
from hfmemdebug.errors import DiskError, InputError
from hfmemdebug.units import format_bytes

LARGE = 50 * 1024**3
"""What is larger than this, download and build together, needs the user's word."""

# Arrow bytes for a byte of the file, where the dataset's card does not say: text in Parquet takes 1.6 times
# its size, and compressed text is at a quarter of it.
_ARROW_PER_BYTE = {
    **dict.fromkeys((".parquet",), 2),
    **dict.fromkeys((".gz", ".zst", ".xz", ".bz2", ".lz4", ".zip"), 4),
}


@dataclass(frozen=True)
class Needs:
    """What loading a configuration adds to the disk.

    Attributes:
        files: Files that have to be downloaded.
        download_bytes: Their bytes.
        build_bytes: Bytes of the Arrow files that are built from all files.
        estimated: Whether `build_bytes` is an estimate, because the dataset's card has no size.
    """

    files: int
    download_bytes: int
    build_bytes: int
    estimated: bool

    @property
    def total(self) -> int:
        """Download and build together, in bytes."""
        return self.download_bytes + self.build_bytes

    def __str__(self) -> str:
        about = "about " if self.estimated else ""
        return f"{format_bytes(self.download_bytes)} to download and {about}{format_bytes(self.build_bytes)} to build"


def needs_of(builder: Any, files: Sequence[DataFile]) -> Needs:
    """What a builder will add to the disk.

    Args:
        builder: A `datasets.DatasetBuilder`.
        files: Its data files.
    """
    missing = [file for file in files if file.local is None]
    download = sum(file.remote.size or 0 for file in missing)
    declared = builder.info.dataset_size
    estimate = sum((file.remote.size or 0) * _ARROW_PER_BYTE.get(Path(file.path).suffix, 1) for file in files)
    return Needs(len(missing), download, declared or estimate, estimated=not declared)


def check_room(needs: Needs, *, what: str, download_to: Path, build_in: Path, yes: bool) -> None:
    """Refuses what would fill a disk, or is large and was not agreed to.

    Args:
        needs: What would be added.
        what: The dataset, for the message.
        download_to: The folder of the downloads; it need not exist.
        build_in: The folder of the built datasets; it need not exist.
        yes: The user agreed. Overrides the limit of `LARGE`, and an estimate of the build; what certainly
            does not fit is refused all the same.

    Raises:
        DiskError: It does not fit.
        InputError: It is larger than `LARGE`.
    """
    download_to, build_in = _existing(download_to), _existing(build_in)
    shared = download_to.stat().st_dev == build_in.stat().st_dev
    wanted = (
        [(build_in, needs.total)]
        if shared
        else [(download_to, needs.download_bytes), (build_in, needs.build_bytes)]
    )
    for folder, size in wanted:
        free = shutil.disk_usage(folder).free
        if size <= free:
            continue
        certain = not needs.estimated or needs.download_bytes > free
        if yes and not certain:
            continue
        raise DiskError(
            f"{what} would fill the disk: {needs}, and {format_bytes(free)} are free at {shown_path(folder)}",
            next="Read it with --streaming, choose a part of its files with --data-files, "
            + ("or free some space." if certain else "or try all the same with --yes."),
        )
    if needs.total > LARGE and not yes:
        raise InputError(
            f"{what} is large: {needs}",
            next="Read it with --streaming, choose a part of its files with --data-files, or agree with --yes.",
        )


def _existing(folder: Path) -> Path:
    """The folder or the nearest one above it that exists."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())
