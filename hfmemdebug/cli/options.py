"""Options that several commands share, described once."""

from __future__ import annotations

import re
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hfmemdebug.errors import UsageError

if TYPE_CHECKING:
    from hfmemdebug.data.spec import DatasetSpec

DATA = "Data"
RUN = "Run"
OUTPUT = "Output"

DATASET_HELP = (
    "A save_to_disk folder; an Arrow, Parquet, JSON or CSV file or glob; a name on the Hub; a .npy file or raw "
    "numbers (a slice is rows of the first axis, given to a consumer as an array); or an iterable of yours, "
    "FILE.py:FUNC or MODULE:FUNC (a slice is one item of what FUNC returns)."
)


def _finite(seconds: float | None) -> float | None:
    if seconds is not None and not isfinite(seconds):
        raise UsageError(f"--budget {seconds}: not a number of seconds", next="For example --budget 300.")
    return seconds


ConfigArgument = Annotated[
    str | None, typer.Argument(metavar="CONFIG", help="The configuration of a dataset on the Hub.")
]
SplitOption = Annotated[
    str | None,
    typer.Option("--split", metavar="NAME", help="The split.", show_default="train", rich_help_panel=DATA),
]
RevisionOption = Annotated[
    str | None,
    typer.Option("--revision", metavar="REV", help="A branch, tag or commit.", rich_help_panel=DATA),
]
DataFilesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--data-files", metavar="GLOB", help="Only these files of it. Repeatable.", rich_help_panel=DATA
    ),
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        "--token", metavar="TOKEN", help="A Hub token; better: `hf auth login`.", rich_help_panel=DATA
    ),
]
FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format", metavar="NAME", help="As Dataset.with_format: numpy, torch, …", rich_help_panel=DATA
    ),
]
DtypeOption = Annotated[
    str | None,
    typer.Option(
        "--dtype", metavar="NAME", help="What a file of raw numbers holds: float32, …", rich_help_panel=DATA
    ),
]
ShapeOption = Annotated[
    str | None,
    typer.Option(
        "--shape",
        metavar="N,N,…",
        help="Its shape; the first axis may be -1: all rows.",
        rich_help_panel=DATA,
    ),
]
NoDecodeOption = Annotated[
    bool,
    typer.Option("--no-decode", help="Leave images and audio as bytes.", rich_help_panel=DATA),
]
YesOption = Annotated[
    bool,
    typer.Option("--yes", help="Agree to a download of more than 50 GB.", rich_help_panel=DATA),
]
StreamingOption = Annotated[
    bool, typer.Option("--streaming", help="Read a stream: no length, nothing mapped.", rich_help_panel=DATA)
]
StepOption = Annotated[
    int | None,
    typer.Option(
        "--step",
        metavar="N",
        min=1,
        max=2**31 - 1,
        help="Rows in a slice.",
        show_default="50 slices, of 256 MB at most",
        rich_help_panel=RUN,
    ),
]
WarmupOption = Annotated[
    int | None,
    typer.Option(
        "--warmup",
        metavar="N",
        min=0,
        help="Slices that are shown, not judged.",
        show_default="4",
        rich_help_panel=RUN,
    ),
]
EpochsOption = Annotated[
    int | None,
    typer.Option(
        "--epochs",
        metavar="N",
        min=1,
        help="How often the same slices are read.",
        show_default="3",
        rich_help_panel=RUN,
    ),
]
IterationsOption = Annotated[
    str | None,
    typer.Option(
        "--iterations",
        metavar="N|all",
        help="Slices in an epoch; 'all' reads every row.",
        show_default="50 at most, spread over the rows",
        rich_help_panel=RUN,
    ),
]
ConsumerOption = Annotated[
    str | None,
    typer.Option(
        "--consumer",
        metavar="FILE.py:FUNC",
        help="Your code, called with each slice (also MODULE:FUNC); setup() and teardown() beside it are "
        "called once.",
        rich_help_panel=RUN,
    ),
]
BudgetOption = Annotated[
    float | None,
    typer.Option(
        "--budget",
        metavar="SECONDS",
        min=1,
        callback=_finite,
        help="Wall time at most.",
        show_default="120 for diagnose",
        rich_help_panel=RUN,
    ),
]
LimitOption = Annotated[
    str | None,
    typer.Option("--limit", metavar="SIZE", help="Each arm under this memory limit.", rich_help_panel=RUN),
]
MinLeakOption = Annotated[
    str | None,
    typer.Option(
        "--min-leak",
        metavar="SIZE",
        help="Call nothing a leak that is smaller, per slice.",
        show_default="32 bytes above the control, 256 without one",
        rich_help_panel=RUN,
    ),
]
BackendOption = Annotated[
    str,
    typer.Option(
        "--backend",
        metavar="NAME",
        help="systemd, cgroup2, cgroup1 or watchdog; auto tries them in this order.",
    ),
]
JsonOption = Annotated[
    bool,
    typer.Option("--json", help="One JSON document on standard output.", rich_help_panel=OUTPUT),
]
QuietOption = Annotated[
    bool, typer.Option("-q", "--quiet", help="The verdict line alone.", rich_help_panel=OUTPUT)
]
ShowNamesOption = Annotated[
    bool,
    typer.Option(
        "--show-names",
        help="Leave the names of private datasets on the Hub in the output.",
        rich_help_panel=OUTPUT,
    ),
]
OutputOption = Annotated[
    list[Path] | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help="Write a report; the ending picks the format (.md .html .png .svg .json .jsonl). Repeatable; '-' is "
        "Markdown on standard output.",
        rich_help_panel=OUTPUT,
    ),
]


def read_iterations(text: str | None) -> tuple[int | None, bool]:
    """``N`` or ``all``, as the number of slices and whether every row is read.

    Raises:
        UsageError: It is neither.
    """
    if text is None:
        return None, False
    if text == "all":
        return None, True
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(
            f"--iterations {text}: not a number of slices", next="Give a number from 1 on, or 'all'."
        )
    return int(text), False


def read_shape(text: str | None) -> tuple[int, ...] | None:
    """``4002,120,120,3``, also as Python writes it, ``(4002, 120, 120, 3)``, or with ``x`` between.

    Raises:
        UsageError: It is no shape.
    """
    if text is None:
        return None
    if re.fullmatch(r"\(?\s*-?\d+(\s*[,x×]\s*\d+)*\s*,?\s*\)?", text, re.ASCII) is None:
        raise UsageError(f"--shape {text}: not a shape", next="For example --shape 1000,224,224,3.")
    return tuple(int(number) for number in re.findall(r"-?\d+", text))


def dataset_spec(
    dataset: str,
    config: str | None,
    *,
    split: str | None,
    revision: str | None,
    data_files: list[str] | None,
    token: str | None,
    format: str | None,
    no_decode: bool,
    yes: bool,
    dtype: str | None,
    shape: str | None,
) -> DatasetSpec:
    """The dataset that the options describe."""
    from hfmemdebug.data.spec import DatasetSpec

    return DatasetSpec(
        dataset=dataset,
        config=config,
        split=split,
        revision=revision,
        data_files=tuple(data_files or ()),
        token=token,
        format=format,
        decode=not no_decode,
        yes=yes,
        dtype=dtype,
        shape=read_shape(shape),
    )
