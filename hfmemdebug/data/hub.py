"""Loads a dataset from the Hub: its name of today, the download and the build, or the copy in the cache.

One request with a short time limit comes before all that the libraries do. It follows the redirect of a name from
before the namespaces (``wmt19``), which `load_dataset` of datasets 5 does not (huggingface/datasets#8612); it
shows at once that there is no network, where `load_dataset` retries for half a minute; and it shows a refusal before
`datasets` falls back to its cache without a word of it. So a copy is only ever used by name, and its age is said.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from hfmemdebug.data.builders import choose_split, files_of, is_prepared, listed, read_split
from hfmemdebug.data.explain import explained
from hfmemdebug.data.spec import DatasetSpec, Reading, describe_dataset
from hfmemdebug.errors import AccessError, HfmemdebugError, InputError, NetworkError
from hfmemdebug.recording.header import LoadReport
from hfmemdebug.units import format_bytes

LARGE_BYTES = 50 * 1024**3
"""A download and build of more than this needs the user's word: it takes hours, and a disk that others use too."""
_ALLOW = "Unset HF_HUB_OFFLINE (or HF_DATASETS_OFFLINE) to let others be downloaded."
# What was built from `data_files` has a hash behind its name and is not the configuration itself.
_FROM_CHOSEN_FILES = re.compile(r"-[0-9a-f]{16}$")


def load_from_hub(spec: DatasetSpec, reading: Reading) -> tuple[Any, LoadReport]:
    """Loads a dataset from the Hub, or its prepared copy where the Hub cannot be had.

    Args:
        spec: The dataset; `spec.dataset` is a name on the Hub, old names included.
        reading: How its rows are to be read; of a stream nothing is downloaded until it is iterated.

    Raises:
        InputError: Name, configuration, split or data are wrong, or the dataset is large and unagreed.
        NetworkError: The Hub could not be reached, or the connection broke.
        DiskError: The disk is full.
        AccessError: The Hub or the operating system does not permit it.
    """
    try:
        with explained(spec, searching=True):
            repo = _find_repo(spec)
    except HfmemdebugError as refused:
        return _read_copy(spec.dataset, spec, refused, reading)
    with explained(spec, repo=repo.id):
        try:
            with explained(spec, repo=repo.id):
                builder = _open_builder(repo, spec)
        except (NetworkError, AccessError) as refused:
            return _read_copy(repo.id, spec, refused, reading)
        return _read_hub(builder, repo, spec, reading)


def _is_offline() -> bool:
    """Tells whether the user forbade the libraries to use the network."""
    from datasets import config
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE or config.HF_DATASETS_OFFLINE)


def _find_repo(spec: DatasetSpec) -> Any:
    """Asks the Hub for a dataset: a `huggingface_hub.DatasetInfo` with its files' sizes."""
    from huggingface_hub import HfApi, constants

    if _is_offline():
        raise NetworkError(f"offline mode is set and '{spec.dataset}' is not in the cache", next=_ALLOW)
    return HfApi(token=spec.token).dataset_info(
        spec.dataset,
        revision=spec.revision,
        files_metadata=True,
        timeout=constants.HF_HUB_ETAG_TIMEOUT,
    )


def _open_builder(repo: Any, spec: DatasetSpec) -> Any:
    """Opens a repository's builder: `datasets` reads its card and finds its files."""
    from datasets import load_dataset_builder

    if Path(repo.id).exists():
        raise InputError(
            f"the folder ./{repo.id} stands in the way of the Hub's '{repo.id}'",
            next=f"Start from another folder, or name it as ./{repo.id} where the folder is meant.",
        )
    # Versions of `datasets` before 3 would run it.
    if f"{repo.id.rpartition('/')[2]}.py" in {file.rfilename for file in repo.siblings or ()}:
        raise InputError(
            f"'{repo.id}' is built by a Python script of its own, which is not run",
            next="The Hub's Parquet copy of it may serve: "
            "--revision refs/convert/parquet --data-files 'CONFIG/train/*.parquet'",
        )
    if repo.gated:
        _ask_for_a_file(repo, spec)
    builder = load_dataset_builder(
        repo.id,
        name=spec.config,
        revision=spec.revision,
        data_files=list(spec.data_files) or None,
        token=spec.token,
    )
    if type(builder).__module__.startswith("datasets.packaged_modules.cache"):
        # It fell back to its cache: the copy is ours to find, since its age must be said.
        raise NetworkError(f"the Hub did not give all of '{repo.id}'", next="Try again.")
    return builder


def _ask_for_a_file(repo: Any, spec: DatasetSpec) -> None:
    """Fails where a gated dataset's files may not be read: its description is public."""
    import huggingface_hub.utils
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url

    # Its names are exported, but not in the way that type checkers ask for.
    utils: Any = huggingface_hub.utils
    url = hf_hub_url(repo.id, "README.md", repo_type="dataset", revision=repo.sha)
    with suppress(utils.EntryNotFoundError):
        get_hf_file_metadata(url, token=spec.token, timeout=constants.HF_HUB_ETAG_TIMEOUT)


def _read_hub(
    builder: Any,
    repo: Any,
    spec: DatasetSpec,
    reading: Reading,
) -> tuple[Any, LoadReport]:
    splits = [str(split) for split in builder.info.splits or builder.config.data_files or ()]
    what = f"'{repo.id}'" + (f" {builder.config.name}" if spec.config else "")
    split = choose_split(spec.split, splits, name=what, streaming=reading.streaming)
    notes = []
    if spec.config is None and builder.config.name != "default":
        notes.append(f"the configuration '{builder.config.name}' was taken, as none was named")
    prepared = None if reading.streaming else is_prepared(builder)
    if prepared is False:
        download, build = _download_bytes(builder, repo), builder.info.dataset_size or 0
        needs = f"{format_bytes(download)} to download" + f" and {format_bytes(build)} to build" * bool(build)
        if download + build > LARGE_BYTES and not spec.yes:
            raise InputError(
                f"{what} is large: {needs}",
                next="Read it with --streaming, choose a part of its files with --data-files, or agree with --yes.",
            )
        every = f" (all splits: {listed(splits)})" if len(splits) > 1 else ""
        reading.say(f"preparing {what}: {needs}{every}")
    dataset = read_split(builder, split, reading)
    return dataset, describe_dataset(
        dataset, "Hub", repo.id, split, from_cache=prepared, notes=notes, private=repo.private
    )


def _download_bytes(builder: Any, repo: Any) -> int:
    """Returns the bytes of a builder's files on the Hub, those included that were downloaded before."""
    # As in ``hf://datasets/wmt/wmt19@COMMIT/cs-en/a.parquet``.
    paths = {
        unquote(file).partition("@")[2].partition("/")[2]
        for files in files_of(builder).values()
        for file in files
    }
    return sum(file.size or 0 for file in repo.siblings or () if file.rfilename in paths)


class PreparedCopy(NamedTuple):
    """A configuration of a dataset, built in the datasets cache.

    Attributes:
        prepared: When it was built.
        repo: The name on the Hub, as far as the folder tells (``wmt/wmt19`` of ``wmt___wmt19``).
        config: The configuration.
        folder: The folder with the Arrow files. Its name is the commit that it was built from, in newer versions.
    """

    prepared: datetime
    repo: str
    config: str
    folder: Path


def _read_copy(
    name: str,
    spec: DatasetSpec,
    refused: HfmemdebugError,
    reading: Reading,
) -> tuple[Any, LoadReport]:
    """Reads the prepared copy, where the Hub refused; raises the refusal where there is none.

    `datasets` does so itself in newer versions, after half a minute of retries and without saying why.
    """
    from datasets import Dataset, DatasetInfo
    from datasets.arrow_reader import ArrowReader

    copy = _matching_copy(name, spec, refused)
    with explained(spec):
        info = DatasetInfo.from_directory(str(copy.folder))
        split = choose_split(
            spec.split,
            [str(split) for split in info.splits or ()],
            name=f"'{copy.repo}' {copy.config}",
            streaming=reading.streaming,
        )
        reason = "offline mode is set" if _is_offline() else refused.message
        note = (
            f"{reason}: the copy of '{copy.repo}' that was prepared on {copy.prepared:%Y-%m-%d} is used and may "
            "be out of date"
        )
        reading.say(note)
        parts = ArrowReader(str(copy.folder), info).read(
            name=getattr(info, "dataset_name", None) or info.builder_name,
            instructions=split,
            split_infos=list((info.splits or {}).values()),
            in_memory=reading.keep_in_memory,
        )
        dataset = Dataset(**parts)
    if reading.streaming:
        dataset = dataset.to_iterable_dataset()
    return dataset, describe_dataset(dataset, "Hub", copy.repo, split, from_cache=True, notes=[note])


def _matching_copy(name: str, spec: DatasetSpec, refused: HfmemdebugError) -> PreparedCopy:
    """Finds the newest copy that a specification means; raises the refusal, with what there is, where none does."""
    copies = _prepared_copies(name)
    matching = [
        copy
        for copy in copies
        # Whether a copy holds the same files cannot be known without the Hub; a revision is known by its commit.
        if not spec.data_files
        and spec.revision in (None, copy.folder.name)
        and spec.config in (None, copy.config)
    ]
    if spec.config is None:
        matching = [copy for copy in matching if copy.config == "default"] or matching
    if len({(copy.repo, copy.config) for copy in matching}) > 1:
        raise InputError(
            f"{refused.message}, and its cache holds several copies",
            next=f"Name one of them: {listed(sorted({f'{c.repo} {c.config}' for c in matching}))}.",
        )
    if matching:
        return matching[0]
    if not copies or not isinstance(refused, NetworkError):
        raise refused
    cached = f"The cache has: {listed(sorted({copy.config for copy in copies}))}."
    if not _is_offline():
        raise NetworkError(refused.message, next=f"{refused.next} {cached}")
    given = [spec.config, spec.revision and f"at revision '{spec.revision}'", *spec.data_files]
    what = " ".join([f"'{name}'", *filter(None, given)])
    raise InputError(f"offline mode is set and {what} is not in the cache", next=f"{cached} {_ALLOW}")


def _prepared_copies(name: str) -> list[PreparedCopy]:
    """Finds the prepared copies of a dataset's configurations in the cache, the newest first.

    Args:
        name: A name on the Hub; without a namespace (``wmt19``) it stands for the dataset of that name in
            any, which is how names from before the namespaces are cached (``wmt___wmt19``).
    """
    from datasets import config
    from datasets.naming import camelcase_to_snakecase

    namespace, _, last = name.rpartition("/")
    copies = []
    for info in Path(config.HF_DATASETS_CACHE).expanduser().glob("*/*/*/*/dataset_info.json"):
        folder, configuration = info.parent, info.parts[-4]
        owner, _, dataset = info.parts[-5].rpartition("___")
        if (
            dataset in (last, camelcase_to_snakecase(last))
            and namespace in ("", owner)
            and folder.suffix != ".incomplete"
            and not _FROM_CHOSEN_FILES.search(configuration)
        ):
            built = datetime.fromtimestamp(info.stat().st_mtime)
            label = name if namespace else f"{owner}/{dataset}".lstrip("/")
            copies.append(PreparedCopy(built, label, configuration, folder))
    return sorted(copies, reverse=True)
