"""`hfmemdebug synth`."""

from __future__ import annotations

import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from hfmemdebug.cli.options import DATA, OUTPUT, option
from hfmemdebug.cli.output import Console, JsonOption


# Long because each option is described where it is declared.
def synth(
    out: Annotated[Path, typer.Argument(help="The folder to write.")] = Path("synthetic-ds"),
    rows: Annotated[int, option(DATA, "--rows", help="Number of rows.")] = 1_000_000,
    row: Annotated[
        str | None,
        option(
            DATA,
            "--row",
            metavar="JSON",
            show_default='{"foo": [{"a": 500 letters, "b": 1000 letters}]}',
            help="The row, as a JSON object.",
        ),
    ] = None,
    schema: Annotated[
        str | None,
        option(
            DATA,
            "--schema",
            metavar="JSON",
            help='Types and sizes instead of a row, as reports write them: \'{"text": "string:1500"}\'.',
        ),
    ] = None,
    preset: Annotated[
        str | None,
        option(
            DATA,
            "--preset",
            metavar="NAME",
            show_default="nested",
            help="A ready-made row: nested, text, numeric, image (PNG), audio (WAV), tokens (1024 a row).",
        ),
    ] = None,
    vary: Annotated[
        float,
        option(
            DATA,
            "--vary",
            metavar="CV",
            help="Let lengths vary as in real text: log-normal, with this coefficient of variation (0.3).",
        ),
    ] = 0.0,
    seed: Annotated[int, option(DATA, "--seed", help="Decides the lengths with --vary.")] = 0,
    shards: Annotated[int, option(DATA, "--shards", metavar="N", help="Number of Arrow files.")] = 1,
    force: Annotated[
        bool,
        option(
            OUTPUT,
            "--force",
            help="Replace a saved dataset that is not what is asked for. Nothing else is ever replaced.",
        ),
    ] = False,
    as_json: JsonOption = False,
    quiet: Annotated[bool, option(OUTPUT, "-q", "--quiet", help="The path alone.")] = False,
) -> None:
    """Builds a dataset of rows that are all alike, so that data are no factor.

    The folder is what Dataset.from_dict and save_to_disk would have written, made at the speed of the disk
    and in constant memory. It is complete or it does not exist; one that is what is asked for is reused.

    \b
    Examples:
      hfmemdebug synth
      hfmemdebug synth big-ds --rows 10000000 --shards 10
      hfmemdebug synth my-ds --row '{"text": "hello", "label": 1}'
      hfmemdebug synth texts-ds --preset text --vary 0.3 --seed 1
    """
    from hfmemdebug.data.rows import parse_row
    from hfmemdebug.data.synthesize import synthesize

    console = Console(as_json=as_json, quiet=quiet)
    with _stopped_by_signals(), _progress(console) as on_progress:
        made = synthesize(
            out,
            rows=rows,
            row=None if row is None else parse_row(row),
            schema=None if schema is None else parse_row(schema, option="--schema"),
            preset=preset,
            vary=vary,
            seed=seed,
            shards=shards,
            force=force,
            on_progress=on_progress,
        )
    if as_json:
        document = {**asdict(made), "path": str(made.path)}
        console.document({"schema": "hfmemdebug.synth.v1", **document})
    elif quiet:
        print(made.path)
    else:
        console.say(_told(made))


def _told(made: Any) -> str:
    from hfmemdebug.units import format_bytes, format_count, format_seconds

    took = "there already, reused" if made.reused else f"written in {format_seconds(made.seconds)}"
    path = str(made.path)
    return (
        f"{path}: {format_count(made.rows)} rows, {format_bytes(made.size_bytes)}, {took}. "
        # With ./ before it, it is not taken for a name on the Hub.
        f"Next: hfmemdebug diagnose {shlex.quote(path if '/' in path else f'./{path}')}"
    )


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Lets SIGTERM and a closed terminal end the work as Ctrl-C does: nothing is left behind."""

    def stop(number: int, _: Any) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[int, int], None] | None]:
    """Shows a bar with rate and time left; without a terminal nothing is even imported."""
    if console.quiet or not sys.stderr.isatty():
        yield None
        return
    from hfmemdebug.units import format_bytes

    start = time.perf_counter()
    with console.progress() as progress:
        task = progress.add_task("Writing", total=None, detail="")

        def show(done: int, total: int) -> None:
            rate = done / max(time.perf_counter() - start, 1e-3)
            detail = f"{format_bytes(done)} of {format_bytes(total)}, {format_bytes(rate)}/s"
            progress.update(task, completed=done, total=total, detail=detail)

        yield show
