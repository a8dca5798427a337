"""`hfmemdebug profile`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hfmemdebug.cli import options as o
from hfmemdebug.cli.console import Console
from hfmemdebug.cli.write import check_outputs, claims_stdout
from hfmemdebug.errors import UsageError

if TYPE_CHECKING:
    from hfmemdebug.measure.profile import Measured


def profile(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help=o.DATASET_HELP)],
    config: o.ConfigArgument = None,
    split: o.SplitOption = None,
    in_mem: Annotated[
        bool, typer.Option("--in-mem", help="Load with keep_in_memory.", rich_help_panel=o.DATA)
    ] = False,
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
    output: o.OutputOption = None,
    show_names: o.ShowNamesOption = False,
    as_json: o.JsonOption = False,
    quiet: o.QuietOption = False,
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
    check_outputs(output, as_json=as_json)
    if in_mem and streaming:
        raise UsageError("--in-mem and --streaming exclude each other", next="Leave one of them out.")
    slices, read_all = o.read_iterations(iterations)

    from hfmemdebug.cli.measure import measure, typed_command
    from hfmemdebug.cli.watch import SliceTable
    from hfmemdebug.measure.profile import profile as run_profile
    from hfmemdebug.measure.settings import Settings
    from hfmemdebug.units import parse_size
    from hfmemdebug.user_code import split_target

    if dataset is None:
        # Early versions of Typer let a missing argument through.
        raise UsageError("Missing argument 'DATASET'", next="For example hfmemdebug profile ./my-ds.")
    if consumer is not None:
        split_target(consumer)
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
        in_memory=in_mem,
        budget=budget,
        limit=parse_size(limit) if limit else None,
        min_leak=parse_size(min_leak) if min_leak else None,
        command_line=typed_command(sys.argv[1:]),
    )  # fmt: skip
    console = Console(as_json=as_json or claims_stdout(output), quiet=quiet)
    table = SliceTable(console)

    def experiment(folder: Path) -> Measured:
        measured = run_profile(settings, folder, table)
        table.close()
        return measured

    answer = Console(as_json=as_json, quiet=quiet)
    return measure("profile", experiment, answer, output, show_names=show_names)
