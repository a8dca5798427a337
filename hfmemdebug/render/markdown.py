"""A result as Markdown for a GitHub issue: whoever reads the paste alone can decide."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from hfmemdebug._version import __version__
from hfmemdebug.recording.file import Recording
from hfmemdebug.recording.sample import Sample
from hfmemdebug.render import words
from hfmemdebug.render.arms import arm_rows
from hfmemdebug.render.chart import fit_chart, mermaid_chart, thin
from hfmemdebug.render.escape import fence, html, prose, table, verbatim
from hfmemdebug.render.kept import mermaid_ramp
from hfmemdebug.render.limits import FIT_HEADER, LIMIT_HEADER, fit_cells, limit_cells
from hfmemdebug.render.plot import arm_name
from hfmemdebug.render.processes import Table, process_tables
from hfmemdebug.render.ranks import rank_tables
from hfmemdebug.render.text import one_line
from hfmemdebug.result import Result
from hfmemdebug.units import format_bytes, format_count

# GitHub refuses a body of more characters.
LIMIT = 65_536
_MOST_ARMS = 8
_MOST_LINES = 25
_MOST_CHARTS = 2
_MOST_ENVIRONMENT_LINES = 60
_MOST_SLICE_ROWS = 200
# Where the lines of `datasets-cli env` end and ours begin.
_FIRST_OF_OURS = "hfmemdebug version"
_OF_A_PROGRAM = {
    "datasets version": "`datasets` version",
    "Kernel": "Platform",
    "Python version": "Python version",
    "huggingface_hub version": "`huggingface_hub` version",
    "pyarrow version": "PyArrow version",
    "pandas version": "Pandas version",
    "fsspec version": "`fsspec` version",
}
_NO_ROOM = "*Left out, since GitHub takes 65,536 characters at most: {}. The recording has it all.*"


@dataclass(frozen=True)
class _Section:
    """A part of the report. Where there is too much, those of the highest `rank` are left out first."""

    title: str
    text: str
    rank: int
    heading: bool = True

    def __str__(self) -> str:
        return f"#### {self.title}\n\n{self.text}\n" if self.heading else f"{self.text}\n"


def render_markdown(result: Result, recordings: Sequence[Recording]) -> str:
    """The report: verdict, arms, findings, chart, what to do, how to reproduce it, environment, slices.

    Args:
        result: The result. Private text in it is shown as it stands: redact it before.
        recordings: The arms' recordings, for the chart and the slices; may be empty.

    Returns:
        Markdown of fewer than 65,536 characters, whatever there is to tell.
    """
    recordings = recordings[:_MOST_ARMS]
    sections = [
        section
        for section in (
            _Section("Verdict", _verdict(result), 0, heading=False),
            _Section("Memory limit", _limit(result), 1),
            _Section("The ranks", _tables(rank_tables(result)), 1),
            _Section("The runs", _arms(result), 1),
            _Section("All figures of the runs", _all_figures(result), 5, heading=False),
            _Section("The processes", _tables(process_tables(result)), 2),
            _Section("What grew", _findings(result), 2),
            _Section("What can be taken back, and what could be seen", _proof(result), 2),
            _Section("Where it is allocated", _list(words.site_lines(result)), 3),
            _Section("What keeps it alive", _list(words.holder_lines(result)), 3),
            _Section("What stays", mermaid_ramp(result, recordings) or "", 4),
            _Section("Memory over the run", _charts(recordings), 6),
            _Section("What to do next", _list(result.advice), 3),
            _Section("Warnings", _list(result.warnings), 4),
            _Section("Steps to reproduce", _commands(result), 3),
            _Section("Environment info", _environment(result), 2),
            _Section("Memory settings", _settings(result), 5, heading=False),
            _Section("Slices", _slices(recordings), 7, heading=False),
        )
        if section.text
    ]
    return _fit(sections)


def _fit(sections: list[_Section]) -> str:
    end = f"<sub>Made by hfmemdebug {__version__}</sub>\n"
    left_out: list[str] = []
    while True:
        note = [_NO_ROOM.format(", ".join(left_out)) + "\n"] if left_out else []
        text = "\n".join([*map(str, sections), *note, end])
        if len(text) < LIMIT:
            return text
        last = max(sections, key=lambda section: section.rank)
        if last.rank == 0:
            sections = [replace(last, text=last.text[: LIMIT // 2])]
        else:
            sections = [section for section in sections if section is not last]
        left_out.append(last.title.lower())


def _verdict(result: Result) -> str:
    verdict, rest = words.verdict_sentence(result)
    lines = [f"### {verdict}{_after(rest)}" if verdict else prose(rest, 1000)]
    if result.interrupted:
        lines.append("Interrupted: this is what had been measured until then.")
    origin = {"user-code": "the user's code", "library": "a library"}.get(result.origin or "")
    if result.cause:
        cause = f"Cause: {prose(words.cause_words(result.cause))} (`{one_line(result.cause, 40)}`)"
        lines.append(f"{cause}, in {origin}." if origin else f"{cause}.")
    if rates := words.rates_line(result):
        lines.append(f"{prose(rates)}.")
    return "\n\n".join(lines)


def _after(rest: str) -> str:
    """What follows the verdict; the blank before it is not foreign text's to lose."""
    return (" " if rest.startswith(" ") else "") + prose(rest, 1000)


def _arms(result: Result) -> str:
    arms = result.arms[:_MOST_ARMS]
    if not arms or result.verdict is None or result.ranks is not None:
        return ""
    parts = [_arm_table(result, thorough=False)]
    if len(result.arms) > _MOST_ARMS:
        parts.append(f"and {len(result.arms) - _MOST_ARMS} more arms.")
    if outcomes := words.outcome_lines(result):
        parts.append(_list(outcomes))
    return "\n\n".join(parts)


def _tables(tables: Iterable[Table]) -> str:
    parts = []
    for header, rows, left in tables:
        parts.append(table(list(header), rows))
        if left:
            parts.append(prose(left))
    return "\n\n".join(parts)


def _arm_table(result: Result, *, thorough: bool) -> str:
    rows = [[label, *cells[:_MOST_ARMS]] for label, cells in arm_rows(result, thorough=thorough)]
    return table(["", *(one_line(arm.name, 60) for arm in result.arms[:_MOST_ARMS])], rows)


def _all_figures(result: Result) -> str:
    """What the table of the runs leaves out, folded."""
    if result.ranks is not None or not result.arms:
        return ""
    if len(arm_rows(result, thorough=True)) == len(arm_rows(result)):
        return ""
    return _folded("All figures of the runs", _arm_table(result, thorough=True))


def _folded(summary: str, text: str) -> str:
    return f"<details><summary>{html(summary)}</summary>\n\n{text}\n\n</details>"


def _findings(result: Result) -> str:
    findings = result.findings[:_MOST_LINES]
    if not findings:
        return ""
    cells = [words.finding_cells(finding, thorough=True) for finding in findings]
    parts = [table(words.finding_header(result), cells, right=6)]
    if len(result.findings) > len(findings):
        parts.append(f"and {len(result.findings) - len(findings)} smaller ones.")
    if details := [f"{words.cause_words(f.cause)}: {f.detail}" for f in findings if f.detail]:
        parts.append(_list(list(dict.fromkeys(details))))
    return "\n\n".join(parts)


def _limit(result: Result) -> str:
    parts = [table(LIMIT_HEADER, limit_cells(result.limit))] if result.limit else []
    if result.fit:
        parts.append(table(FIT_HEADER, fit_cells(result.fit)))
        if curve := fit_chart(result.fit):
            parts.append(curve)
    return "\n\n".join(parts)


def _proof(result: Result) -> str:
    seen = [] if result.verdict is None else [words.detectable_line(result)]
    return _list([*words.reclaim_lines(result)[:_MOST_ARMS], *seen])


def _charts(recordings: Sequence[Recording]) -> str:
    """One after the other; those of further arms folded, which say the same of the same rows once more."""
    drawn = {arm_name(r): chart for r in recordings if (chart := mermaid_chart(r, arm_name(r)))}
    shown, further = list(drawn)[:_MOST_CHARTS], list(drawn)[_MOST_CHARTS:]
    parts = [drawn[name] for name in shown]
    if further:
        parts.append(_folded(", ".join(further), "\n\n".join(drawn[name] for name in further)))
    return "\n\n".join(parts)


def _commands(result: Result) -> str:
    parts = []
    if result.command_line:
        parts.append(fence(result.command_line[:2000], "sh"))
    if result.reproduce and result.reproduce != result.command_line:
        what = "The same without the data" if result.verdict else "What was run"
        parts.append(f"{what}:\n\n{fence(result.reproduce[:2000], 'sh')}")
    return "\n\n".join(parts)


def _environment(result: Result) -> str:
    """What the datasets bug template asks for, word for word as `datasets-cli env` prints it."""
    ours = list(result.environment).index(_FIRST_OF_OURS) if _FIRST_OF_OURS in result.environment else None
    lines = list(result.environment.items())[:ours][:_MOST_ENVIRONMENT_LINES]
    if not lines:
        # Another program's, which has told of its own modules: in the template's order, and with its labels.
        lines = [
            (said, result.environment[name])
            for name, said in _OF_A_PROGRAM.items()
            if name in result.environment
        ]
    return "\n".join(f"- {verbatim(label, 80)}: {verbatim(value)}" for label, value in lines)


def _settings(result: Result) -> str:
    """What matters to memory beyond that, folded."""
    if _FIRST_OF_OURS not in result.environment:
        return ""
    ours = list(result.environment).index(_FIRST_OF_OURS)
    lines = list(result.environment.items())[ours:][:_MOST_ENVIRONMENT_LINES]
    return _folded(
        "Memory settings of this machine",
        "\n".join(f"- {prose(label, 80)}: {prose(value, 200)}" for label, value in lines),
    )


def _slices(recordings: Sequence[Recording]) -> str:
    most = max(10, _MOST_SLICE_ROWS // max(1, len(recordings)))
    parts = []
    for recording in recordings:
        samples = recording.slices
        if not samples or recording.watched:
            continue
        shown = thin(samples, most)
        count = f"{format_count(len(shown))} of {format_count(len(samples))}"
        parts.append(_folded(f"{arm_name(recording)}: {count} slices", _slice_table(shown)))
    return "\n\n".join(parts)


def _slice_table(samples: Sequence[Sample]) -> str:
    header = [
        "Epoch",
        "Slice",
        "Rows",
        "RSS",
        "Anonymous",
        "File",
        "Shared",
        "Arrow",
        "malloc",
        "Python blocks",
    ]
    rows = [
        [
            f"{sample.epoch}{' (warm-up)' if sample.warmup else ''}",
            format_count(sample.slice),
            format_count(sample.rows),
            *(
                format_bytes(value)
                for value in (sample.rss, sample.anon, sample.file, sample.shmem, sample.arrow, sample.malloc)
            ),
            format_count(sample.blocks),
        ]
        for sample in samples
    ]
    return table(header, rows, right=0)


def _list(items: Sequence[str]) -> str:
    lines = [f"- {prose(item)}" for item in items[:_MOST_LINES]]
    if len(items) > _MOST_LINES:
        lines.append(f"- and {len(items) - _MOST_LINES} more")
    return "\n".join(lines)
