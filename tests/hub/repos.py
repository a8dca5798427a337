"""What the loopback Hub serves: repositories, their files, and the ways in which a file can break."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LARGE = (".parquet", ".arrow", ".gz", ".zip")
BLOCK = 1 << 20


@dataclass
class Fault:
    """A way to break a file on its way.

    Attributes:
        kind: ``cut`` (closed half way), ``reset`` (half way), ``stall`` (silent half way until the server
            closes), ``short`` (the second origin has fewer bytes than the Hub says), ``corrupt`` (some
            bytes differ), ``error`` (status 500).
        times: How often; None means always.
        beyond: It strikes only requests for bytes beyond this one.
    """

    kind: str
    times: int | None = None
    beyond: int = 0

    def strikes(self, stop: int) -> bool:
        """Decides about a request for bytes up to `stop`."""
        if stop <= self.beyond:
            return False
        if self.times is None:
            return True
        self.times -= 1
        return self.times >= 0


@dataclass
class HubFile:
    """A file of a repository: its bytes, in memory or on disk, and what the Hub says of it."""

    content: bytes | Path
    large: bool = True
    declared_size: int | None = None
    fault: Fault | None = None
    sha256: str = field(init=False)
    oid: str = field(init=False)

    def __post_init__(self) -> None:
        sha256, sha1 = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % self.length)
        for block in self.blocks(0, self.length):
            sha256.update(block)
            sha1.update(block)
        self.sha256, self.oid = sha256.hexdigest(), sha1.hexdigest()

    @property
    def length(self) -> int:
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size

    @property
    def size(self) -> int:
        return self.length if self.declared_size is None else self.declared_size

    @property
    def etag(self) -> str:
        return self.sha256 if self.large else self.oid

    def blocks(self, start: int, stop: int) -> Any:
        if isinstance(self.content, bytes):
            yield self.content[start:stop]
            return
        with self.content.open("rb") as stream:
            stream.seek(start)
            while start < stop:
                block = stream.read(min(BLOCK, stop - start))
                start += len(block)
                yield block


@dataclass
class Repo:
    """A dataset repository.

    Attributes:
        files: Path to file.
        private: Only `readers` see that it exists.
        gated: Everybody sees it, only `readers` get its files.
        readers: The tokens that may read it.
        disabled: The Hub has switched it off.
        old_names: Names that are redirected to it.
        branches: Further revisions; each is a repository of its own, of which only the files count.
    """

    files: dict[str, HubFile]
    private: bool = False
    gated: bool = False
    readers: frozenset[str] = frozenset()
    disabled: bool = False
    old_names: tuple[str, ...] = ()
    branches: dict[str, Repo] = field(default_factory=dict)

    @property
    def sha(self) -> str:
        """The commit: it changes with the files, as in git."""
        text = "\n".join(f"{path} {file.oid} {file.size}" for path, file in sorted(self.files.items()))
        return hashlib.sha1(text.encode()).hexdigest()

    def at(self, revision: str) -> Repo | None:
        """The repository at a branch or commit."""
        if revision in ("main", self.sha):
            return self
        return next((b for name, b in self.branches.items() if revision in (name, b.sha)), None)

    def put(self, path: str, content: bytes | str | Path, **details: Any) -> None:
        data = content.encode() if isinstance(content, str) else content
        self.files[path] = HubFile(data, large=path.endswith(LARGE), **details)


def make_repo(files: dict[str, bytes | str | Path], **details: Any) -> Repo:
    repo = Repo({}, **details)
    for path, content in files.items():
        repo.put(path, content)
    return repo


def damaged(block: bytes) -> bytes:
    """The middle half zeroed: a Parquet file keeps its magic and its footer and loses its pages."""
    quarter = len(block) // 4
    return block[:quarter] + bytes(len(block) - 2 * quarter) + block[len(block) - quarter :]


def dataset_card(configs: dict[str, dict[str, str]], *, infos: list[dict[str, Any]] | None = None) -> str:
    """A README whose header names the files of each configuration and split.

    Args:
        configs: Configuration to split to glob.
        infos: Entries of `dataset_info`: features, counts and sizes as the card declares them.
    """
    header: dict[str, Any] = {
        "configs": [
            {"config_name": name, "data_files": [{"split": s, "path": p} for s, p in splits.items()]}
            for name, splits in configs.items()
        ]
    }
    if infos:
        header["dataset_info"] = infos
    # JSON is YAML, which spares the tests a YAML writer.
    return f"---\n{json.dumps(header)}\n---\n# A dataset\n"
