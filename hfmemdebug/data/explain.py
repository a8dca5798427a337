"""One explanation for whatever fails while data are loaded or read.

`datasets`, `huggingface_hub`, their HTTP client and Arrow wrap one another: the reason stands at the far end of the
chain of causes, at times hidden with `from None`; the file that was being read stands in no message at all, and
the HTTP client changes with the version. There were seventeen rules here that read messages, and each release broke
some. Now the chain is walked once. A class that means one thing, a number of the operating system or the status of
the Hub's answer decides the kind (and so the exit status); the line for people is the library's own, of the deepest
error that has one, after the file and, for text, the line in it. The file is taken from the variables of the reader
that raised (`datasets.packaged_modules`), the only place where it is known. Three situations have no class and are
told by a phrase. Messages can hold values of the data, so what is kept in a recording quotes none (`quote=False`).
"""

from __future__ import annotations

import errno
import json
import os
import re
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from hfmemdebug.data.local_files import JSON, KIND_OF_SUFFIX, shown, suffix_of
from hfmemdebug.data.spec import DatasetSpec
from hfmemdebug.errors import AccessError, DiskError, HfmemdebugError, InputError, NetworkError

# A person waits for the number of a broken line no longer than this.
LONGEST_SEARCH_SECONDS = 5.0
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FAILING = frozenset({errno.EIO, errno.ESTALE})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_ROOM = "Free some space, choose a larger disk (for the cache HF_HOME), or do with less: --streaming, fewer --rows."
_FULL_PHRASE = "Not enough disk space"
_SHORT_PHRASE = "Consistency check failed"
_EMPTY_PHRASE = "corresponds to no data"
_NETWORK_PACKAGES = frozenset({"httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3", "aiohttp"})
_NETWORK_CLASSES = frozenset({"ConnectionError", "TimeoutError", "gaierror", "XetDownloadError"})
# What a library caught on its way is how it found out, not the reason.
_LOOKUPS = (LookupError, AttributeError, ImportError, StopIteration)
# The variable of a reader of `datasets` that holds its file.
_FILE_IN = {"datasets.packaged_modules": "file", "datasets.table": "filename"}
# A file's path in its repository, behind the commit, in the cache and in an address.
_IN_REPO = re.compile(r"(?:@[^/]+|/snapshots/[^/]+)/(.+)")
_OUR_CODE = str(Path(__file__).parents[1])
_SECRETS = re.compile(
    r"hf_[A-Za-z0-9_]{4,}|(?<=Bearer )\S+|(?<=://)[^/\s@]+(?=@)|(?<=[?&])[^\s'\"]*(?:sign|token|key)[^\s'\"]*",
    re.IGNORECASE,
)
_TOKEN = "`hf auth login`, HF_TOKEN or --token"


class _Known(NamedTuple):
    """A class of errors that means one thing; name, page and so on are put into its texts.

    Attributes:
        classes: Names of the classes.
        raised: The error for people.
        message: What is wrong.
        next: What to do.
        searching: It counts only while the Hub is asked for the dataset: later, the libraries try several names and
            formats, and handle such errors themselves.
    """

    classes: tuple[str, ...]
    raised: type[HfmemdebugError]
    message: str
    next: str
    searching: bool = False


_KNOWN = (
    _Known(
        ("GatedRepoError",),
        AccessError,
        "'{name}' is gated, and no token that has access to it was given",
        f"Ask for access at {{page}}, then give your token: {_TOKEN}.",
    ),
    _Known(
        ("RevisionNotFoundError",),
        InputError,
        "'{name}' has no revision '{revision}'",
        "Its branches and tags are listed at {page}/tree/main; without --revision, main is taken.",
        searching=True,
    ),
    _Known(
        ("HFValidationError", "HfUriError"),
        InputError,
        "'{name}' is no file or folder here and no name that a dataset on the Hub can have",
        "Names on the Hub read user/name.",
    ),
    _Known(
        ("RepositoryNotFoundError", "DatasetNotFoundError"),
        InputError,
        "there is no dataset '{name}' on the Hub, and no file or folder of that name here",
        f"Check the spelling (user/name). A private one needs a token that may read it: {_TOKEN}.",
        searching=True,
    ),
    _Known(
        ("JSONDecodeError", "FileMetadataError"),
        NetworkError,
        "what answers at {endpoint} is not the Hub: a login page of this network, or a proxy",
        "Open any page in a browser and log in to the network, or check HF_ENDPOINT and the proxy settings.",
        searching=True,
    ),
    _Known(
        ("SplitsVerificationError", "NonMatchingSplitsSizesError", "ExpectedMoreSplits", "UnexpectedSplits"),
        InputError,
        "the rows of '{name}' are not as many as its README says",
        "Read it with --streaming, or name the files (--data-files 'PATH/*.parquet'): both skip the comparison.",
    ),
    _Known(
        ("EmptyDatasetError", "DataFilesNotFoundError"),
        InputError,
        "'{name}' holds no data files{chosen}",
        "Its files are listed at {page}/tree/{revision}; --data-files chooses among them.",
    ),
    _Known(
        ("SchemaInferenceError", "EmptyDataError"),
        InputError,
        "{name} has no rows",
        "There is nothing to iterate over.",
    ),
)
_OF_STATUS = {
    401: (
        AccessError,
        "The token was not accepted: make a new one at https://huggingface.co/settings/tokens, or leave it out "
        f"({_TOKEN}), since public datasets need none.",
    ),
    403: (AccessError, "{page} may say why; a token needs the permission to read datasets."),
    429: (NetworkError, "Wait a few minutes; with a token (HF_TOKEN) more is allowed."),
    500: (
        NetworkError,
        "Try again in a few minutes; https://status.huggingface.co says whether it is down.",
    ),
}


def explain(
    error: BaseException,
    spec: DatasetSpec,
    *,
    repo: str | None = None,
    files: Sequence[str] = (),
    searching: bool = False,
    quote: bool = True,
) -> HfmemdebugError | None:
    """Explains why data could not be loaded or read.

    Args:
        error: What `datasets` or what it is built on raised.
        spec: The dataset as the command line names it.
        repo: Its name on the Hub, where the Hub is known to have it.
        files: The files that are read, as the user named them.
        searching: The Hub is being asked whether it has the dataset.
        quote: Whether the library's own words may be repeated: they may hold values of the data.

    Returns:
        The error for people; None where memory ran out and for bugs of our own, which are not about the data.
    """
    chain = tuple(_chain(error))
    ours = next((each for each in chain if isinstance(each, HfmemdebugError)), None)
    if ours is not None:
        return ours
    if any(isinstance(each, MemoryError) for each in chain):
        return None
    return (
        of_the_system(chain, "the data could not be loaded, or built in the datasets cache")
        or _of_known_classes(chain, spec, repo, searching=searching)
        or _of_the_network(chain, repo or spec.dataset, spec)
        or (None if _is_ours(error) else _of_the_data(chain, spec, repo, files, quote=quote))
    )


@contextmanager
def explained(
    spec: DatasetSpec, *, repo: str | None = None, files: Sequence[str] = (), searching: bool = False
) -> Iterator[None]:
    """Raises what `explain` makes of an error inside the block; bugs of our own pass as they are."""
    try:
        yield
    except Exception as error:
        found = explain(error, spec, repo=repo, files=files, searching=searching)
        if found is None or found is error:
            raise
        raise found from error


def of_the_system(chain: Sequence[BaseException], failed: str) -> HfmemdebugError | None:
    """Explains a refusal of the operating system: the disk is full or fails, a file may not be read or written.

    Args:
        chain: The error and what it came from.
        failed: What failed, for a message that names no file.
    """
    for error in chain:
        code = error.errno if isinstance(error, OSError) else None
        if code in _FULL or _FULL_PHRASE in str(error):
            return DiskError(f"the disk is full, or a limit of it is reached: {failed}", next=_ROOM)
        if code in _FAILING:
            return DiskError(f"the disk fails ({os.strerror(code or 0)}): {failed}")
        if code in _FORBIDDEN:
            place = getattr(error, "filename", None)
            return AccessError(
                f"{shown(place) if place else failed}: permission denied",
                next="Make it accessible for the user who runs this, or choose another folder (for the cache HF_HOME).",
            )
    return None


def _of_known_classes(
    chain: Sequence[BaseException], spec: DatasetSpec, repo: str | None, *, searching: bool
) -> HfmemdebugError | None:
    """Explains a class that means one thing, or the status of the Hub's answer."""
    from huggingface_hub import constants

    name = repo or spec.dataset
    words = {
        "name": name,
        "page": f"{constants.ENDPOINT}/datasets/{name}",
        "endpoint": constants.ENDPOINT,
        "revision": spec.revision or "main",
        "chosen": f" that match --data-files {' '.join(spec.data_files)}" if spec.data_files else "",
    }
    classes = {c.__name__ for error in chain for c in type(error).__mro__}
    for known in _KNOWN:
        if classes.intersection(known.classes) and (searching or not known.searching):
            return known.raised(known.message.format(**words), next=known.next.format(**words))
    for error in chain:
        status = getattr(getattr(error, "response", None), "status_code", None)
        # What is not found is handled by the libraries, which try several names.
        if isinstance(status, int) and status >= 400 and status != 404:
            raised, advice = _OF_STATUS.get(min(status, 500), (InputError, "{page} may say why."))
            return raised(f"the Hub answered with status {status} for '{name}'", next=advice.format(**words))
    return None


def _of_the_network(chain: Sequence[BaseException], name: str, spec: DatasetSpec) -> HfmemdebugError | None:
    """Explains that the Hub cannot be reached, or that the connection broke."""
    from huggingface_hub import constants

    lineage = [c for error in chain for c in type(error).__mro__]
    if (
        _NETWORK_CLASSES.isdisjoint(c.__name__ for c in lineage)
        and _NETWORK_PACKAGES.isdisjoint(c.__module__.partition(".")[0] for c in lineage)
        and not any(_SHORT_PHRASE in str(error) for error in chain)
    ):
        return None
    return NetworkError(
        f"the connection to {constants.ENDPOINT} failed for '{name}' ({_told(_deepest(chain[0]), spec)})",
        next="Check the network and the proxy settings, then try again: whole files that have arrived are kept.",
    )


def _of_the_data(
    chain: Sequence[BaseException], spec: DatasetSpec, repo: str | None, files: Sequence[str], *, quote: bool
) -> HfmemdebugError:
    """Explains the data themselves: the file and the line, and what the library says of them."""
    reason = _deepest(chain[0])
    file = _file_of(chain, files)
    place = f"'{repo}'" if repo else shown(spec.dataset)
    if file is not None:
        in_repo = _IN_REPO.search(file)
        place = f"{in_repo[1]} of '{repo}'" if repo and in_repo else place if repo else shown(file)
        line = _line_of(file, reason)
        place += "" if line is None else f", line {line}"
    advice = None
    if isinstance(reason, ImportError):
        advice = "Install what is missing, or leave the bytes as they are with --no-decode."
    elif repo and file and "://" not in file:
        advice = (
            "Where a file was damaged on its way it stays so in the cache: "
            f"datasets.load_dataset('{repo}', download_mode='force_redownload') fetches it again."
        )
    if _EMPTY_PHRASE in str(reason):
        return InputError(f"{place} has no rows", next="There is nothing to iterate over.")
    said = _told(reason, spec) if quote else type(reason).__name__
    return InputError(f"{place} cannot be read: {said}", next=advice)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yields the error and all that it came from, also where that was hidden with `from None`."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _deepest(error: BaseException) -> BaseException:
    """Finds the error that has the reason."""
    seen = {id(error)}
    while True:
        below = error.__cause__
        if below is None and not error.__suppress_context__ and not isinstance(error.__context__, _LOOKUPS):
            below = error.__context__
        if below is None or id(below) in seen or not str(below).strip():
            return error
        seen.add(id(below))
        error = below


def _told(error: BaseException, spec: DatasetSpec) -> str:
    """Returns class and text of an error on one line."""
    text = scrub(" ".join(str(error).split()), token=spec.token)
    return f"{type(error).__name__}: {text[:400]}" if text else type(error).__name__


def _file_of(chain: Sequence[BaseException], files: Sequence[str]) -> str | None:
    """Finds the file that a reader of `datasets` was at, from its variables; the only one, where there is one."""
    found = None
    for error in chain:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            name = _FILE_IN.get(".".join(frame.f_globals.get("__name__", "").split(".")[:2]))
            value = frame.f_locals.get(name) if name else None
            # A compressed file is read as ``gzip://x.jsonl::/folder/x.jsonl.gz``.
            found = str(value).rpartition("::")[2] if isinstance(value, (str, os.PathLike)) else found
    return files[0] if len(files) == 1 else found


def _line_of(file: str, error: BaseException) -> int | None:
    """Finds the line of a text file that cannot be read, where it can be found in time."""
    if type(error).__name__ == "ParserError":
        # pandas counts the lines of a CSV file itself.
        told = re.search(r"line (\d+)", str(error))
        return int(told[1]) if told else None
    if KIND_OF_SUFFIX.get(suffix_of(file)) != JSON or not Path(file).is_file():
        return None
    import fsspec

    until = time.monotonic() + LONGEST_SEARCH_SECONDS
    # Arrow counts rows within blocks of its own.
    with suppress(OSError, EOFError), fsspec.open(file, "rb", compression="infer") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                is_row = not line.strip() or isinstance(json.loads(line), dict)
            except ValueError:
                is_row = False
            if not is_row:
                # The first line of a document that spans many is no row by itself.
                return None if number == 1 and suffix_of(file) == ".json" else number
            if time.monotonic() > until:
                return None
    return None


def _is_ours(error: BaseException) -> bool:
    """Tells whether it was our own code that raised: a bug, and not about the data."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = bool(frames) and frames[-1].f_code.co_filename.startswith(_OUR_CODE)
    return ours and not isinstance(error, OSError)


def scrub(text: str, *, token: str | None = None) -> str:
    """Returns the text without tokens, signatures in addresses and the home folder.

    Args:
        text: What a library said.
        token: A further token to be taken out, as given with `--token`.
    """
    for secret in (token, os.environ.get("HF_TOKEN"), os.environ.get("HUGGING_FACE_HUB_TOKEN")):
        if secret:
            text = text.replace(secret, "***")
    home = str(Path.home())
    if len(home) > 1:
        text = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)
    return _SECRETS.sub("***", text)
