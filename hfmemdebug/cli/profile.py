"""`hfmemdebug profile`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hfmemdebug.cli.options import DATA, DATASET_HELP, ReadOptions, option
from hfmemdebug.cli.output import Console, ResultOptions
from hfmemdebug.errors import UsageError

if TYPE_CHECKING:
    from hfmemdebug.measure.profile import Measured


def profile(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help=DATASET_HELP)],
    read: ReadOptions,
    output: ResultOptions,
    in_mem: Annotated[bool, option(DATA, "--in-mem", help="Load with keep_in_memory.")] = False,
) -> int:
    """Iterates slices of one dataset in one mode: a row per slice, and a verdict from that one run.

    \b
    Examples:
      hfmemdebug profile wmt19 cs-en
      hfmemdebug profile wmt19 cs-en --in-mem
      hfmemdebug profile ./my-ds --step 50000 --epochs 1
      hfmemdebug profile 'data/*.parquet' --consumer train.py:on_batch
      hfmemdebug profile images.npy
      hfmemdebug profile images.memmap --dtype float32 --shape -1,224,224,3
      hfmemdebug profile loaders.py:train_loader
    """
    output.check()
    if in_mem and read.streaming:
        raise UsageError("--in-mem and --streaming exclude each other", next="Leave one of them out.")
    if dataset is None:
        # Early versions of Typer let a missing argument through.
        raise UsageError("Missing argument 'DATASET'", next="For example hfmemdebug profile ./my-ds.")
    read.check()

    from hfmemdebug.cli.measure import measure, typed_command
    from hfmemdebug.cli.progress_bars import SliceTable
    from hfmemdebug.measure.profile import profile as run_profile

    settings = read.settings(dataset, typed_command(), in_memory=in_mem)
    table = SliceTable(Console(as_json=output.claims_stdout, quiet=output.quiet))

    def experiment(folder: Path) -> Measured:
        measured = run_profile(settings, folder, table)
        table.close()
        return measured

    return measure("profile", experiment, output)
