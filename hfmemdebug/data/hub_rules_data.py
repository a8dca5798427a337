"""Errors of what was found on the Hub, and of the disk it goes to. Each function is a rule of `hub_errors`."""

from __future__ import annotations

import errno
import re

from hfmemdebug.data.hub_trouble import Trouble, listed
from hfmemdebug.errors import AccessError, DiskError, HfmemdebugError, InputError
from hfmemdebug.units import format_count

# How Arrow's readers begin an OSError about the bytes of a file.
_BAD_BYTES = (
    "Corrupt snappy",
    "Couldn't deserialize thrift",
    "ZSTD decompression failed",
    "Unexpected end of stream",
)
OTHER_COLUMNS = "All the data files must have the same columns"


def disk(t: Trouble) -> HfmemdebugError | None:
    """The disk is full or cannot be written."""
    if t.errno(errno.ENOSPC, errno.EDQUOT) or t.says("Not enough disk space", "No space left on device"):
        return DiskError(
            f"the disk is full: '{t.repo}' could not be downloaded and built in the datasets cache",
            next="Free some space, set HF_HOME to a folder on a larger disk, or read it with --streaming.",
        )
    if t.errno(errno.EROFS, errno.EIO):
        return DiskError(
            f"the datasets cache cannot be written ({t.first_line()})", next="Set HF_HOME to another folder."
        )
    return None


def config(t: Trouble) -> HfmemdebugError | None:
    """No such configuration, or none named of several."""
    if t.says("Config name is missing"):
        names = t.names_in("available configs:")
        return InputError(
            f"'{t.repo}' has several configurations and none was named",
            next=f"Name one of them after the dataset: {listed(names)}.",
        )
    if t.says("BuilderConfig '") and t.says("not found"):
        names = t.names_in("Available:")
        return InputError(
            f"'{t.repo}' has no configuration '{t.spec.config}'", next=f"It has: {listed(names)}."
        )
    return None


def files(t: Trouble) -> HfmemdebugError | None:
    """No data files, or none that match."""
    if t.spec.data_files and t.has("FileNotFoundError", "EmptyDatasetError"):
        return InputError(
            f"no file of '{t.repo}' matches --data-files {' '.join(t.spec.data_files)}",
            next=f"Its files are listed at {t.page}/tree/{t.spec.revision or 'main'}",
        )
    if t.has("EmptyDatasetError", "DataFilesNotFoundError") or t.says(
        "Couldn't infer the same data file format"
    ):
        return InputError(
            f"'{t.repo}' holds no files that can be read as a dataset",
            next=f"Its files are listed at {t.page}/tree/main; --data-files chooses among them.",
        )
    return None


def script(t: Trouble) -> HfmemdebugError | None:
    """Rows that a script would make."""
    if t.says("Dataset scripts are no longer supported", "trust_remote_code"):
        return script_error(t.repo)
    return None


def script_error(repo: str) -> InputError:
    """The error for a repository whose rows come from a Python program of its own."""
    return InputError(
        f"'{repo}' is built by a Python script of its own, which is not run",
        next="The Hub's Parquet copy of it may serve: "
        "--revision refs/convert/parquet --data-files 'CONFIG/train/*.parquet'",
    )


def counts(t: Trouble) -> HfmemdebugError | None:
    """More or fewer rows than the card declares."""
    if not t.has(
        "SplitsVerificationError", "NonMatchingSplitsSizesError", "ExpectedMoreSplits", "UnexpectedSplits"
    ):
        return None
    return InputError(
        f"the rows of '{t.repo}' are not as many as its README says{_counted(t)}",
        next="Read it with --streaming, or name the files (--data-files 'PATH/*.parquet'): both skip the comparison.",
    )


def _counted(t: Trouble) -> str:
    """The first split whose counts differ, with both counts."""
    said = " ".join(map(str, t.chain))
    match = re.search(r"expected.*?name='(.+?)'.*?num_examples=(\d+).*?recorded.*?num_examples=(\d+)", said)
    if match is None:
        return ""
    split, expected, recorded = match.groups()
    return (
        f" ({split}: {format_count(int(recorded))} in the files, {format_count(int(expected))} in the README)"
    )


def unreadable(t: Trouble) -> HfmemdebugError | None:
    """Files that cannot be read as what they are."""
    if t.says(OTHER_COLUMNS):
        return InputError(
            f"the files of '{t.repo}' have different columns",
            next="Choose files that belong together with --data-files.",
        )
    if not (t.has("DatasetGenerationError", "ArrowInvalid") or t.says(*_BAD_BYTES)):
        return None
    return InputError(
        f"the files of '{t.repo}' cannot be read ({_innermost(t)})",
        next="Choose other files with --data-files, or another --revision.",
    )


def _innermost(t: Trouble) -> str:
    error = t.chain[-1]
    return Trouble((error,), t.spec, t.repo).first_line()


def cache_folder(t: Trouble) -> HfmemdebugError | None:
    """A cache that cannot be used."""
    if t.has("NotADirectoryError", "FileExistsError"):
        return InputError(
            "the datasets cache cannot be made: part of its path is a file, not a folder",
            next="Check HF_HOME and HF_DATASETS_CACHE.",
        )
    if t.has("PermissionError"):
        return AccessError(
            "the datasets cache may not be read or written",
            next="Set HF_HOME to a folder of your own, or correct the permissions of the cache.",
        )
    return None
