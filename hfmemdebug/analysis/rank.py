"""One rank of a run, judged alone, and the sentences about the ranks of a run."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from hfmemdebug.recording.file import Recording
from hfmemdebug.recording.header import Launch
from hfmemdebug.result import ArmSummary, Finding, Result
from hfmemdebug.units import format_bytes, format_count, format_seconds


@dataclass(frozen=True)
class Rank:
    """One rank's recording, judged.

    Attributes:
        launch: What its header says of it.
        result: Its own result.
        seconds: For how long it was recorded.
    """

    launch: Launch
    result: Result
    seconds: float

    @property
    def number(self) -> int:
        """The rank."""
        return self.launch.rank

    @property
    def began(self) -> float | None:
        """When it was started, in seconds of the epoch by its node's clock; None where that is not known."""
        return self.launch.began

    @property
    def ended(self) -> float | None:
        """When it ended, as `began`."""
        return None if self.began is None else self.began + self.seconds

    @property
    def arm(self) -> ArmSummary:
        """Returns what was measured of it."""
        return self.result.arms[0]

    @property
    def died(self) -> bool:
        """True where its program failed or was killed."""
        return self.arm.outcome in ("failed", "killed")


def rank_of_recording(recording: Recording, result: Result) -> Rank:
    """A rank from its recording and what that was judged to be."""
    launch = recording.header.launch
    assert launch is not None
    return Rank(launch, result, recording.end.seconds or recording.seconds)


def leaks(rank: Rank) -> list[Finding]:
    """Returns what leaks in it."""
    return [finding for finding in rank.result.findings if finding.role == "leak"]


def grown(rank: Rank) -> int:
    """Bytes by which that has grown."""
    return sum(finding.growth_bytes for finding in leaks(rank))


# What one rank holds beyond the middle one, before it is worth a line.
_FAR_ABOVE = 1.5
_NOTEWORTHY = 64 << 20
_MOST_NAMED = 8


def leak_summary(
    ordered: Sequence[Rank], guilty: Sequence[Rank], missing: Sequence[int], nodes: Mapping[int, int]
) -> str:
    """The sentence about a leak: in which ranks, how much, and what the others do."""
    worst = ordered[0]
    of = _rate_words(worst)
    detail = next((f.detail for f in worst.result.findings if f.role == "leak" and f.detail), None)
    what = f" ({detail})" if detail else ""
    world = len(ordered) + len(missing)
    rest = world - len(guilty)
    if rest == 0 and world > 1:
        rates = sorted(rank.result.rate_bytes_per_iteration or 0.0 for rank in guilty)
        return (
            f"Leak in all {world:,} ranks: {format_bytes(rates[0])} to {format_bytes(rates[-1])} per "
            f"{worst.result.iteration} are never freed in each, most in {_named(worst, nodes)}{what}."
        )
    clean = sum(rank.result.verdict == "no-leak" for rank in ordered)
    others = f"; {_keep_nothing(clean)}" if clean else ""
    if clean and clean == rest:
        others = "; the other rank keeps nothing" if clean == 1 else f"; the other {_keep_nothing(clean)}"
    if missing:
        others += f"; {_missing_words(missing)}"
    if len(guilty) == 1:
        return f"Leak in 1 of {count_of(world, 'rank')}: {_named(worst, nodes)} keeps {of}{what}{others}."
    return (
        f"Leak in {len(guilty):,} of {world:,} ranks ({numbers_in_words(r.number for r in guilty)}): "
        f"{_named(worst, nodes)} keeps most, {of}{what}{others}."
    )


def open_summary(
    ranks: Sequence[Rank],
    ordered: Sequence[Rank],
    unproved: Sequence[Rank],
    still_open: Sequence[Rank],
    missing: Sequence[int],
    nodes: Mapping[int, int],
) -> str:
    """The sentence where nothing is decided: which ranks keep nothing, and what is open."""
    clean = sum(rank.result.verdict == "no-leak" for rank in ranks)
    begin = f"Inconclusive: {_keep_nothing(clean)}, but " if clean else "Inconclusive: "
    unclear = len(unproved) + len(still_open)
    if not unclear:
        return f"{begin}{_missing_words(missing)}."
    first = next(rank for rank in ordered if rank in unproved or rank in still_open)
    more = f" (and {unclear - 1} more are open)" if unclear > 1 else ""
    if first in unproved:
        why = f"grew by {_rate_words(first)}, which may be chance in {len(ranks):,} ranks; a longer run would tell"
    else:
        why = first.result.summary.removeprefix("Inconclusive: ").rstrip(".")
    return f"{begin}{_named(first, nodes)}: {why}{more}."


def clean_summary(ranks: Sequence[Rank], nodes: Mapping[int, int]) -> str:
    """The sentence where no rank leaks."""
    places = len(set(nodes.values()))
    where = f" on {places} nodes" if places > 1 else ""
    pages = [f.growth_bytes for r in ranks for f in r.result.findings if f.cause == "mmap-file-pages"]
    mapped = (
        f"; up to {format_bytes(max(pages))} in a rank are pages of mapped files, which the kernel takes back"
        if pages
        else ""
    )
    seconds = format_seconds(max(rank.seconds for rank in ranks))
    return (
        f"No leak in any of {count_of(len(ranks), 'rank')}{where}: what cannot be taken back did not go on growing "
        f"over {seconds}{mapped}."
    )


def first_death(ranks: Sequence[Rank], nodes: Mapping[int, int]) -> str:
    """Returns who died first: launchers end all the others when one dies."""
    dead = [rank for rank in ranks if rank.died]
    if not dead:
        return ""
    # Those whose launcher ended them say so, whatever the clocks of their nodes say.
    by_itself = [r for r in dead if r.arm.exit_status != -signal.SIGTERM] or dead
    first = min(by_itself, key=lambda rank: (rank.ended or 0.0, rank.number))
    after = f" after {format_seconds(first.seconds)}"
    followed = f", and {len(dead) - 1} more ended with it" if len(dead) > 1 else ""
    detail = (first.arm.outcome_detail or first.arm.outcome).removeprefix("the program ")
    return f" {_named(first, nodes).capitalize()} was the first to die{after} ({detail}){followed}."


def advice_for(
    verdict: str, ordered: Sequence[Rank], guilty: Sequence[Rank], ranks: Sequence[Rank]
) -> tuple[str, ...]:
    """Returns what to do: about the ranks that stand out, and what the worst one's own result says."""
    lines: list[str] = []
    if verdict == "leak" and len(guilty) < len(ranks):
        who = numbers_in_words(rank.number for rank in guilty)
        lines.append(
            f"Look at what rank {who} does and the others do not: logging, checkpoints and evaluation often run in "
            "rank 0 alone."
        )
    lines += ordered[0].result.advice
    peaks = {rank.number: rank.arm.peak_unreclaimable_bytes or 0 for rank in ranks}
    middle, (number, highest) = median(peaks.values()), max(peaks.items(), key=lambda item: item[1])
    if len(ranks) > 1 and highest > _FAR_ABOVE * middle and highest - middle > _NOTEWORTHY:
        lines.append(
            f"Rank {number} had up to {format_bytes(highest)} that cannot be taken back, the middle one "
            f"{format_bytes(middle)}: it is what a node's memory runs out by first."
        )
    return tuple(dict.fromkeys(lines))


def different_versions(ranks: Sequence[Rank]) -> list[str]:
    """A line for each library of which the ranks run different versions."""
    lines = []
    names = dict.fromkeys(name for rank in ranks for name in rank.result.environment)
    for name in names:
        if not name.strip("-` ").endswith("version"):
            continue
        seen: dict[str, list[int]] = {}
        for rank in ranks:
            if name in rank.result.environment:
                seen.setdefault(rank.result.environment[name], []).append(rank.number)
        if len(seen) > 1:
            told = "; ".join(f"{version} in rank {numbers_in_words(who)}" for version, who in seen.items())
            lines.append(f"the ranks do not run the same {name}: {told}")
    return lines


def missing_lines(ranks: Sequence[Rank], missing: Sequence[int]) -> list[str]:
    """A line for the ranks that left no recording."""
    return [f"{_missing_words(missing)}"] if missing and ranks else []


def _missing_words(missing: Sequence[int]) -> str:
    return f"rank {numbers_in_words(missing)} left no recording"


def warnings_of(ranks: Sequence[Rank]) -> list[str]:
    """The ranks' own warnings, each once, with who has it."""
    who: dict[str, list[int]] = {}
    for rank in ranks:
        for warning in rank.result.warnings:
            who.setdefault(warning, []).append(rank.number)
    return [
        warning if len(numbers) == len(ranks) else f"rank {numbers_in_words(numbers)}: {warning}"
        for warning, numbers in who.items()
    ]


def _named(rank: Rank, nodes: Mapping[int, int]) -> str:
    many = len(set(nodes.values())) > 1
    return f"rank {rank.number}" + (f" (node {nodes[rank.number]})" if many else "")


def _rate_words(rank: Rank) -> str:
    return f"{format_bytes(rank.result.rate_bytes_per_iteration)} per {rank.result.iteration}"


def _keep_nothing(count: int) -> str:
    return f"{count_of(count, 'rank')} keep{'s' if count == 1 else ''} nothing"


def count_of(number: int, what: str) -> str:
    """A number with what it counts: ``1 rank``, ``1,000 ranks``."""
    return f"{format_count(number)} {what}{'' if number == 1 else 's'}"


def numbers_in_words(numbers: Iterable[int]) -> str:
    """Numbers as people write them: ``0, 2 to 5 and 9``; of many the first few."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    words = [
        str(low) if low == high else f"{low}{' to ' if high > low + 1 else ', '}{high}" for low, high in spans
    ]
    if len(words) > _MOST_NAMED:
        return f"{', '.join(words[:_MOST_NAMED])} and more"
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
