"""`hfmemdebug diagnose`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hfmemdebug.cli.options import DATA, DATASET_HELP, ReadOptions, option
from hfmemdebug.cli.output import ResultOptions

if TYPE_CHECKING:
    from hfmemdebug.measure.profile import Measured


def diagnose(
    read: ReadOptions,
    output: ResultOptions,
    dataset: Annotated[
        str | None,
        typer.Argument(metavar="DATASET", help=f"{DATASET_HELP} Without one, synthetic rows are built."),
    ] = None,
    cache_dir: Annotated[
        Path | None, option(DATA, "--cache-dir", help="Where synthetic rows are kept.")
    ] = None,
) -> int:
    """Is it a leak? Memory-mapped against in-memory, with your code and without it: one verdict.

    Each runs in a process of its own over the same rows, epoch after epoch, until the answer is known.

    \b
    Examples:
      hfmemdebug diagnose
      hfmemdebug diagnose wmt19 cs-en
      hfmemdebug diagnose ./my-ds --consumer train.py:on_batch
      hfmemdebug diagnose data.parquet --budget 300 -o report.md
      hfmemdebug diagnose images.npy --consumer train.py:on_batch
      hfmemdebug diagnose loaders.py:train_loader
    """
    output.check()
    read.check()

    from hfmemdebug.cli.measure import measure, typed_command
    from hfmemdebug.cli.progress_bars import ArmBars
    from hfmemdebug.measure.diagnose import run_diagnosis, synthetic_dataset

    console = output.console
    if dataset is None:
        dataset = str(synthetic_dataset(cache_dir))
        console.hint("No dataset was named: synthetic rows are read, all alike.")
    settings = read.settings(dataset, typed_command())

    def experiment(folder: Path) -> Measured:
        with console.progress() as progress:
            return run_diagnosis(settings, folder, ArmBars(console, progress))

    return measure("diagnose", experiment, output)
