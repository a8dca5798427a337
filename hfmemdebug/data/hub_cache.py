"""Datasets that were prepared before: found and loaded from the cache with no network at all.

`datasets` falls back to its cache by itself, but only in newer versions, only after half a minute of
retries, and without saying why; so the copies are found and read here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from hfmemdebug.data.spec import DatasetSpec

# What was built from `data_files` has a hash behind its name and is not the configuration itself.
_FROM_CHOSEN_FILES = re.compile(r"-[0-9a-f]{16}$")


@dataclass(frozen=True)
class PreparedCopy:
    """A configuration of a dataset, built in the datasets cache.

    Attributes:
        repo: The name on the Hub, as far as the folder tells (``wmt/wmt19`` of ``wmt___wmt19``).
        config: The configuration.
        folder: The folder with the Arrow files.
        commit: The last part of the folder; the commit that it was built from, in newer versions.
        prepared: When it was built.
    """

    repo: str
    config: str
    folder: Path
    commit: str
    prepared: datetime

    @property
    def day(self) -> str:
        """The day on which it was built."""
        return f"{self.prepared:%Y-%m-%d}"


def prepared_copies(name: str) -> list[PreparedCopy]:
    """The prepared copies of a dataset's configurations in the cache, the newest first.

    Args:
        name: A name on the Hub; without a namespace (``wmt19``) it stands for the dataset of that name in
            any, which is how names from before the namespaces are cached (``wmt___wmt19``).
    """
    from datasets import config
    from datasets.naming import camelcase_to_snakecase

    root = Path(config.HF_DATASETS_CACHE).expanduser()
    namespace, _, last = name.rpartition("/")
    wanted = {camelcase_to_snakecase(last), last}
    copies = []
    for info in root.glob("*/*/*/*/dataset_info.json") if root.is_dir() else ():
        owner, _, dataset = info.parts[-5].rpartition("___")
        if dataset not in wanted or (namespace and owner != namespace) or info.parent.suffix == ".incomplete":
            continue
        if _FROM_CHOSEN_FILES.search(info.parts[-4]):
            continue
        written = datetime.fromtimestamp(info.stat().st_mtime)
        label = name if namespace else f"{owner}/{dataset}".lstrip("/")
        copies.append(PreparedCopy(label, info.parts[-4], info.parent, info.parts[-2], written))
    return sorted(copies, key=lambda copy: copy.prepared, reverse=True)


@contextmanager
def no_silent_copies() -> Iterator[None]:
    """Inside the block, `datasets` does not fall back to its cache.

    Where it does, the reason is lost: what is raised then is about the cache, whatever the Hub had said.
    """
    from datasets.load import CachedDatasetModuleFactory

    get_module = CachedDatasetModuleFactory.get_module

    def refuse(self: Any) -> None:
        raise FileNotFoundError(self.name)

    CachedDatasetModuleFactory.get_module = refuse
    try:
        yield
    finally:
        CachedDatasetModuleFactory.get_module = get_module


def matching_copies(copies: Sequence[PreparedCopy], spec: DatasetSpec) -> list[PreparedCopy]:
    """The copies that a specification means, the newest first.

    With `data_files` there are none: whether a copy holds the same files cannot be known without the Hub.
    A revision is matched by its commit only.
    """
    if spec.data_files:
        return []
    if spec.revision:
        copies = [copy for copy in copies if copy.commit == spec.revision]
    if spec.config:
        return [copy for copy in copies if copy.config == spec.config]
    return [copy for copy in copies if copy.config == "default"] or list(copies)


def copy_splits(copy: PreparedCopy) -> list[str]:
    """The splits of a prepared copy."""
    document = json.loads((copy.folder / "dataset_info.json").read_text(encoding="utf-8"))
    return list(document.get("splits") or {})


def read_copy(copy: PreparedCopy, *, split: str, keep_in_memory: bool) -> Any:
    """Loads a split of a prepared copy as a `datasets.Dataset`.

    Args:
        copy: The prepared copy.
        split: A split or a slice of one (``train[:10%]``).
        keep_in_memory: Read the rows into memory instead of mapping the files.
    """
    from datasets import Dataset, DatasetInfo
    from datasets.arrow_reader import ArrowReader

    info = DatasetInfo.from_directory(str(copy.folder))
    name = getattr(info, "dataset_name", None) or info.builder_name
    parts = ArrowReader(str(copy.folder), info).read(
        name=name, instructions=split, split_infos=list(info.splits.values()), in_memory=keep_in_memory
    )
    return Dataset(**parts)
