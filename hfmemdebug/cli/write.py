"""Shows a result and writes the files of `-o`, for every command that has a result."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hfmemdebug.errors import AccessError, DiskError, HfmemdebugError, UsageError

if TYPE_CHECKING:
    from hfmemdebug.cli.console import Console
    from hfmemdebug.recording.file import Recording
    from hfmemdebug.render.redact import Redactor
    from hfmemdebug.result import Result

ENDINGS = (".md", ".html", ".json", ".jsonl", ".png", ".svg")
_PICTURES = (".png", ".svg")
_DRAWN = (".html", *_PICTURES)
_STDOUT = "-"
_WIDEST = 120


def check_outputs(
    paths: Sequence[Path] | None, *, as_json: bool = False, recorded: bool = True, drawn: bool = True
) -> None:
    """Finds out before the measurement whether its outcome can be written.

    Args:
        paths: The values of `-o`.
        as_json: Whether `--json` claims standard output.
        recorded: Whether the command makes recordings, which `.jsonl` wants.
        drawn: Whether its outcome has a chart, which a picture wants.

    Raises:
        UsageError: An ending that is none of ours, a folder that does not exist or is a file, or two
            claims on standard output; or the library that draws is not installed.
        AccessError: A folder or file that may not be written.
    """
    for path in paths or ():
        if str(path) == _STDOUT:
            if as_json:
                raise UsageError(
                    "-o - and --json both want standard output", next="Give -o FILE.md or leave one out."
                )
            continue
        if path.suffix.lower() not in ENDINGS:
            raise UsageError(
                f"-o {path}: the ending picks the format, and '{path.suffix or path.name}' is none",
                next=f"Use {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}, or - for Markdown on standard output.",
            )
        if not recorded and path.suffix.lower() == ".jsonl":
            raise UsageError(f"-o {path}: this command makes no recording", next="Use .md, .html or .json.")
        if not drawn and path.suffix.lower() in _PICTURES:
            raise UsageError(f"-o {path}: there is nothing to draw", next="Use .md, .html or .json.")
        if path.suffix.lower() in _DRAWN:
            from hfmemdebug.render.picture import drawing_library

            drawing_library(f"-o {path}")
        folder = path.parent
        if path.is_dir():
            raise UsageError(f"-o {path}: this is a folder", next="Name a file in it.")
        if not folder.is_dir():
            raise UsageError(f"-o {path}: the folder {folder} does not exist", next="Make it first.")
        if not os.access(folder, os.W_OK | os.X_OK) or (path.exists() and not os.access(path, os.W_OK)):
            raise AccessError(f"-o {path}: it may not be written", next="Choose another place.")


def claims_stdout(paths: Sequence[Path] | None) -> bool:
    """Whether `-o -` is among the outputs: then nothing else may go to standard output."""
    return any(str(path) == _STDOUT for path in paths or ())


def write_outputs(
    result: Result,
    recordings: Sequence[Recording],
    paths: Sequence[Path] | None,
    console: Console,
    *,
    redactor: Redactor | None = None,
) -> None:
    """Writes the files of `-o`, each complete or not at all, and says which.

    Args:
        result: The result, as it was judged.
        recordings: Its recordings, for charts and for `.jsonl`.
        paths: The values of `-o`, checked before by `check_outputs`.
        console: Where it is said.
        redactor: What takes private text out; by default that of this machine.

    Raises:
        DiskError: The disk is full or fails.
        AccessError: The file may not be written.
    """
    from hfmemdebug.render.markdown import render_markdown
    from hfmemdebug.render.redact import Redactor

    if not paths:
        return
    redactor = redactor or Redactor.of_this_machine()
    result = redactor.result(result)
    shown = [redactor.recording(recording) for recording in recordings]
    for path in paths:
        if str(path) == _STDOUT:
            print(render_markdown(result, shown), end="", flush=True)
            continue
        _write(path, _rendered(path.suffix.lower(), result, shown))
        console.hint(f"written: {path}")


def write_text(path: Path, text: str, console: Console) -> None:
    """Writes a file complete or not at all, and says so.

    Raises:
        DiskError: The disk is full or fails.
        AccessError: The file may not be written.
    """
    _write(path, [text])
    console.hint(f"written: {path}")


def _rendered(ending: str, result: Result, recordings: Sequence[Recording]) -> Iterable[str | bytes]:
    """The parts of a file, by its ending."""
    if ending == ".md":
        from hfmemdebug.render.markdown import render_markdown

        return [render_markdown(result, recordings)]
    if ending == ".html":
        from hfmemdebug.render.html import render_html

        return [render_html(result, recordings)]
    if ending == ".png":
        from hfmemdebug.render.picture import render_png

        return [render_png(result, recordings)]
    if ending == ".svg":
        from hfmemdebug.render.picture import render_svg

        return [render_svg(result, recordings)]
    if ending == ".json":
        return [f"{json.dumps(result.to_dict(), indent=2, ensure_ascii=False)}\n"]
    return _recording_lines(recordings)


def show_result(
    result: Result,
    console: Console,
    *,
    recordings: Sequence[Recording] = (),
    paths: Sequence[Path] | None = None,
    redactor: Redactor | None = None,
) -> None:
    """Puts the result on standard output as the command's options ask: JSON, one line, or one screen.

    Args:
        result: The result, as it was judged.
        console: Knows of `--json` and `--quiet`.
        recordings: Its recordings, for the small chart on the screen.
        paths: The values of `-o`: where one is `-`, its Markdown takes the place of the screen.
        redactor: What takes private text out; by default that of this machine.
    """
    from hfmemdebug.render.redact import Redactor
    from hfmemdebug.render.terminal import render_terminal, render_verdict_line

    redactor = redactor or Redactor.of_this_machine()
    result = redactor.result(result)
    if console.as_json:
        console.document(result.to_dict())
    elif claims_stdout(paths):
        return
    elif console.quiet:
        print(_printable(render_verdict_line(result)), flush=True)
    else:
        terminal = console.rich()
        width = min(shutil.get_terminal_size((100, 24)).columns, _WIDEST)
        colour = terminal.is_terminal and terminal.color_system is not None and not terminal.no_color
        shown = [redactor.recording(recording) for recording in recordings]
        text = render_terminal(result, shown, width=width, unicode=_prints_unicode(), colour=colour)
        print(_printable(text), end="", flush=True)


def _recording_lines(recordings: Sequence[Recording]) -> Iterator[str]:
    """All recordings one after the other, in the form that `load_recordings` reads."""
    for recording in recordings:
        yield from recording.lines()


def _write(path: Path, parts: Iterable[str | bytes]) -> None:
    """Writes a file under another name and then gives it its own, so that nobody sees half of it."""
    # A link is followed: what it points to is replaced, not the link.
    path = path.resolve()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            for part in parts:
                file.write(part if isinstance(part, bytes) else part.encode(errors="replace"))
        if path.exists():
            temporary.chmod(path.stat().st_mode & 0o777)
        temporary.replace(path)
    except OSError as error:
        raise _named(error, path) from error
    finally:
        temporary.unlink(missing_ok=True)


def _named(error: OSError, path: Path) -> HfmemdebugError:
    message = f"{path.name} could not be written: {error.strerror or error}"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return AccessError(
            message, next="The recording is kept: `hfmemdebug report --last -o FILE` writes it anew."
        )
    return DiskError(
        message, next="The recording is kept: `hfmemdebug report --last -o FILE` writes it anew."
    )


def _prints_unicode() -> bool:
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        said = os.environ.get(name, "")
        # CPython sets this one itself where LANG is C (PEP 538), so that it encodes what nobody there can show.
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
    """Text that standard output can hold, whatever is in the names of files."""
    encoding = sys.stdout.encoding or "ascii"
    return text.encode(encoding, "replace").decode(encoding)
