"""The recording's file: JSON lines, each flushed as it is taken.

The first line is the header, the last one the outcome, and one line a sample stands between. A line
that was cut by a kill is dropped, all before it is kept.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, TypeVar

from hfmemdebug.decode import WrongFieldError, decode, encode
from hfmemdebug.errors import InputError
from hfmemdebug.recording.descriptor import Descriptor
from hfmemdebug.recording.end import MISSING_END, End, LimitUsage, ProcessTrace
from hfmemdebug.recording.header import Header
from hfmemdebug.recording.sample import ArmSample, ProcessSample, TreeSample

SCHEMA = "hfmemdebug.recording.v1"
_MOST_EPOCHS_LEFT_OUT = 1000
_ANY_SCHEMA = "hfmemdebug.recording."
# A closing line holds the files of each process: some thousand bytes a process. What is longer is no line of ours.
LONGEST_LINE = 32 << 20
_DAMAGED = "The recording was damaged, or written by another version of hfmemdebug."

T = TypeVar("T")


@dataclass(frozen=True)
class Recording:
    """One measured run.

    Attributes:
        header: What was measured, on what, and how.
        samples: The samples of slices and of settling, in the order they were taken.
        end: How it ended.
        path: The file it was read from, or None.
        limit: The memory limit that it ran under, with what it used of it; None where there was none.
        trees: Of a program that was watched from outside: the looks at it.
    """

    header: Header
    samples: Sequence[ArmSample] = ()
    end: End = MISSING_END
    path: Path | None = None
    limit: LimitUsage | None = None
    trees: Sequence[TreeSample] = ()

    @functools.cached_property
    def slices(self) -> tuple[ArmSample, ...]:
        """Returns the samples taken after slices."""
        return tuple(s for s in self.samples if s.kind == "slice")

    @property
    def points(self) -> Sequence[ArmSample] | Sequence[TreeSample]:
        """Returns what is drawn of it: a sample a slice, or a look at a watched program."""
        return self.trees if self.watched else self.slices

    @property
    def seconds(self) -> float:
        """Returns the time of the last sample; 0 where there is none."""
        last = self.trees or self.samples
        return last[-1].seconds if last else 0.0

    @property
    def watched(self) -> bool:
        """Returns whether it is of a program that was watched from outside."""
        return self.header.subject == "program"

    @property
    def traces(self) -> tuple[ProcessTrace, ...] | None:
        """Returns what was found in each process whose allocations were traced; None where none were to be."""
        return self.end.traces

    def settled(self, step: str) -> tuple[ArmSample, ...]:
        """The samples taken at one step of settling, one an epoch."""
        return tuple(s for s in self.samples if s.kind == "settle" and s.step == step)

    def lines(self) -> Iterator[str]:
        """The lines of its file."""
        yield line_of("header", {"schema": SCHEMA, **encode(self.header)})
        for sample in self.samples:
            yield line_of("sample", sample.to_dict())
        for tree in self.trees:
            yield look_lines(tree)
        if not self.end.is_missing:
            yield line_of("end", encode(self.end))
        if self.limit is not None:
            yield line_of("limit", encode(self.limit))


# json.dumps would make one anew for each line.
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def line_of(kind: str, document: dict[str, Any]) -> str:
    """A line of a recording, with its end."""
    return _ENCODER.encode({"type": kind, **document}) + "\n"


def look_lines(tree: TreeSample) -> str:
    """The lines of a look: one for each process, then the tree's."""
    lines = [line_of("sample", {"kind": "process", **sample.to_dict()}) for sample in tree.processes]
    return "".join([*lines, line_of("sample", {"kind": "tree", **tree.to_dict()})])


@dataclass
class RecordingWriter:
    """Writes a recording line by line, each in one `write` to the kernel.

    Nothing is buffered here, so that a killed process keeps all but the line that it was writing.

    Args:
        path: The file; what was in it is replaced.
        resume: What was in it stays, and is gone on with: the closing line that comes last is the one that counts.
    """

    path: Path
    resume: bool = False
    _file: Descriptor = field(init=False)

    def __post_init__(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        how = os.O_APPEND if self.resume else os.O_CREAT | os.O_TRUNC
        flags = os.O_WRONLY | how | os.O_CLOEXEC
        self._file = Descriptor(os.open(self.path, flags, 0o600))

    def header(self, header: Header) -> None:
        """Writes the header line."""
        self._write("header", {"schema": SCHEMA, **encode(header)})

    def sample(self, sample: ArmSample) -> None:
        """Writes one sample."""
        self._write("sample", sample.to_dict())

    def look(self, tree: TreeSample) -> None:
        """Writes a look at a watched program."""
        self._file.write(look_lines(tree).encode())

    def end(self, end: End) -> None:
        """Writes the closing line."""
        self._write("end", encode(end))

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _write(self, kind: str, document: dict[str, Any]) -> None:
        self._file.write(line_of(kind, document).encode())

    def __enter__(self) -> RecordingWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def append(path: Path, record: End | LimitUsage) -> None:
    """Adds a line to a recording whose process has ended, perhaps in the middle of one.

    A closing line takes the place of the one before it.
    """
    kind = "end" if isinstance(record, End) else "limit"
    with path.open("a", encoding="utf-8") as file:
        file.write("\n" + line_of(kind, encode(record)))


def load_recordings(path: str | os.PathLike[str]) -> tuple[Recording, ...]:
    """Reads the recordings of a file, also those whose process was killed while it wrote.

    A file may hold several recordings one after the other, each begun by its header: that is how a run
    of several arms is saved as one.

    Raises:
        InputError: The file cannot be read or is no recording.
    """
    path = Path(path)
    return parse_recordings(_lines(path), path)


def load_recording(path: str | os.PathLike[str]) -> Recording:
    """Reads the first recording of a file.

    Raises:
        InputError: The file cannot be read or is no recording.
    """
    return load_recordings(path)[0]


def load_header(path: Path) -> Header:
    """Reads the header of a file's first recording, and nothing else of it.

    Raises:
        InputError: The file cannot be read or is no recording.
    """
    return parse_recordings(itertools.islice(_lines(path), 1), path)[0].header


def _lines(path: Path) -> Iterator[bytes]:
    try:
        kind = path.stat().st_mode
        # Before it is opened: a pipe would be waited for, and a device has no end.
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
            raise InputError(f"{path} is no file", next="Give a .jsonl file that hfmemdebug has written.")
        with path.open("rb") as file:
            while line := file.readline(LONGEST_LINE + 1):
                yield line
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def parse_recordings(lines: Iterable[bytes], path: Path) -> tuple[Recording, ...]:
    """Parses the lines of a recording's file.

    Args:
        lines: All lines, each with its end.
        path: The file that they are from, for messages and for `Recording.path`.

    Raises:
        InputError: They are no recording, or one of them is damaged.
    """
    recordings: list[Recording] = []
    reader = _Samples()
    for number, text in enumerate(lines, start=1):
        document = _document(text, path, number)
        if document is None:
            continue
        kind = document.get("type")
        try:
            if kind == "header":
                _check_schema(document.get("schema"), path)
                reader = _Samples()
                header = decode(Header, document)
                recordings.append(Recording(header, reader.samples, path=path, trees=reader.trees))
            elif not recordings:
                break
            elif kind == "sample":
                reader.take(document)
                if not recordings[-1].end.is_missing:
                    # What goes on after a closing line has not ended with it.
                    recordings[-1] = replace(recordings[-1], end=MISSING_END)
            elif kind == "end":
                recordings[-1] = replace(recordings[-1], end=decode(End, document))
            elif kind == "limit":
                recordings[-1] = replace(recordings[-1], limit=decode(LimitUsage, document))
        except WrongFieldError as error:
            raise _damaged(path, number, f"'{error.path}' is missing or not what it should be") from None
    if not recordings:
        _refuse(path)
    return tuple(replace(r, samples=tuple(r.samples), trees=tuple(r.trees)) for r in recordings)


class _Samples:
    """Samples of a recording, as its lines are read."""

    def __init__(self) -> None:
        self.samples: list[ArmSample] = []
        self.trees: list[TreeSample] = []
        self._processes: list[ProcessSample] = []

    def take(self, document: dict[str, Any]) -> None:
        """Reads the document of a line.

        Raises:
            WrongFieldError: A field of it is not what it should be.
        """
        kind = document.get("kind")
        if kind == "process":
            self._processes.append(decode(ProcessSample, document))
        elif kind == "tree":
            self.trees.append(replace(decode(TreeSample, document), processes=tuple(self._processes)))
            self._processes = []
        elif kind in ("slice", "settle"):
            sample = decode(ArmSample, document)
            # An arm may leave epochs out; of a billion of them nothing could be kept.
            if (
                not 0
                <= sample.epoch
                <= (self.samples[-1].epoch if self.samples else 0) + _MOST_EPOCHS_LEFT_OUT
            ):
                raise WrongFieldError("epoch")
            self.samples.append(sample)
        elif type(kind) is not str:
            raise WrongFieldError("kind")


def _document(text: bytes, path: Path, number: int) -> dict[str, Any] | None:
    """The document of a line; None where it was cut, or is none.

    Raises:
        InputError: It is one that no machine of ours has written.
    """
    if len(text) > LONGEST_LINE:
        raise _damaged(path, number, f"it is longer than {LONGEST_LINE >> 20} MB")
    try:
        document = _DECODER.decode(text.decode("utf-8", "replace"))
    except json.JSONDecodeError:
        return None
    except RecursionError:
        raise _damaged(path, number, "it is nested too deeply") from None
    except ValueError:
        # Of NaN, Infinity, or thousands of digits.
        raise _damaged(path, number, "it holds a number that is none") from None
    return document if isinstance(document, dict) else None


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)


# NaN and Infinity are no JSON, and would go through all arithmetic.
_DECODER = json.JSONDecoder(parse_constant=_no_number)


def _damaged(path: Path, number: int, what: str) -> InputError:
    return InputError(f"{path}, line {number}: {what}", next=_DAMAGED)


def _check_schema(schema: object, path: Path) -> None:
    if schema == SCHEMA:
        return
    if str(schema).startswith(_ANY_SCHEMA):
        # It may hold anything, and is printed.
        shown = ascii(schema)[1:60].rstrip("'")
        raise InputError(
            f"{path} was recorded by another version of hfmemdebug: its schema is {shown}, and this one reads {SCHEMA}",
            next="Use that version, or pip install --upgrade hfmemdebug.",
        )
    _refuse(path)


def _refuse(path: Path) -> NoReturn:
    raise InputError(
        f"{path} is not a recording of hfmemdebug: it has no header line of schema {SCHEMA}",
        next="Give a .jsonl file that hfmemdebug has written, or --last.",
    )
