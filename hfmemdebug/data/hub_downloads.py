"""The data files of a configuration: their sizes on the Hub, and their copies in the cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from hfmemdebug.data.hub_name import HubRepo, RemoteFile


@dataclass(frozen=True)
class DataFile:
    """A data file of a configuration.

    Attributes:
        path: Path in the repository.
        remote: The file as the Hub describes it.
        local: Its download in the cache, or None.
    """

    path: str
    remote: RemoteFile
    local: Path | None

    def damaged(self) -> bool:
        """Whether the download is not what the Hub says it is. Reads the whole file."""
        if self.local is None:
            return False
        size = self.local.stat().st_size
        if self.remote.size is not None and size != self.remote.size:
            return True
        if self.remote.sha256:
            return _digest(self.local, hashlib.sha256()) != self.remote.sha256
        # Small files are known by the hash of git: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
        git = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        return self.remote.oid is not None and _digest(self.local, git) != self.remote.oid

    def forget(self) -> None:
        """Removes the download from the cache, so that the next load fetches it again."""
        if self.local is not None:
            # The hub cache links from the snapshot to the content.
            self.local.resolve().unlink(missing_ok=True)
            self.local.unlink(missing_ok=True)


def data_files(builder: Any, repo: HubRepo) -> list[DataFile]:
    """The data files that a builder reads, all splits.

    Args:
        builder: A `datasets.DatasetBuilder`.
        repo: The repository. Files that are not in it are left out.
    """
    downloads = dict(_downloads_by_url(Path(builder._cache_downloaded_dir)))
    found = []
    for urls in (builder.config.data_files or {}).values():
        for url in map(str, urls):
            path = _path_in_repo(url, repo)
            if path in repo.files:
                found.append(DataFile(path, repo.files[path], _local_copy(repo, path) or downloads.get(url)))
    return found


def _path_in_repo(url: str, repo: HubRepo) -> str:
    """``cs-en/a.parquet`` of ``hf://datasets/wmt/wmt19@COMMIT/cs-en/a.parquet``."""
    _, _, rest = unquote(url).partition(f"{repo.id}@")
    return rest.removeprefix(f"{repo.sha}/")


def _local_copy(repo: HubRepo, path: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    copy = try_to_load_from_cache(repo.id, path, revision=repo.sha, repo_type="dataset")
    return Path(copy) if isinstance(copy, str) else None


def _downloads_by_url(folder: Path) -> Iterator[tuple[str, Path]]:
    """The downloads of older versions: named by a hash, with a JSON file beside each that says what it is."""
    for description in folder.glob("*.json"):
        try:
            url = json.loads(description.read_text(encoding="utf-8"))["url"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if description.with_suffix("").is_file():
            yield url, description.with_suffix("")


def _digest(path: Path, digest: Any) -> str:
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return str(digest.hexdigest())
