"""The facts of a verdict, of whatever kind of run, before words are made of them; and the result document with both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hfmemdebug.leak import Holder, Site
from hfmemdebug.recording.header import Header
from hfmemdebug.result import ArmSummary, Finding, Result


@dataclass(frozen=True)
class Judgement:
    """The facts of a verdict.

    Attributes:
        verdict: ``"no-leak"``, ``"leak"`` or ``"inconclusive"``.
        iteration: What rates refer to.
        leaks: What leaks, the first of them gives the result its cause.
        benign: What grew and is no leak.
        cause: What explains the growth where nothing leaks.
        origin: Whose leak it is.
        rate: What leaks per iteration, in bytes.
        rows_per_iteration: None where an iteration is of no rows.
        iterations_per_second: None where that is not known.
        smallest: The largest leak that may have been missed, in bytes per iteration.
        sites: The lines that made what leaks.
        holders: What holds it.
        question: What is open, in words.
        died: Why the run did not end by itself, in words; None where it did.
    """

    verdict: str
    iteration: str
    leaks: tuple[Finding, ...] = ()
    benign: tuple[Finding, ...] = ()
    cause: str | None = None
    origin: str | None = None
    rate: float = 0.0
    rows_per_iteration: float | None = None
    iterations_per_second: float | None = None
    smallest: float | None = None
    sites: tuple[Site, ...] = ()
    holders: tuple[Holder, ...] = ()
    question: str | None = None
    died: str | None = None

    @property
    def main_cause(self) -> str | None:
        """The cause of the leak, or else what explains the growth."""
        return self.leaks[0].cause if self.leaks else self.cause

    def to_result(
        self,
        header: Header,
        arms: Sequence[ArmSummary],
        summary: str,
        advice: Sequence[str],
        warnings: Sequence[str],
    ) -> Result:
        """Makes the result document.

        Args:
            header: Of the run's first recording.
            arms: What was measured.
            summary: The verdict in a sentence.
            advice: What to do next.
            warnings: What is to be known.
        """
        told = self.verdict != "inconclusive" or bool(self.leaks)
        rows, pace = self.rows_per_iteration, self.iterations_per_second
        return Result(
            command=header.command,
            summary=summary,
            verdict=self.verdict,
            cause=self.main_cause if told else None,
            origin=self.origin,
            iteration=self.iteration,
            rate_bytes_per_iteration=round(self.rate, 1) if told else None,
            rate_bytes_per_row=round(self.rate / rows, 3) if told and rows else None,
            rate_bytes_per_second=round(self.rate * pace, 1) if told and pace else None,
            smallest_detectable_bytes_per_iteration=self.smallest,
            findings=tuple(
                sorted((*self.leaks, *self.benign), key=lambda f: (f.role != "leak", -f.growth_bytes))
            ),
            sites=self.sites,
            holders=self.holders,
            arms=tuple(arms),
            advice=tuple(advice),
            environment=header.environment,
            warnings=tuple(warnings),
            command_line=header.command_line,
            reproduce=header.reproduce,
        )
