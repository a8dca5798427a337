"""The Typer application, and the one place where errors become lines and exit statuses."""

from __future__ import annotations

import contextlib
import errno
import importlib
import inspect
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from hfmemdebug._version import __version__
from hfmemdebug.cli.options import spread
from hfmemdebug.cli.output import Console
from hfmemdebug.errors import (
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_OUTPUT_CLOSED,
    EXIT_OWN_FAILURE,
    EXIT_UNAVAILABLE,
    DiskError,
    HfmemdebugError,
    UsageError,
)

ISSUES = "https://github.com/hfmemdebug/hfmemdebug/issues"

# Each is the function of its name in the module of its name.
COMMANDS = ("synth", "profile", "diagnose", "run", "attach", "report", "env", "limit", "fit", "help")
# All that follows the command's own name is the command's, with or without a "--" before it.
_RUNNERS = ("limit", "fit")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"hfmemdebug {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def _help(command: Callable[..., Any]) -> str:
    """A command's docstring with its paragraphs as one line each, for Typer to break where the terminal ends."""
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    return "\n\n".join(p if p.startswith("\b") else p.replace("\n", " ") for p in paragraphs)


def application(wanted: str | None) -> typer.Typer:
    """Builds the application with the command that is wanted; only with the names of all where none is.

    To build the options of the others would take longer than all that the shortest commands do.
    """
    app = typer.Typer(
        name="hfmemdebug",
        help="Is it a leak? Tells memory-mapped pages from real memory leaks in programs that use "
        "Hugging Face datasets.",
        epilog="Start with:  hfmemdebug diagnose   (builds its own data; a verdict within seconds)\n\n"
        "The guide:   hfmemdebug help",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    for name in (wanted,) if wanted in COMMANDS else COMMANDS:
        command = getattr(importlib.import_module(f"hfmemdebug.cli.{name}"), name)
        settings = {"allow_interspersed_args": False} if name in _RUNNERS else None
        called = spread(command) if name == wanted else _only_listed
        app.command(name, help=_help(command), context_settings=settings)(called)
    return app


def _only_listed() -> None:
    """Stands for a command that is named in the list of all and not called."""


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and ends the process with the status of the contract."""
    _open_standard_streams()
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        # An error's document may find as little of a reader as an answer.
        status = run(arguments)
        sys.stdout.flush()
    except OSError as error:
        status = _output_failed(error)
    sys.exit(status)


def run(arguments: list[str]) -> int:
    """Runs the command line and returns the exit status."""
    if arguments[:1] == ["run"]:
        from hfmemdebug.cli.run import split_program

        arguments = split_program(arguments)
    # What follows a "--" is the command line of another program.
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    as_json = "--json" in own
    wanted = next((argument for argument in arguments if not argument.startswith("-")), None)
    runs_another = wanted in _RUNNERS
    try:
        status = application(wanted)(args=arguments, standalone_mode=False)
    except HfmemdebugError as error:
        status = _fail(error, as_json)
        # Their other statuses belong to the command that they run.
        return EXIT_OWN_FAILURE if runs_another and status == EXIT_UNAVAILABLE else status
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except SystemExit as ended:
        # Typer ends a command whose output is not read by status 1, which means a leak here.
        if isinstance(ended.__context__, OSError):
            return _output_failed(ended.__context__)
        return ended.code if isinstance(ended.code, int) else EXIT_OK
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT) and as_json:
            full = DiskError(f"the output could not be written: {error.strerror}", next="Make room for it.")
            with contextlib.suppress(OSError):
                Console(as_json=True).document(full.to_dict())
        if error.errno in (errno.EPIPE, errno.ENOSPC, errno.EDQUOT):
            return _output_failed(error)
        return _crash(error, as_json, EXIT_OWN_FAILURE if runs_another else EXIT_INTERNAL)
    except Exception as error:
        usage = _usage_error(error)
        if usage is not None:
            return _fail(usage, as_json)
        return _crash(error, as_json, EXIT_OWN_FAILURE if runs_another else EXIT_INTERNAL)
    return status if isinstance(status, int) else EXIT_OK


def _open_standard_streams() -> None:
    """Puts /dev/null where a standard stream was closed, so that no file of ours takes its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            # Open for as long as the process lives.
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, PTH123


def _output_failed(error: OSError) -> int:
    """The status where our output could not be written: its reader went away, or the disk is full."""
    # What is still buffered would fail once more as the interpreter ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if error.errno == errno.EPIPE:
        return EXIT_OUTPUT_CLOSED
    print(f"hfmemdebug: the output could not be written: {error.strerror}", file=sys.stderr)
    return EXIT_UNAVAILABLE


def _usage_error(error: Exception) -> UsageError | None:
    """The parser's own complaint as one line.

    Typer carries a copy of Click in some versions and imports it in others, so that its exceptions are
    known by what they can do, not by their class.
    """
    format_message = getattr(error, "format_message", None)
    if format_message is None or not isinstance(getattr(error, "exit_code", None), int):
        return None
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "hfmemdebug"
    message = format_message() or "a command is missing"
    return UsageError(message, next=f"See `{command} --help`.")


def _fail(error: HfmemdebugError, as_json: bool) -> int:
    from hfmemdebug.render.redact import Redactor

    redact = Redactor.of_this_machine()
    if as_json:
        Console(as_json=True).document(redact.document(error.to_dict()))
    print(f"hfmemdebug: {redact(error.line())}", file=sys.stderr)
    return error.exit_status


def _crash(error: Exception, as_json: bool, status: int) -> int:
    import traceback

    from hfmemdebug.render.redact import Redactor

    redact = Redactor.of_this_machine()
    print(redact("".join(traceback.format_exception(error))), end="", file=sys.stderr)
    print(
        f"hfmemdebug: this is our own error, not yours. Please report it with the lines above: {ISSUES}",
        file=sys.stderr,
    )
    if as_json:
        document: dict[str, Any] = HfmemdebugError(
            redact(f"{type(error).__name__}: {error}"), next=f"Report it: {ISSUES}"
        ).to_dict()
        Console(as_json=True).document(document)
    return status
