"""Options that several commands share, described once, in groups that a command takes as one parameter."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

import typer

from hfmemdebug.errors import UsageError

if TYPE_CHECKING:
    from hfmemdebug.measure.settings import Settings

DATA = "Data"
RUN = "Run"
OUTPUT = "Output"

DATASET_HELP = (
    "A save_to_disk folder; an Arrow, Parquet, JSON or CSV file or glob; a name on the Hub; a .npy file or raw "
    "numbers (a slice is rows of the first axis, given to a consumer as an array); or an iterable of yours, "
    "FILE.py:FUNC or MODULE:FUNC (a slice is one item of what FUNC returns)."
)


def spread(command: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a command in which each group of options is a parameter an option, as Typer wants them.

    A group is a parameter whose type is a dataclass; its options are the fields that are `Annotated`. They follow
    the command's own.
    """
    options: list[inspect.Parameter] = []
    of_groups: list[inspect.Parameter] = []
    groups: dict[str, tuple[type, list[str]]] = {}
    hints = get_type_hints(command, include_extras=True)
    for parameter in inspect.signature(command).parameters.values():
        kind = hints[parameter.name]
        # Python 3.10 makes Optional[Annotated[…]] of what has None as its default, which hides what is annotated.
        kind = next((inner for inner in get_args(kind) if hasattr(inner, "__metadata__")), kind)
        if hasattr(kind, "__dataclass_fields__"):
            of_group = get_type_hints(kind, include_extras=True)
            own = [field for field in fields(kind) if hasattr(of_group[field.name], "__metadata__")]
            groups[parameter.name] = kind, [field.name for field in own]
            of_groups += [_parameter(f.name, of_group[f.name], f.default) for f in own]
        else:
            options.append(_parameter(parameter.name, kind, parameter.default))

    options += of_groups

    def called(**values: Any) -> Any:
        for name, (kind, names) in groups.items():
            values[name] = kind(**{own: values.pop(own) for own in names})
        return command(**values)

    called.__name__ = command.__name__
    called.__annotations__ = {option.name: option.annotation for option in options}
    called.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    return called


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def option(panel: str | None, *names: str, help: str, metavar: str | None = None, **settings: Any) -> Any:
    """Describes an option that belongs to a panel of `--help`."""
    return typer.Option(*names, help=help, metavar=metavar, rich_help_panel=panel, **settings)


def _finite(seconds: float | None) -> float | None:
    if seconds is not None and not isfinite(seconds):
        raise UsageError(f"--budget {seconds}: not a number of seconds", next="For example --budget 300.")
    return seconds


BackendOption = Annotated[
    str,
    option(
        None,
        "--backend",
        metavar="NAME",
        help="systemd, cgroup2, cgroup1 or watchdog; auto tries them in this order.",
    ),
]


@dataclass(frozen=True)
class ReadOptions:
    """The dataset that `profile` and `diagnose` read, and how they read it."""

    config: Annotated[
        str | None, typer.Argument(metavar="CONFIG", help="The configuration of a dataset on the Hub.")
    ] = None
    split: Annotated[
        str | None, option(DATA, "--split", metavar="NAME", help="The split.", show_default="train")
    ] = None
    streaming: Annotated[
        bool, option(DATA, "--streaming", help="Read a stream: no length, nothing mapped.")
    ] = False
    revision: Annotated[
        str | None, option(DATA, "--revision", metavar="REV", help="A branch, tag or commit.")
    ] = None
    data_files: Annotated[
        list[str] | None,
        option(DATA, "--data-files", metavar="GLOB", help="Only these files of it. Repeatable."),
    ] = None
    token: Annotated[
        str | None, option(DATA, "--token", metavar="TOKEN", help="A Hub token; better: `hf auth login`.")
    ] = None
    format: Annotated[
        str | None, option(DATA, "--format", metavar="NAME", help="As Dataset.with_format: numpy, torch, …")
    ] = None
    no_decode: Annotated[bool, option(DATA, "--no-decode", help="Leave images and audio as bytes.")] = False
    yes: Annotated[bool, option(DATA, "--yes", help="Agree to a download of more than 50 GB.")] = False
    dtype: Annotated[
        str | None,
        option(DATA, "--dtype", metavar="NAME", help="What a file of raw numbers holds: float32, …"),
    ] = None
    shape: Annotated[
        str | None,
        option(DATA, "--shape", metavar="N,N,…", help="Its shape; the first axis may be -1: all rows."),
    ] = None
    step: Annotated[
        int | None,
        option(
            RUN,
            "--step",
            metavar="N",
            min=1,
            max=2**31 - 1,
            help="Rows in a slice.",
            show_default="50 slices, of 256 MB at most",
        ),
    ] = None
    warmup: Annotated[
        int | None,
        option(
            RUN, "--warmup", metavar="N", min=0, help="Slices that are shown, not judged.", show_default="4"
        ),
    ] = None
    epochs: Annotated[
        int | None,
        option(
            RUN, "--epochs", metavar="N", min=1, help="How often the same slices are read.", show_default="3"
        ),
    ] = None
    iterations: Annotated[
        str | None,
        option(
            RUN,
            "--iterations",
            metavar="N|all",
            help="Slices in an epoch; 'all' reads every row.",
            show_default="50 at most, spread over the rows",
        ),
    ] = None
    consumer: Annotated[
        str | None,
        option(
            RUN,
            "--consumer",
            metavar="FILE.py:FUNC",
            help="Your code, called with each slice (also MODULE:FUNC); setup() and teardown() beside it are "
            "called once.",
        ),
    ] = None
    limit: Annotated[
        str | None, option(RUN, "--limit", metavar="SIZE", help="Each run under this memory limit.")
    ] = None
    budget: Annotated[
        float | None,
        option(
            RUN,
            "--budget",
            metavar="SECONDS",
            min=1,
            callback=_finite,
            help="Wall time at most.",
            show_default="120 for diagnose",
        ),
    ] = None
    min_leak: Annotated[
        str | None,
        option(
            RUN,
            "--min-leak",
            metavar="SIZE",
            help="Call nothing a leak that is smaller, per slice.",
            show_default="32 bytes above the control, 256 without one",
        ),
    ] = None

    def check(self) -> None:
        """Finds out what is wrong with the options before anything is built or imported for them.

        Raises:
            UsageError: One of them cannot be read.
        """
        from hfmemdebug.user_code import split_target

        read_iterations(self.iterations)
        if self.consumer is not None:
            split_target(self.consumer)

    def settings(self, dataset: str, command_line: str, *, in_memory: bool = False) -> Settings:
        """Returns what the options ask for.

        Raises:
            UsageError: One of them cannot be read.
        """
        from hfmemdebug.data.spec import DatasetSpec
        from hfmemdebug.measure.settings import Settings
        from hfmemdebug.units import parse_size

        slices, read_all = read_iterations(self.iterations)
        return Settings(
            spec=DatasetSpec(
                dataset=dataset,
                config=self.config,
                split=self.split,
                revision=self.revision,
                data_files=tuple(self.data_files or ()),
                token=self.token,
                format=self.format,
                decode=not self.no_decode,
                yes=self.yes,
                dtype=self.dtype,
                shape=read_shape(self.shape),
            ),
            step=self.step,
            warmup=self.warmup,
            epochs=self.epochs,
            iterations=slices,
            read_all=read_all,
            consumer=self.consumer,
            streaming=self.streaming,
            in_memory=in_memory,
            budget=self.budget,
            limit=parse_size(self.limit) if self.limit else None,
            min_leak_per_slice=parse_size(self.min_leak) if self.min_leak else None,
            command_line=command_line,
        )


def read_iterations(text: str | None) -> tuple[int | None, bool]:
    """Reads ``N`` or ``all``, as the number of slices and whether every row is read.

    Raises:
        UsageError: It is neither.
    """
    if text is None or text == "all":
        return None, text == "all"
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(
            f"--iterations {text}: not a number of slices", next="Give a number from 1 on, or 'all'."
        )
    return int(text), False


def read_shape(text: str | None) -> tuple[int, ...] | None:
    """Reads ``4002,120,120,3``, also as Python writes it, ``(4002, 120, 120, 3)``, or with ``x`` between.

    Raises:
        UsageError: It is no shape.
    """
    if text is None:
        return None
    if re.fullmatch(r"\(?\s*-?\d+(\s*[,x×]\s*\d+)*\s*,?\s*\)?", text, re.ASCII) is None:
        raise UsageError(f"--shape {text}: not a shape", next="For example --shape 1000,224,224,3.")
    return tuple(int(number) for number in re.findall(r"-?\d+", text))
