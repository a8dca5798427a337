"""The live view of `attach`: a table that is drawn anew, with growth rates and a running judgement."""

from __future__ import annotations

import contextlib
import os
import select
import termios
import tty
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from hfmemdebug.units import format_bytes, format_seconds

if TYPE_CHECKING:
    from rich.console import Group

    from hfmemdebug.cli.output import Console
    from hfmemdebug.measure.attach import Attachment
    from hfmemdebug.recording.sample import ProcessSample, TreeSample

_MOST_ROWS = 12
_BARS = 40
# Growth is shown over as much of the last time.
_WINDOW_SECONDS = 30.0


class PlainView:
    """Lines for where there is no terminal: the first answer as soon as there is one, then a line every ten seconds.

    Args:
        console: Where the lines go.
        duration: How long it takes, or None.
    """

    def __init__(self, console: Console, duration: float | None) -> None:
        self._console = console
        self._duration = duration
        self._next = 0.0

    def __call__(self, attachment: Attachment) -> bool:
        """Takes a sample; goes on for ever."""
        from hfmemdebug.measure.attach import snapshot_summary

        last = attachment.samples[-1]
        if last.seconds >= self._next and attachment.tree is not None:
            first = self._next == 0.0
            self._next = last.seconds + 10.0
            if first:
                self._console.hint(snapshot_summary(attachment.tree))
            else:
                of = f" of {format_seconds(self._duration)}" if self._duration else ""
                anon = f"anonymous {format_bytes(last.anon)}, file {format_bytes(last.file)}"
                self._console.hint(f"{format_seconds(last.seconds)}{of}: {anon}")
        return True


@contextlib.contextmanager
def live_view() -> Iterator[Callable[[Attachment], bool]]:
    """Shows a table on the terminal; what it yields draws it anew, and returns False where q was pressed."""
    from rich.console import Console as RichConsole
    from rich.live import Live

    before = None
    with contextlib.suppress(termios.error):
        before = termios.tcgetattr(0)
        # Keys come one by one and are not shown; Ctrl-C stays a signal.
        tty.setcbreak(0)

    def show(attachment: Attachment) -> bool:
        live.update(draw(attachment), refresh=True)
        while select.select([0], [], [], 0)[0]:
            if os.read(0, 1) in (b"q", b"Q", b""):
                return False
        return True

    try:
        with Live(console=RichConsole(highlight=False), auto_refresh=False, transient=True) as live:
            yield show
    finally:
        if before is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, before)


def draw(attachment: Attachment) -> Group:
    """Returns the view: a row for each process, the sums, what holds pages, and the judgement so far."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from hfmemdebug.analysis.program_verdict import judge_so_far
    from hfmemdebug.render.chart import thin
    from hfmemdebug.render.redact import Redactor
    from hfmemdebug.render.terminal import bars

    last = attachment.samples[-1]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for title in ("Process", "PSS", "RSS", "anonymous", "file", "shared mem.", "unreclaimable growth"):
        table.add_column(title, justify="left" if title == "Process" else "right", no_wrap=True)
    since = _window(attachment.samples)
    for process in last.processes[:_MOST_ROWS]:
        figures = (process.pss, process.rss, process.anon, process.file, process.shmem)
        rate = _rate(since.get(process.pid), process)
        table.add_row(Text(f"{process.role} ({process.pid})"), *map(format_bytes, figures), rate)
    if len(last.processes) > _MOST_ROWS:
        table.add_row(Text(f"and {len(last.processes) - _MOST_ROWS} more"))
    table.add_row(
        Text("total (shared pages counted once)", style="bold"), format_bytes(last.pss), "", format_bytes(last.anon),
        format_bytes(last.file), format_bytes(last.shmem), _rate(since.get(0), last),
    )  # fmt: skip
    redact = Redactor.of_this_machine()
    lines = []
    if attachment.tree is not None:
        lines += [
            f"reclaimable: {format_bytes(attachment.tree.reclaimable)}, "
            f"not reclaimable: {format_bytes(attachment.tree.unreclaimable)}"
        ]
        lines += [
            redact(f"  {format_bytes(f.resident_bytes)} of {format_bytes(f.size_bytes)}: {f.path} ({f.kind})")
            for f in attachment.tree.files[:3]
        ]
        lines += [f"note: {redact(note)}" for note in attachment.tree.notes[:2]]
    values = [float((t.anon or 0) + (t.swap or 0) + (t.shmem or 0)) for t in attachment.samples]
    heading = Text(
        f"process {attachment.target.pid} ({attachment.target.name}), {format_seconds(last.seconds)}: "
        f"{judge_so_far(attachment.header, attachment.samples)}",
        style="bold",
    )
    ends = f"{format_bytes(values[0])} → {format_bytes(values[-1])}"
    chart = f"unreclaimable  {bars(thin(values, _BARS), max(values))}  {ends}"
    below = (Text(line) for line in (*lines, chart))
    return Group(heading, Text(""), table, *below, Text("q ends with a report", style="dim"))


def _window(samples: list[TreeSample]) -> dict[int, ProcessSample | TreeSample]:
    """Returns each process as it was at the start of the window; the tree under 0."""
    found: dict[int, ProcessSample | TreeSample] = {}
    for tree in samples:
        if tree.seconds >= samples[-1].seconds - _WINDOW_SECONDS:
            found.setdefault(0, tree)
            for process in tree.processes:
                found.setdefault(process.pid, process)
    return found


def _rate(then: ProcessSample | TreeSample | None, now: ProcessSample | TreeSample) -> str:
    if then is None or now.seconds - then.seconds < 1.0:
        return "–"
    gained = (now.unreclaimable or 0) - (then.unreclaimable or 0)
    return f"{format_bytes(gained / (now.seconds - then.seconds), signed=True)}/s"
