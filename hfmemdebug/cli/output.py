"""Where words go: the answer to standard output or the files of `-o`, everything else to standard error."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from hfmemdebug.cli.options import OUTPUT, option
from hfmemdebug.errors import AccessError, DiskError, HfmemdebugError, UsageError
from hfmemdebug.render.reporters import REPORTERS, drawing_library

if TYPE_CHECKING:
    from rich.console import Console as RichConsole
    from rich.progress import Progress

    from hfmemdebug.recording.file import Recording
    from hfmemdebug.render.redact import Redactor
    from hfmemdebug.result import Result

_STDOUT = Path("-")
_WIDEST = 120

JsonOption = Annotated[bool, option(OUTPUT, "--json", help="One JSON document on standard output.")]


class Console:
    """Standard output and standard error of one command.

    Args:
        as_json: Standard output carries one JSON document and nothing else.
        quiet: Standard output carries the verdict line alone, standard error only errors.
    """

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self._redact: Callable[[str], str] | None = None

    def rich(self, *, stderr: bool = False) -> RichConsole:
        """Returns a rich console on one of the streams: colours only on a terminal, NO_COLOR honoured."""
        from rich.console import Console as RichConsole

        return RichConsole(stderr=stderr, highlight=False, soft_wrap=True)

    def say(self, text: str = "") -> None:
        """Prints a line for people, part of the answer: standard output, or standard error beside `--json`."""
        if self.quiet:
            return
        print(self._clean(text), file=sys.stderr if self.as_json else sys.stdout, flush=True)

    def hint(self, text: str) -> None:
        """Prints a line beside the answer: standard error."""
        if not self.quiet:
            print(self._clean(text), file=sys.stderr, flush=True)

    def passing(self, text: str) -> None:
        """Shows what goes on at the moment: on a terminal, in a line that the next one replaces."""
        if not self.quiet and sys.stderr.isatty():
            print(f"{self._clean(text)}\033[K\r", end="", file=sys.stderr, flush=True)

    def closing(self, text: str) -> None:
        """Prints the one line at the end of a command whose streams belong to another program: standard error."""
        print(f"hfmemdebug: {self._clean(text)}", file=sys.stderr, flush=True)

    def warn(self, text: str) -> None:
        """Prints a warning: standard error, also with `--quiet`."""
        print(f"warning: {self._clean(text)}", file=sys.stderr, flush=True)

    def _clean(self, text: str) -> str:
        """Returns the text without what is private: all that is on the screen may be pasted in public."""
        if self._redact is None:
            from hfmemdebug.render.redact import Redactor

            self._redact = Redactor.of_this_machine()
        return self._redact(text)

    def document(self, document: Mapping[str, Any]) -> None:
        """Prints the one JSON document of `--json`."""
        print(json.dumps(document, indent=2, ensure_ascii=False), flush=True)

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Shows progress on standard error; nothing where that is no terminal or with `--quiet`.

        It is erased when the work is done, so that the answer alone stays on the screen.
        """
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        console = self.rich(stderr=True)
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[detail]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=self.quiet or not console.is_terminal,
        ) as progress:
            yield progress


@dataclass(frozen=True)
class OutputOptions:
    """Where the answer goes. Fields that are no options are for subclasses.

    Attributes:
        paths: The values of `-o`; ``-`` is Markdown on standard output.
        as_json: Standard output carries the result document alone.
        quiet: Standard output carries the verdict line alone.
        show_names: The names of private datasets may be shown.
    """

    paths: Annotated[
        list[Path] | None,
        option(
            OUTPUT,
            "-o",
            "--output",
            metavar="FILE",
            help=f"Write a report; the ending picks the format ({' '.join(REPORTERS)}). Repeatable; '-' is "
            "Markdown on standard output.",
        ),
    ] = None
    as_json: JsonOption = False
    quiet: Annotated[bool, option(OUTPUT, "-q", "--quiet", help="The verdict line alone.")] = False
    show_names: bool = False

    @cached_property
    def console(self) -> Console:
        """The streams, as the options ask."""
        return Console(as_json=self.as_json, quiet=self.quiet)

    @cached_property
    def redactor(self) -> Redactor:
        """Takes private text out of all that is shown and written."""
        from hfmemdebug.render.redact import Redactor

        return Redactor.of_this_machine(show_names=self.show_names)

    @property
    def claims_stdout(self) -> bool:
        """True where a document goes to standard output, beside which nothing else may."""
        return self.as_json or _STDOUT in (self.paths or ())

    def check(self, *, recorded: bool = True, drawn: bool = True) -> None:
        """Finds out before the measurement whether its outcome can be written.

        Args:
            recorded: Whether the command makes recordings.
            drawn: Whether its outcome has a chart.

        Raises:
            UsageError: An ending that is none of ours, a folder that does not exist or is a file, or two
                claims on standard output; or the library that draws is not installed.
            AccessError: A folder or file that may not be written.
        """
        for path in self.paths or ():
            if path == _STDOUT:
                if self.as_json:
                    raise UsageError(
                        "-o - and --json both want standard output", next="Give -o FILE.md or leave one out."
                    )
                continue
            _check_format(path, recorded=recorded, drawn=drawn)
            _check_place(path)

    def show(self, result: Result, recordings: Sequence[Recording] = ()) -> None:
        """Puts a result on standard output as the options ask: JSON, one line, or one screen.

        Args:
            result: The result, as it was judged.
            recordings: Its recordings, for the small chart on the screen.
        """
        from hfmemdebug.render.terminal import render_terminal, render_verdict_line

        result = self.redactor.result(result)
        if self.as_json:
            self.console.document(result.to_dict())
        elif self.claims_stdout:
            return
        elif self.quiet:
            print(_printable(render_verdict_line(result)), flush=True)
        else:
            terminal = self.console.rich()
            width = min(shutil.get_terminal_size((100, 24)).columns, _WIDEST)
            colour = terminal.is_terminal and terminal.color_system is not None and not terminal.no_color
            shown = [self.redactor.recording(recording) for recording in recordings]
            text = render_terminal(result, shown, width=width, unicode=_prints_unicode(), colour=colour)
            print(_printable(text), end="", flush=True)

    def write(self, result: Result, recordings: Sequence[Recording] = ()) -> None:
        """Writes the files of `-o`, each complete or not at all, and says which.

        Args:
            result: The result, as it was judged.
            recordings: Its recordings, for charts and for `.jsonl`.

        Raises:
            DiskError: The disk is full or fails.
            AccessError: The file may not be written.
        """
        if not self.paths:
            return
        result = self.redactor.result(result)
        shown = [self.redactor.recording(recording) for recording in recordings]
        for path in self.paths:
            made = REPORTERS[".md" if path == _STDOUT else path.suffix.lower()].render(result, shown)
            self.put(path, made)

    def put(self, path: Path, made: str | bytes) -> None:
        """Writes what was made for one value of `-o`: to standard output, or as a file, and says so.

        Raises:
            DiskError: The disk is full or fails.
            AccessError: The file may not be written.
        """
        made = made.encode(errors="replace") if isinstance(made, str) else made
        if path == _STDOUT:
            print(made.decode(), end="", flush=True)
            return
        _write(path, made)
        self.console.hint(f"written: {path}")


@dataclass(frozen=True)
class ResultOptions(OutputOptions):
    """The same, of a command that reads datasets."""

    show_names: Annotated[
        bool,
        option(OUTPUT, "--show-names", help="Leave the names of private datasets on the Hub in the output."),
    ] = False


def _check_format(path: Path, *, recorded: bool, drawn: bool) -> None:
    reporter = REPORTERS.get(path.suffix.lower())
    if reporter is None:
        *others, last = REPORTERS
        raise UsageError(
            f"-o {path}: the ending picks the format, and '{path.suffix or path.name}' is none",
            next=f"Use {', '.join(others)} or {last}, or - for Markdown on standard output.",
        )
    if reporter.needs_recordings and not recorded:
        raise UsageError(f"-o {path}: this command makes no recording", next="Use .md, .html or .json.")
    if reporter.needs_chart and not drawn:
        raise UsageError(f"-o {path}: there is nothing to draw", next="Use .md, .html or .json.")
    if reporter.needs_library:
        drawing_library(f"-o {path}")


def _check_place(path: Path) -> None:
    folder = path.parent
    if path.is_dir():
        raise UsageError(f"-o {path}: this is a folder", next="Name a file in it.")
    if not folder.is_dir():
        raise UsageError(f"-o {path}: the folder {folder} does not exist", next="Make it first.")
    if not os.access(folder, os.W_OK | os.X_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise AccessError(f"-o {path}: it may not be written", next="Choose another place.")


def _write(path: Path, made: bytes) -> None:
    """Writes a file under another name and then gives it its own, so that half of it is never seen."""
    # A link is followed: what it points to is replaced, not the link.
    path = path.resolve()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(made)
        if path.exists():
            temporary.chmod(path.stat().st_mode & 0o777)
        temporary.replace(path)
    except OSError as error:
        kind: type[HfmemdebugError] = DiskError
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            kind = AccessError
        raise kind(
            f"{path.name} could not be written: {error.strerror or error}",
            next="The recording is kept: `hfmemdebug report --last -o FILE` writes it anew.",
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _prints_unicode() -> bool:
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        said = os.environ.get(name, "")
        # CPython sets this one itself where LANG is C (PEP 538), and encodes what the terminal cannot show.
        if said and not (name == "LC_CTYPE" and said.upper() in ("C.UTF-8", "C.UTF8", "UTF-8")):
            if said in ("C", "POSIX"):
                return False
            break
    try:
        "–─→×…".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _printable(text: str) -> str:
    """Returns text that standard output can hold, whatever is in the names of files."""
    encoding = sys.stdout.encoding or "ascii"
    return text.encode(encoding, "replace").decode(encoding)
