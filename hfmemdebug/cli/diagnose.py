"""`hfmemdebug diagnose`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hfmemdebug.cli import options as o
from hfmemdebug.cli.console import Console
from hfmemdebug.cli.write import check_outputs

if TYPE_CHECKING:
    from hfmemdebug.measure.profile import Measured


def diagnose(
    dataset: Annotated[
        str | None,
        typer.Argument(metavar="DATASET", help=f"{o.DATASET_HELP} Without one, synthetic rows are built."),
    ] = None,
    config: o.ConfigArgument = None,
    split: o.SplitOption = None,
    streaming: o.StreamingOption = False,
    revision: o.RevisionOption = None,
    data_files: o.DataFilesOption = None,
    token: o.TokenOption = None,
    format: o.FormatOption = None,
    no_decode: o.NoDecodeOption = False,
    yes: o.YesOption = False,
    dtype: o.DtypeOption = None,
    shape: o.ShapeOption = None,
    step: o.StepOption = None,
    warmup: o.WarmupOption = None,
    epochs: o.EpochsOption = None,
    iterations: o.IterationsOption = None,
    consumer: o.ConsumerOption = None,
    limit: o.LimitOption = None,
    budget: o.BudgetOption = None,
    min_leak: o.MinLeakOption = None,
    cache_dir: Annotated[
        Path | None,
        typer.Option("--cache-dir", help="Where synthetic rows are kept.", rich_help_panel=o.DATA),
    ] = None,
    output: o.OutputOption = None,
    show_names: o.ShowNamesOption = False,
    as_json: o.JsonOption = False,
    quiet: o.QuietOption = False,
) -> int:
    """Is it a leak? Memory-mapped against in-memory, with your code and without it: one verdict.

    Each arm runs in a process of its own over the same rows, epoch after epoch, until the answer is known.

    \b
    Examples:
      hfmemdebug diagnose
      hfmemdebug diagnose wmt19 cs-en
      hfmemdebug diagnose ./my-ds --consumer train.py:on_batch
      hfmemdebug diagnose data.parquet --budget 300 -o report.md
      hfmemdebug diagnose images.npy --consumer train.py:on_batch
      hfmemdebug diagnose loaders.py:train_loader
    """
    check_outputs(output, as_json=as_json)
    slices, read_all = o.read_iterations(iterations)

    from hfmemdebug.cli.measure import measure, typed_command
    from hfmemdebug.cli.watch import ArmBars
    from hfmemdebug.measure.diagnose import run_diagnosis, synthetic_dataset
    from hfmemdebug.measure.settings import Settings
    from hfmemdebug.units import parse_size
    from hfmemdebug.user_code import split_target

    if consumer is not None:
        split_target(consumer)
    console = Console(as_json=as_json, quiet=quiet)
    if dataset is None:
        dataset = str(synthetic_dataset(cache_dir))
        console.hint("No dataset was named: synthetic rows are read, all alike.")
    settings = Settings(
        spec=o.dataset_spec(
            dataset, config, split=split, revision=revision, data_files=data_files, token=token,
            format=format, no_decode=no_decode, yes=yes, dtype=dtype, shape=shape,
        ),
        step=step,
        warmup=warmup,
        epochs=epochs,
        iterations=slices,
        read_all=read_all,
        consumer=consumer,
        streaming=streaming,
        budget=budget,
        limit=parse_size(limit) if limit else None,
        min_leak=parse_size(min_leak) if min_leak else None,
        command_line=typed_command(sys.argv[1:]),
    )  # fmt: skip

    def experiment(folder: Path) -> Measured:
        with console.progress() as progress:
            return run_diagnosis(settings, folder, ArmBars(console, progress))

    return measure("diagnose", experiment, console, output, show_names=show_names)
