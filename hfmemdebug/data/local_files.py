"""Finds the files on this machine that a command line names, and their kind."""

from __future__ import annotations

import difflib
import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from hfmemdebug.errors import InputError

ARROW = "Arrow"
PARQUET = "Parquet"
JSON = "JSON"
CSV = "CSV"

KIND_OF_SUFFIX = {
    ".arrow": ARROW,
    ".feather": ARROW,
    ".ipc": ARROW,
    ".parquet": PARQUET,
    ".json": JSON,
    ".jsonl": JSON,
    ".ndjson": JSON,
    ".csv": CSV,
    ".tsv": CSV,
}
COMPRESSED = frozenset({".gz", ".bz2", ".xz", ".zst", ".lz4", ".zip"})
LOADABLE = "a save_to_disk folder, or Arrow, Parquet, JSON or CSV files"

ARROW_FILE_MAGIC = b"ARROW1"
_PARQUET_MAGIC = b"PAR1"
_STREAM_START = b"\xff\xff\xff\xff"


def shown(path: str | Path) -> str:
    """Returns a path as it may be printed: relative to the working directory, or with ``~`` for the home folder."""
    absolute = Path(os.path.normpath(Path(path).absolute()))
    for base, prefix in ((Path.cwd(), ""), (Path.home(), "~/")):
        if absolute != base and absolute.is_relative_to(base):
            return prefix + str(absolute.relative_to(base))
    return str(path)


def suffix_of(path: str | Path) -> str:
    """Returns the suffix that tells the kind, in lower case: ``.csv`` of ``a.CSV`` and of ``a.csv.gz``."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def looks_like_path(name: str) -> bool:
    """Tells whether a name that does not exist can only have meant something on this machine, never the Hub."""
    return (
        name.startswith((".", "/", "~", os.sep))
        or name.endswith(("/", os.sep))
        or "\\" in name
        or name.count("/") > 1
        or glob.has_magic(name)
        # A misspelt suffix too: the Hub would only say that there is no such dataset.
        or bool(difflib.get_close_matches(suffix_of(name), KIND_OF_SUFFIX, n=1, cutoff=0.85))
    )


def exists(path: str) -> bool:
    """Tells whether there is such a file or folder; where one on the way may not be entered, there may be."""
    try:
        Path(path).stat()
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return True


def missing_path(name: str) -> InputError:
    """Returns the error for a path that does not exist, with the names beside it that are nearest."""
    if "://" in name:
        return InputError(
            f"{name}: addresses are not read", next="Name a file on this machine or a dataset on the Hub."
        )
    if glob.has_magic(name):
        return InputError(f"no file matches {name}")
    parent, last = os.path.split(name.rstrip("/"))
    folder = Path(parent or ".").expanduser()
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError:
        return InputError(
            f"{name} does not exist", next=f"The folder {parent} is not there." if parent else None
        )
    near = difflib.get_close_matches(last, names, n=3, cutoff=0.6)
    near_paths = ", ".join(str(Path(parent, match)) for match in near)
    return InputError(f"{name} does not exist", next=f"Did you mean {near_paths}?" if near else None)


def expand_globs(patterns: Iterable[str], *, folder: str = "") -> list[str]:
    """Finds the files that globs (``**`` included) and plain names stand for, sorted within each, each once.

    Args:
        patterns: Globs or names.
        folder: The folder that they are relative to.

    Raises:
        InputError: One of them matches no file.
    """
    files: dict[str, None] = {}
    for pattern in patterns:
        path = str(Path(folder, Path(pattern).expanduser()))
        # Path.glob takes no absolute patterns.
        found = [path] if Path(path).is_file() else sorted(glob.glob(path, recursive=True))  # noqa: PTH207
        matched = [match for match in found if Path(match).is_file()]
        if not matched:
            if found and Path(found[0]).is_dir():
                raise InputError(
                    f"{shown(found[0])} is a folder, not a file", next="Name its files, or the folder itself."
                )
            if found:
                check_regular(found[0])
            if folder:
                raise InputError(f"no file in {shown(folder)} matches {pattern}")
            raise missing_path(pattern)
        files.update(dict.fromkeys(matched))
    return list(files)


def kind_of_files(files: Sequence[str]) -> str:
    """Returns the one kind that all files are of, by their suffixes, or by their first bytes where those say nothing.

    Raises:
        InputError: A file is of no known kind, or they are of several.
    """
    kinds: dict[str, str] = {}
    for file in files:
        check_regular(file)
        kind = KIND_OF_SUFFIX.get(suffix_of(file)) or sniff(file)
        if kind is None:
            raise InputError(
                f"{shown(file)} is no data file that can be loaded",
                next=f"Known endings: {' '.join(KIND_OF_SUFFIX)}, the text ones also compressed (.gz).",
            )
        if kind == ARROW and Path(file).suffix.lower() in COMPRESSED:
            raise InputError(f"{shown(file)} is a compressed Arrow file", next="Decompress it first.")
        kinds.setdefault(kind, file)
    if len(kinds) > 1:
        listed = " and ".join(f"{kind} ({shown(file)})" for kind, file in kinds.items())
        raise InputError(
            f"the files are of several kinds: {listed}", next="Choose one with a glob such as '*.parquet'."
        )
    return next(iter(kinds))


def check_regular(file: str) -> None:
    """Refuses a pipe or a device: opening a pipe would wait for its writer for ever.

    Raises:
        InputError: It is one.
    """
    if exists(file) and not Path(file).is_file():
        raise InputError(f"{shown(file)} is no regular file", next="Write its content to a file first.")


def data_files_below(folder: str) -> list[str]:
    """Finds all files of known kinds in a folder and below it, hidden ones left out, sorted.

    Raises:
        OSError: A folder may not be read.
    """
    found: list[str] = []

    def refuse(error: OSError) -> None:
        raise error

    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith((".", "__"))]
        found += [
            str(Path(parent, name))
            for name in names
            if not name.startswith(".") and suffix_of(name) in KIND_OF_SUFFIX
        ]
    return sorted(found)


def sniff(file: str) -> str | None:
    """Returns the kind that a file's first bytes tell: Arrow, Parquet, or None for any other."""
    with Path(file).open("rb") as opened:
        start = opened.read(8)
    if start.startswith(_PARQUET_MAGIC):
        return PARQUET
    return ARROW if start.startswith((ARROW_FILE_MAGIC, _STREAM_START)) else None
