"""The formats in which a result can be written: one table, which `-o` and the checks before a run read.

To add a format, write a function that takes a result and its recordings and returns a file's text or bytes, and
add a line to `REPORTERS`. Its module is imported when the format is first asked for: some need rich, some a library
that may not be installed.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hfmemdebug.errors import UsageError

if TYPE_CHECKING:
    from hfmemdebug.recording.file import Recording
    from hfmemdebug.result import Result


@dataclass(frozen=True)
class Reporter:
    """One format.

    Attributes:
        ending: The file's ending, which picks the format.
        module: The module of `hfmemdebug.render` that makes it.
        function: The function in it that takes a result and its recordings, and returns text, or bytes.
        needs_recordings: It is made of recordings alone.
        needs_chart: It is a chart, and nothing without one.
        needs_library: It is drawn by vl-convert, which may not be installed.
    """

    ending: str
    module: str
    function: str
    needs_recordings: bool = False
    needs_chart: bool = False
    needs_library: bool = False

    def render(self, result: Result, recordings: Sequence[Recording]) -> str | bytes:
        """Returns the file's text, or its bytes where it is binary.

        Args:
            result: The result. Private text in it is shown as it stands: redact it before.
            recordings: Its recordings, for charts; may be empty.

        Raises:
            UsageError: The library that draws is not installed.
        """
        module = importlib.import_module(f"hfmemdebug.render.{self.module}")
        made: str | bytes = getattr(module, self.function)(result, recordings)
        return made


REPORTERS = {
    reporter.ending: reporter
    for reporter in (
        Reporter(".md", "markdown", "render_markdown"),
        Reporter(".html", "html", "render_html", needs_library=True),
        Reporter(".json", "reporters", "render_json"),
        Reporter(".jsonl", "reporters", "render_jsonl", needs_recordings=True),
        Reporter(".png", "picture", "render_png", needs_chart=True, needs_library=True),
        Reporter(".svg", "picture", "render_svg", needs_chart=True, needs_library=True),
    )
}


def drawing_library(wanted_by: str) -> Any:
    """Returns the module `vl_convert`.

    Args:
        wanted_by: What cannot be made without it, for the error's line.

    Raises:
        UsageError: It is not installed.
    """
    try:
        import vl_convert
    except ImportError:
        raise UsageError(
            f"{wanted_by} needs vl-convert-python, which is not installed",
            next="pip install 'hfmemdebug[plot]', or choose .md.",
        ) from None
    return vl_convert


def render_json(result: Result, recordings: Sequence[Recording] = ()) -> str:
    """Returns the result document."""
    return f"{json.dumps(result.to_dict(), indent=2, ensure_ascii=False)}\n"


def render_jsonl(result: Result, recordings: Sequence[Recording]) -> str:
    """Returns all recordings one after the other, in the form that `load_recordings` reads."""
    return "".join(line for recording in recordings for line in recording.lines())
