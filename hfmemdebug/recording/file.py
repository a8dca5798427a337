"""The recording's file: JSON lines, each flushed as it is taken.

The first line is the header, the last one the outcome, and one line a sample stands between. A line
that was cut by a kill is dropped, all before it is kept.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from hfmemdebug.errors import InputError
from hfmemdebug.recording.check import wrong_in_end, wrong_in_header, wrong_in_sample
from hfmemdebug.recording.descriptor import Descriptor
from hfmemdebug.recording.sample import Sample

SCHEMA = "hfmemdebug.recording.v1"
# json.dumps would make one anew for each line.
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_ANY_SCHEMA = "hfmemdebug.recording."


@dataclass(frozen=True)
class Recording:
    """One measured run.

    Attributes:
        header: The header line: ``arm`` (name, mode, consumer), ``workload`` (dataset, step, warmup, slices,
            …), ``loaded`` (a LoadReport), ``environment``.
        samples: The samples in the order they were taken.
        end: The closing line (``outcome``, ``detail``, ``peak_rss_bytes``, ``observer_seconds``, …); None
            where the run was killed.
        path: The file it was read from, or None.
        limit: The memory limit that it ran under, with what it used of it; None where there was none.
    """

    header: dict[str, Any]
    samples: Sequence[Sample]
    end: dict[str, Any] | None = None
    path: Path | None = None
    limit: dict[str, Any] | None = None

    @property
    def slices(self) -> tuple[Sample, ...]:
        """The samples taken after slices; of a program that was watched, one for each look at all of it."""
        return tuple(s for s in self.samples if s.kind in ("slice", "tree"))

    @property
    def watched(self) -> bool:
        """Whether it is of a program that was watched, and not of slices that we have read."""
        return any(s.kind == "tree" for s in self.samples)

    @property
    def traces(self) -> tuple[dict[str, Any], ...] | None:
        """What was found in each process whose allocations were traced; None where none were to be."""
        traces = (self.end or {}).get("traces")
        return None if traces is None else tuple(traces)

    def settled(self, step: str) -> tuple[Sample, ...]:
        """The samples taken at one step of settling, one an epoch."""
        return tuple(s for s in self.samples if s.kind == "settle" and s.step == step)


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

    def header(self, document: Mapping[str, Any]) -> None:
        """Writes the header line."""
        self._line({"type": "header", "schema": SCHEMA, **document})

    def sample(self, sample: Sample) -> None:
        """Writes one sample."""
        self._line({"type": "sample", **sample.to_dict()})

    def end(self, document: Mapping[str, Any]) -> None:
        """Writes the closing line."""
        self._line({"type": "end", **document})

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _line(self, document: Mapping[str, Any]) -> None:
        self._file.write(_ENCODER.encode(document).encode() + b"\n")

    def __enter__(self) -> RecordingWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def append_line(path: Path, document: Mapping[str, Any]) -> None:
    """Adds a line to a recording whose process has ended, perhaps in the middle of one.

    A closing line takes the place of the one before it.
    """
    with path.open("a", encoding="utf-8") as file:
        file.write("\n" + _ENCODER.encode(document) + "\n")


def load_recordings(path: str | os.PathLike[str]) -> tuple[Recording, ...]:
    """Reads the recordings of a file, also those whose process was killed while it wrote.

    A file may hold several recordings one after the other, each begun by its header: that is how a run
    of several arms is saved as one.

    Raises:
        InputError: The file cannot be read or is no recording.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    return parse_recordings(text, path)


def parse_recordings(text: str, path: Path) -> tuple[Recording, ...]:
    """Parses the text of a recording's file.

    Args:
        text: All lines.
        path: The file that they are from, for messages and for `Recording.path`.

    Raises:
        InputError: The text is no recording, or a line of it is damaged.
    """
    recordings: list[Recording] = []
    samples: list[Sample] = []
    # Not splitlines(): a name may hold other characters that it takes for the end of a line.
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            document = json.loads(line)
        except ValueError:
            continue
        kind = document.get("type") if isinstance(document, dict) else None
        if kind == "header" and document.get("schema") == SCHEMA:
            samples = []
            _check(path, number, wrong_in_header(document))
            recordings.append(Recording(document, (), None, path))
        elif kind == "header" and str(document.get("schema")).startswith(_ANY_SCHEMA):
            raise InputError(
                f"{path} was recorded by another version of hfmemdebug: its schema is {document['schema']}, and "
                f"this one reads {SCHEMA}",
                next="Use that version, or pip install --upgrade hfmemdebug.",
            )
        elif not recordings:
            break
        elif kind == "sample":
            _check(path, number, wrong_in_sample(document))
            samples.append(Sample.from_dict(document))
            # What goes on after a closing line has not ended with it.
            recordings[-1] = replace(recordings[-1], samples=samples, end=None)
        elif kind == "end":
            _check(path, number, wrong_in_end(document))
            recordings[-1] = replace(recordings[-1], end=document)
        elif kind == "limit":
            recordings[-1] = replace(recordings[-1], limit=document)
    if not recordings:
        raise InputError(
            f"{path} is not a recording of hfmemdebug: it has no header line of schema {SCHEMA}",
            next="Give a .jsonl file that hfmemdebug has written, or --last.",
        )
    return tuple(replace(recording, samples=tuple(recording.samples)) for recording in recordings)


def _check(path: Path, line: int, wrong: str | None) -> None:
    if wrong is not None:
        raise InputError(
            f"{path}, line {line}: '{wrong}' is missing or not what it should be",
            next="The recording was damaged, or written by another version of hfmemdebug.",
        )


def load_recording(path: str | os.PathLike[str]) -> Recording:
    """Reads the first recording of a file.

    Raises:
        InputError: The file cannot be read or is no recording.
    """
    return load_recordings(path)[0]
