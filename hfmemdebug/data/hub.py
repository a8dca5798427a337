"""Loads a dataset from the Hub: the name, the room for it, the download, the build, the split."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hfmemdebug.data.hub_cache import (
    PreparedCopy,
    copy_splits,
    matching_copies,
    no_silent_copies,
    prepared_copies,
    read_copy,
)
from hfmemdebug.data.hub_downloads import data_files
from hfmemdebug.data.hub_errors import explain, hub_errors_as_lines, is_unreadable
from hfmemdebug.data.hub_name import HubRepo, find_repo, offline
from hfmemdebug.data.hub_quiet import quiet_libraries
from hfmemdebug.data.hub_space import check_room, needs_of
from hfmemdebug.data.hub_trouble import listed
from hfmemdebug.data.spec import DatasetSpec
from hfmemdebug.errors import AccessError, HfmemdebugError, InputError, NetworkError
from hfmemdebug.recording.header import LoadReport

Say = Callable[[str], None]

_SPLIT = re.compile(r"\s*([\w.\-]+)\s*(?:\[|$)")


def load_from_hub(
    spec: DatasetSpec, *, keep_in_memory: bool, streaming: bool, say: Say
) -> tuple[Any, LoadReport]:
    """Loads a dataset from the Hub, or its prepared copy where the Hub cannot be had.

    Args:
        spec: The dataset; `spec.dataset` is a name on the Hub, old names included.
        keep_in_memory: Read the rows into memory instead of mapping their files.
        streaming: Give an `IterableDataset`; nothing is downloaded until it is iterated, so iterate it
            inside `hub_errors_as_lines`.
        say: Called with a line for people.

    Returns:
        A `datasets.Dataset` (an `IterableDataset` when streaming) and what was loaded.

    Raises:
        InputError: Name, configuration, split or data are wrong, or the dataset is large and unagreed.
        NetworkError: The Hub could not be reached, or the connection broke.
        DiskError: The disk is full or would be.
        AccessError: The Hub or the operating system does not permit it.
    """
    with quiet_libraries(say, token=spec.token):
        name = spec.dataset
        try:
            with hub_errors_as_lines(spec):
                if offline():
                    raise NetworkError(
                        f"offline mode is set and '{name}' is not in the cache",
                        next="Unset HF_HUB_OFFLINE (or HF_DATASETS_OFFLINE) to let it be downloaded.",
                    )
                repo = find_repo(name, spec)
        except HfmemdebugError as refused:
            with hub_errors_as_lines(spec, repo=name):
                return _from_copy(name, spec, refused, keep_in_memory, streaming, say)
        with hub_errors_as_lines(spec, repo=repo.id):
            try:
                builder = _builder(repo, spec)
            except (NetworkError, AccessError) as refused:
                return _from_copy(repo.id, spec, refused, keep_in_memory, streaming, say)
            return _from_hub(builder, repo, spec, keep_in_memory, streaming, say)


def _builder(repo: HubRepo, spec: DatasetSpec) -> Any:
    from datasets import load_dataset_builder

    if Path(repo.id).exists():
        raise InputError(
            f"the folder ./{repo.id} stands in the way of the Hub's '{repo.id}'",
            next=f"Start from another folder, or name it as ./{repo.id} where the folder is meant.",
        )
    with hub_errors_as_lines(spec, repo=repo.id), no_silent_copies():
        return load_dataset_builder(
            repo.id,
            name=spec.config,
            revision=spec.revision,
            data_files=list(spec.data_files) or None,
            token=spec.token,
        )


def _from_hub(
    builder: Any,
    repo: HubRepo,
    spec: DatasetSpec,
    keep_in_memory: bool,
    streaming: bool,
    say: Say,
) -> tuple[Any, LoadReport]:
    split = _chosen_split(_splits_of(builder), spec, repo.id, streaming)
    notes: list[str] = []
    if spec.config is None and builder.config.name != "default":
        notes.append(f"the configuration '{builder.config.name}' was taken, as none was named")
    if streaming:
        dataset = builder.as_streaming_dataset(split=split)
        return dataset, _report(dataset, repo.id, split, None, notes, repo.private)
    prepared = (Path(builder.cache_dir) / "dataset_info.json").is_file()
    if not prepared:
        _build(builder, repo, spec, say)
    dataset = builder.as_dataset(split=split, in_memory=keep_in_memory)
    return dataset, _report(dataset, repo.id, split, prepared, notes, repo.private)


def _from_copy(
    name: str, spec: DatasetSpec, refused: HfmemdebugError, keep_in_memory: bool, streaming: bool, say: Say
) -> tuple[Any, LoadReport]:
    """The prepared copy, where the Hub refused; the refusal itself where there is none."""
    copies = prepared_copies(name)
    matching = matching_copies(copies, spec)
    configs = sorted({copy.config for copy in matching})
    if not matching:
        raise _without_copy(name, spec, refused, copies)
    if len(configs) > 1 or len({copy.repo for copy in matching}) > 1:
        raise InputError(
            f"{refused.message}, and its cache holds several copies",
            next=f"Name one of them: {listed(sorted({f'{c.repo} {c.config}' for c in matching}))}.",
        )
    copy = matching[0]
    split = _chosen_split(copy_splits(copy), spec, copy.repo, streaming)
    reason = "offline mode is set" if offline() else refused.message
    note = (
        f"{reason}: the copy of '{copy.repo}' that was prepared on {copy.day} is used and may be out of date"
    )
    say(note)
    dataset = read_copy(copy, split=split, keep_in_memory=keep_in_memory)
    if streaming:
        dataset = dataset.to_iterable_dataset()
    return dataset, _report(dataset, copy.repo, split, True, [note])


def _without_copy(
    name: str, spec: DatasetSpec, refused: HfmemdebugError, copies: Sequence[PreparedCopy]
) -> HfmemdebugError:
    """The refusal, with what else the cache has of the dataset where that may help."""
    if not copies or not isinstance(refused, NetworkError):
        return refused
    cached = f"The cache has: {listed(sorted({copy.config for copy in copies}))}."
    if not offline():
        return NetworkError(refused.message, next=f"{refused.next} {cached}")
    what = f"'{name}'" + (f" {spec.config}" if spec.config else "")
    how = (
        f" at revision '{spec.revision}'"
        if spec.revision
        else " with --data-files"
        if spec.data_files
        else ""
    )
    return InputError(
        f"offline mode is set and {what}{how} is not in the cache",
        next=f"{cached} Unset HF_HUB_OFFLINE (or HF_DATASETS_OFFLINE) to let others be downloaded.",
    )


def _splits_of(builder: Any) -> list[str]:
    """The splits of a builder, before anything is downloaded; empty where that cannot be known."""
    return [str(split) for split in builder.info.splits or builder.config.data_files or ()]


def _chosen_split(splits: list[str], spec: DatasetSpec, repo: str, streaming: bool) -> str:
    """The split or slice to load, checked before a download rather than after it."""
    what = f"'{repo}'" + (f" {spec.config}" if spec.config else "")
    if spec.split is None:
        if splits and "train" not in splits:
            raise InputError(
                f"{what} has no split 'train'", next=f"Choose one with --split: {listed(splits)}."
            )
        return "train"
    for part in spec.split.split("+"):
        match = _SPLIT.match(part)
        if match is None:
            raise _bad_slice(spec.split)
        if splits and match[1] not in (*splits, "all"):
            raise InputError(f"{what} has no split '{match[1]}'", next=f"It has: {listed(splits)}.")
    if streaming and ("[" in spec.split or "+" in spec.split):
        raise InputError(
            f"a stream has no slices: --split '{spec.split}'",
            next="Give the whole split with --streaming, or the slice without it.",
        )
    _check_slice(spec.split)
    return spec.split


def _check_slice(split: str) -> None:
    from datasets import ReadInstruction

    try:
        ReadInstruction.from_spec(split)
    except (ValueError, AssertionError):
        raise _bad_slice(split) from None


def _bad_slice(split: str) -> InputError:
    return InputError(
        f"'{split}' is not a split or a slice of one",
        next="Write train, train[:1000], train[10%:20%] or train+test.",
    )


def _build(builder: Any, repo: HubRepo, spec: DatasetSpec, say: Say) -> None:
    """Downloads and builds all splits of a configuration; repairs what was damaged on the way, once."""
    from huggingface_hub import constants

    files = data_files(builder, repo)
    needs = needs_of(builder, files)
    what = f"'{repo.id}'" + (f" {builder.config.name}" if spec.config else "")
    check_room(
        needs,
        what=what,
        download_to=Path(constants.HF_HUB_CACHE),
        build_in=Path(builder.cache_dir),
        yes=spec.yes,
    )
    splits = _splits_of(builder)
    say(f"preparing {what}: {needs}" + (f" (all splits: {listed(splits)})" if len(splits) > 1 else ""))
    try:
        _download_and_prepare(builder)
    except Exception as error:
        explained = explain(error, spec, repo=repo.id)
        if explained is None or not is_unreadable(error):
            raise
        say("the files cannot be read; comparing the downloads with the Hub's checksums")
        damaged = [file for file in data_files(builder, repo) if file.damaged()]
        if not damaged:
            raise InputError(
                explained.message + ", and the downloads are what the Hub has",
                next=f"Tell its authors ({constants.ENDPOINT}/datasets/{repo.id}/discussions); "
                "--data-files chooses other files, --revision an earlier state.",
            ) from error
        paths = listed([file.path for file in damaged], most=3)
        say(f"damaged on the way: {paths}; downloading again")
        for file in damaged:
            file.forget()
        _build_again(builder, repo, paths)


def _build_again(builder: Any, repo: HubRepo, paths: str) -> None:
    try:
        _download_and_prepare(builder)
    except Exception as error:
        damaged = [file for file in data_files(builder, repo) if file.damaged()]
        if not is_unreadable(error) or not damaged:
            raise
        for file in damaged:
            file.forget()
        raise NetworkError(
            f"{paths} of '{repo.id}' arrived damaged twice; the damaged downloads were removed from the cache",
            next="Try again over another network or without the proxy.",
        ) from error


def _download_and_prepare(builder: Any) -> None:
    options: dict[str, Any] = {}
    if "try_from_hf_gcs" in inspect.signature(builder.download_and_prepare).parameters:
        # Versions before 2.20 ask a second host for files that are long gone.
        options["try_from_hf_gcs"] = False
    builder.download_and_prepare(**options)


def _report(
    dataset: Any,
    repo: str,
    split: str,
    from_cache: bool | None,
    notes: Sequence[str],
    private: bool | None = None,
) -> LoadReport:
    from hfmemdebug.data.loaded import describe_dataset

    return describe_dataset(
        dataset,
        source="Hub",
        name=repo,
        split=split,
        from_cache=from_cache,
        notes=tuple(notes),
        private=private,
    )
