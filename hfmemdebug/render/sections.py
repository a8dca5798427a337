"""The sections of a report as plain data, assembled once; every format picks its own and lays them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hfmemdebug.render import words
from hfmemdebug.render.tables import (
    Table,
    arm_table,
    finding_table,
    fit_table,
    limit_table,
    process_tables,
    rank_tables,
)
from hfmemdebug.result import Result

INTERRUPTED = "Interrupted: this is what had been measured until then."
_ORIGIN_WORDS = {"user-code": ", in the user's code", "library": ", in a library"}


@dataclass(frozen=True)
class Extent:
    """How much a format shows.

    Attributes:
        arms: Runs at most.
        lines: Lines of a list at most.
        findings: Findings at most.
        thorough: Also what says nothing out of the ordinary.
    """

    arms: int
    lines: int = 1000
    findings: int = 1000
    thorough: bool = False


@dataclass(frozen=True)
class Section:
    """A part of a report.

    Attributes:
        title: Its heading.
        tables: Tables.
        lines: A list of sentences, which follows the tables.
        commands: Commands to paste into a shell, each with the words that introduce it, or none.
    """

    title: str
    tables: Sequence[Table] = ()
    lines: Sequence[str] = ()
    commands: Sequence[tuple[str, str]] = ()

    def __bool__(self) -> bool:
        return bool(self.tables or self.lines or self.commands)


def heading_lines(result: Result) -> list[str]:
    """Returns what stands below the verdict: whether it was interrupted, the cause, the rates."""
    lines = [INTERRUPTED] if result.interrupted else []
    if result.cause:
        origin = _ORIGIN_WORDS.get(result.origin or "", "")
        lines.append(f"Cause: {words.cause_words(result.cause)} (`{result.cause[:40]}`){origin}.")
    if rates := words.rates_line(result):
        lines.append(f"{rates}.")
    return lines


def sections(result: Result, extent: Extent) -> dict[str, Section]:
    """Returns the sections that there is something in, by key.

    Args:
        result: The result. Private text in it is shown as it stands: redact it before.
        extent: How much of it is shown.
    """
    found = {
        "limit": Section("Memory limit", [limit_table(result.limit)] if result.limit else []),
        "fit": Section("The runs under each limit", [fit_table(result.fit)] if result.fit else []),
        "ranks": Section("The ranks", rank_tables(result)),
        "runs": _runs(result, extent),
        "processes": Section("The processes", process_tables(result)),
        "findings": _findings(result, extent),
        "detection": _detection(result, extent),
        "sites": Section("Allocated at", lines=_first(words.site_lines(result), extent)),
        "holders": Section("Kept by", lines=_first(words.holder_lines(result), extent)),
        "advice": Section("What to do next", lines=_first(result.advice, extent)),
        "warnings": Section("Warnings", lines=_first(result.warnings, extent)),
        "commands": Section("Steps to reproduce", commands=_commands(result)),
    }
    return {key: section for key, section in found.items() if section}


def _first(lines: Sequence[str], extent: Extent) -> list[str]:
    left = len(lines) - extent.lines
    return [*lines[: extent.lines], *([f"and {left} more"] if left > 0 else [])]


def _runs(result: Result, extent: Extent) -> Section:
    if not result.arms or result.verdict is None or result.ranks is not None:
        return Section("The runs")
    table = arm_table(result, extent.arms, thorough=extent.thorough)
    return Section("The runs", [table], _first(words.outcome_lines(result), extent))


def _findings(result: Result, extent: Extent) -> Section:
    if not result.findings:
        return Section("What grew")
    table = finding_table(result, extent.findings, thorough=extent.thorough)
    details = dict.fromkeys(words.detail_lines(result, thorough=extent.thorough))
    return Section("What grew", [table], _first(list(details), extent))


def _detection(result: Result, extent: Extent) -> Section:
    lines = words.reclaim_lines(result)[: extent.arms]
    if result.verdict is not None:
        # One reading shows no growth, and so has no size that it could have missed.
        lines = [*lines, words.detectable_line(result)]
    return Section("Reclaim test and detection limit", lines=lines)


def _commands(result: Result) -> list[tuple[str, str]]:
    commands = [("", result.command_line)] if result.command_line else []
    if result.reproduce and result.reproduce != result.command_line:
        commands.append(("The same without the data" if result.verdict else "What was run", result.reproduce))
    return commands
