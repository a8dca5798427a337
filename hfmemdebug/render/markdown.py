"""A result as Markdown for a GitHub issue: enough to decide by the paste alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hfmemdebug._version import __version__
from hfmemdebug.recording.file import Recording
from hfmemdebug.recording.sample import ArmSample
from hfmemdebug.render import words
from hfmemdebug.render.chart import arm_name, fit_chart, mermaid_chart, thin
from hfmemdebug.render.retained_chart import mermaid_ramp
from hfmemdebug.render.sections import Extent, Section, heading_lines, sections
from hfmemdebug.render.tables import arm_table
from hfmemdebug.render.text import fence, html, prose, table
from hfmemdebug.result import Result
from hfmemdebug.units import format_bytes, format_count

# GitHub refuses a body of more characters.
LIMIT = 65_536
_SHOWN = Extent(arms=8, findings=25, lines=25)
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
# In the order in which they stand; where there is too much, those of the highest number are left out first.
_RANKS = {
    "verdict": 0,
    "limit": 1,
    "fit": 1,
    "ranks": 1,
    "runs": 1,
    "all figures": 5,
    "processes": 2,
    "findings": 2,
    "detection": 2,
    "sites": 3,
    "holders": 3,
    "retained": 4,
    "charts": 6,
    "advice": 3,
    "warnings": 4,
    "commands": 3,
    "environment": 2,
    "settings": 5,
    "slices": 7,
}


@dataclass(frozen=True)
class _Part:
    title: str
    text: str
    rank: int


def render_markdown(result: Result, recordings: Sequence[Recording]) -> str:
    """Returns the report: verdict, runs, findings, charts, what to do, how to reproduce it, environment, slices.

    Args:
        result: The result. Private text in it is shown as it stands: redact it before.
        recordings: The arms' recordings, for the chart and the slices; may be empty.

    Returns:
        Markdown of fewer than 65,536 characters, whatever there is to tell.
    """
    recordings = recordings[: _SHOWN.arms]
    found = sections(result, replace(_SHOWN, thorough=True))
    if "runs" in found:
        # The runs as on the screen; the other figures are folded.
        found["runs"] = sections(result, _SHOWN)["runs"]
    texts = {key: (section.title, _section(section)) for key, section in found.items()}
    if result.fit and (curve := fit_chart(result.fit)):
        texts["fit"] = (texts["fit"][0], f"{texts['fit'][1]}\n\n{curve}")
    texts |= {
        "verdict": ("", _verdict(result)),
        "all figures": ("", _all_figures(result)),
        "retained": ("Retained", mermaid_ramp(result, recordings) or ""),
        "charts": ("Memory over the run", _charts(recordings)),
        "environment": ("Environment info", _environment(result)),
        "settings": ("", _settings(result)),
        "slices": ("", _slices(recordings)),
    }
    parts = []
    for key, rank in _RANKS.items():
        title, text = texts.get(key, ("", ""))
        if text:
            body = f"#### {title}\n\n{text}\n" if title else f"{text}\n"
            parts.append(_Part(title or f"the {key}", body, rank))
    return _fit(parts)


def _fit(parts: list[_Part]) -> str:
    end = f"<sub>Made by hfmemdebug {__version__}</sub>\n"
    left_out: list[str] = []
    while True:
        note = [_NO_ROOM.format(", ".join(left_out)) + "\n"] if left_out else []
        text = "\n".join([*(part.text for part in parts), *note, end])
        if len(text) < LIMIT:
            return text
        last = max(parts, key=lambda part: part.rank)
        if last.rank == 0:
            parts = [replace(last, text=last.text[: LIMIT // 2])]
        else:
            parts = [part for part in parts if part is not last]
        left_out.append(last.title.lower())


def _section(section: Section) -> str:
    parts = []
    for each in section.tables:
        parts.append(table(each.header, each.rows, each.text))
        if each.left_out:
            parts.append(prose(each.left_out))
    if section.lines:
        parts.append("\n".join(f"- {prose(line)}" for line in section.lines))
    for introduced_by, command in section.commands:
        block = fence(command[:2000], "sh")
        parts.append(f"{introduced_by}:\n\n{block}" if introduced_by else block)
    return "\n\n".join(parts)


def _verdict(result: Result) -> str:
    verdict, rest = words.verdict_sentence(result)
    # The blank before it is not foreign text's to lose.
    after = (" " if rest.startswith(" ") else "") + prose(rest, 1000)
    heading = f"### {verdict}{after}" if verdict else prose(rest, 1000)
    return "\n\n".join([heading, *map(prose, heading_lines(result))])


def _all_figures(result: Result) -> str:
    """Returns the rows that the table of the runs leaves out, folded."""
    if result.ranks is not None or not result.arms:
        return ""
    all_rows = arm_table(result, _SHOWN.arms, thorough=True)
    if len(all_rows.rows) == len(arm_table(result, _SHOWN.arms).rows):
        return ""
    return _folded("All figures of the runs", table(all_rows.header, all_rows.rows))


def _folded(summary: str, text: str) -> str:
    return f"<details><summary>{html(summary)}</summary>\n\n{text}\n\n</details>"


def _charts(recordings: Sequence[Recording]) -> str:
    """Returns one after the other; those of further arms folded, which say the same of the same rows once more."""
    drawn = {arm_name(r): chart for r in recordings if (chart := mermaid_chart(r, arm_name(r)))}
    shown, further = list(drawn)[:_MOST_CHARTS], list(drawn)[_MOST_CHARTS:]
    parts = [drawn[name] for name in shown]
    if further:
        parts.append(_folded(", ".join(further), "\n\n".join(drawn[name] for name in further)))
    return "\n\n".join(parts)


def _environment(result: Result) -> str:
    """Returns the lines that the datasets bug template asks for, word for word as `datasets-cli env` prints them."""
    lines, _ = _environment_lines(result)
    if not lines:
        # Another program's, which has told of its own modules: in the template's order, and with its labels.
        told = result.environment
        lines = [(said, told[name]) for name, said in _OF_A_PROGRAM.items() if name in told]
    return "\n".join(f"- {html(label, 80)}: {html(value)}" for label, value in lines)


def _settings(result: Result) -> str:
    """Returns settings of the machine that matter to memory beyond that, folded."""
    _, lines = _environment_lines(result)
    text = "\n".join(f"- {prose(label, 80)}: {prose(value, 200)}" for label, value in lines)
    return _folded("Memory settings of this machine", text) if lines else ""


def _environment_lines(result: Result) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Splits the environment into the lines of `datasets-cli env` and ours."""
    names = list(result.environment)
    ours = names.index(_FIRST_OF_OURS) if _FIRST_OF_OURS in names else len(names)
    lines = list(result.environment.items())
    return lines[:ours][:_MOST_ENVIRONMENT_LINES], lines[ours:][:_MOST_ENVIRONMENT_LINES]


def _slices(recordings: Sequence[Recording]) -> str:
    most = max(10, _MOST_SLICE_ROWS // max(1, len(recordings)))
    parts = []
    for recording in recordings:
        samples = recording.slices
        if not samples:
            continue
        shown = thin(samples, most)
        count = f"{format_count(len(shown))} of {format_count(len(samples))}"
        parts.append(_folded(f"{arm_name(recording)}: {count} slices", _slice_table(shown)))
    return "\n\n".join(parts)


def _slice_table(samples: Sequence[ArmSample]) -> str:
    header = ["Epoch", "Slice", "Rows", "RSS", "Anonymous", "File", "Shared", "Arrow", "malloc"]
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
    return table([*header, "Python blocks"], rows, ())
