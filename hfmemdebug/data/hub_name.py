"""The Hub's answer to a name: what the dataset is called today, its files, and whether they may be read.

One request with a short time limit comes before everything that the libraries do: it follows the redirect
of a name from before the namespaces (``wmt19``), which `load_dataset` of datasets 5 does not, and it shows
at once that the network is down, where `load_dataset` retries for half a minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hfmemdebug.data.hub_rules_data import script_error
from hfmemdebug.data.spec import DatasetSpec


@dataclass(frozen=True)
class RemoteFile:
    """A file as the Hub describes it.

    Attributes:
        size: Bytes, or None.
        sha256: Hash of the content of a large file, or None.
        oid: Hash that git gives to a small one, or None.
    """

    size: int | None
    sha256: str | None
    oid: str | None


@dataclass(frozen=True)
class HubRepo:
    """A dataset repository.

    Attributes:
        id: Its present name.
        sha: The commit that was asked for.
        files: Path in the repository to file.
        private: Whether only its owners see it, or None.
    """

    id: str
    sha: str | None
    files: Mapping[str, RemoteFile]
    private: bool | None = None


def offline() -> bool:
    """Whether the user forbade the libraries to use the network."""
    from datasets import config
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE or config.HF_DATASETS_OFFLINE)


def find_repo(name: str, spec: DatasetSpec) -> HubRepo:
    """Asks the Hub for a dataset.

    Args:
        name: The name as typed.
        spec: Gives revision and token.

    Raises:
        InputError: The rows come from a script.
        Exception: Whatever the libraries raise where the Hub does not answer, does not know the dataset or
            does not let it be read.
    """
    from huggingface_hub import HfApi, constants

    api = HfApi(token=spec.token)
    info = api.dataset_info(
        name, revision=spec.revision, files_metadata=True, timeout=constants.HF_HUB_ETAG_TIMEOUT
    )
    files = {sibling.rfilename: _remote_file(sibling) for sibling in info.siblings or ()}
    repo = HubRepo(info.id, info.sha, files, info.private)
    if info.gated:
        _ask_for_a_file(repo, spec)
    if f"{repo.id.rpartition('/')[2]}.py" in files:
        raise script_error(repo.id)
    return repo


def _remote_file(sibling: Any) -> RemoteFile:
    return RemoteFile(sibling.size, getattr(sibling.lfs, "sha256", None), sibling.blob_id)


def _ask_for_a_file(repo: HubRepo, spec: DatasetSpec) -> None:
    """The description of a gated dataset is public, its files are not."""
    import huggingface_hub.utils
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url

    # Its names are exported, but not in the way that type checkers ask for.
    utils: Any = huggingface_hub.utils

    url = hf_hub_url(repo.id, "README.md", repo_type="dataset", revision=repo.sha)
    try:
        get_hf_file_metadata(url, token=spec.token, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    except utils.EntryNotFoundError:
        return
