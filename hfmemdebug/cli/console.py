"""Where words go: the answer to standard output, everything else to standard error.

One `Console` a command holds the three ways of speaking: for people, as one JSON document (`--json`),
and the verdict line alone (`--quiet`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console as RichConsole
    from rich.progress import Progress


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
