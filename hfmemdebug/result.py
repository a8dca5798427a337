"""The result document, and two results compared: all that passes from judging to showing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from hfmemdebug.decode import decode
from hfmemdebug.leak import Holder, Site

SCHEMA = "hfmemdebug.result.v1"
COMPARISON_SCHEMA = "hfmemdebug.comparison.v1"
_OF_PROCESSES = (
    "processes",
    "shared_memory",
    "total_pss_bytes",
    "total_reclaimable_bytes",
    "total_unreclaimable_bytes",
)
_OF_RANKS = ("ranks", "nodes")


@dataclass(frozen=True)
class Finding:
    """One owner of growth.

    Attributes:
        cause: One of the contract's causes.
        role: ``"leak"`` or ``"benign"``.
        growth_bytes: Growth over the judged part of the run.
        rate_bytes_per_iteration: Settled growth an iteration; None where it has no meaning.
        interval: Lower and upper bound of the rate in bytes per iteration, or None.
        shape: ``"growing"``, ``"step"``, ``"plateau"``, ``"stable"`` or ``"inconclusive"``.
        reclaimable: Whether the kernel or the allocator can take it back; None where that is not known.
        detail: One sentence for people that says what it is, or None.
        arm: The name of the arm that showed it, or None.
    """

    cause: str
    role: str
    growth_bytes: int
    rate_bytes_per_iteration: float | None = None
    interval: tuple[float, float] | None = None
    shape: str = "stable"
    reclaimable: bool | None = None
    detail: str | None = None
    arm: str | None = None


@dataclass(frozen=True)
class ArmSummary:
    """One measured run.

    Attributes:
        name: ``memory-mapped``, ``in-memory``, ``memory-mapped + consumer``, …
        mode: ``"mmap"``, ``"in-memory"``, ``"streaming"`` or ``"program"``.
        consumer: Whether the user's consumer ran.
        iterations: Slices that were read, all epochs counted, warm-up included.
        rows: Rows that were read.
        outcome: ``"completed"``, ``"failed"``, ``"killed"`` or ``"interrupted"``.
        peak_rss_bytes: Highest RSS, or None.
        peak_unreclaimable_bytes: Highest anonymous + swap + shared memory, or None.
        recording: Path of the recording, or None.
        outcome_detail: For an arm that did not complete: where and of what it died.
        rows_total: Rows in the dataset, or None for a stream.
        epochs: Epochs that were read.
        slices_per_epoch: Slices in an epoch.
        step: Rows in a slice.
        warmup: Slices at the start of the first epoch that are shown but not judged.
        seconds: Wall time of the arm.
        growth: Bytes by component (``rss``, ``anon``, ``file``, ``shmem``, ``swap``, ``arrow``, ``malloc``,
            ``python``) from the end of the warm-up to the end of the run; None where it could not be read.
            The order is the order in which they are shown.
        settled: What each step of settling gave back, in bytes of RSS, over the run: ``collect``,
            ``release_pools``, ``trim``, ``drop_pages``.
        reclaim: The proof by taking back, or None: ``{asked_bytes, rss_before, rss_after, freed_bytes,
            same_data: bool or None, how, why_not: str or None}``.
        loaded: The `LoadReport` as a dictionary, or None.
        breakdown: Bytes by owner, from the settled start to the end of the last epoch, that add up to the growth of
            RSS and swap (see `hfmemdebug.analysis.breakdown`); empty where it could not be made out.
        explained_share: Share of that growth whose owner is known, or None.
        observer_share: Time spent measuring as a share of the arm's wall time in the loop, or None.
        exit_status: Of a program that was run: its status as Python gives it (minus the signal), or None.
    """

    name: str
    mode: str
    consumer: bool
    iterations: int
    rows: int
    outcome: str
    peak_rss_bytes: int | None = None
    peak_unreclaimable_bytes: int | None = None
    recording: str | None = None
    outcome_detail: str | None = None
    rows_total: int | None = None
    epochs: int = 1
    slices_per_epoch: int = 0
    step: int = 0
    warmup: int = 0
    seconds: float | None = None
    growth: dict[str, int | None] = field(default_factory=dict)
    settled: dict[str, int | None] = field(default_factory=dict)
    reclaim: dict[str, Any] | None = None
    loaded: dict[str, Any] | None = None
    breakdown: dict[str, int] = field(default_factory=dict)
    explained_share: float | None = None
    observer_share: float | None = None
    exit_status: int | None = None


@dataclass(frozen=True)
class Result:
    """The outcome of a command. The fields are those of the contract, and `to_dict` is the document.

    The verdict is None where a command has none. `limit` and `fit` have fields of their own; `processes` and
    what follows it are those of `attach` and `run`: an entry for each process, shared memory by who holds it
    open, and sums over the tree, by PSS. `ranks` and `nodes` are there where the recordings of several ranks were
    merged: an entry for each, outliers first.

    Sites and holders have the facts that decisions read beside the contract's fields (see `hfmemdebug.leak`).
    """

    command: str
    summary: str
    verdict: str | None
    cause: str | None
    origin: str | None
    iteration: str
    rate_bytes_per_iteration: float | None
    rate_bytes_per_row: float | None
    rate_bytes_per_second: float | None
    smallest_detectable_bytes_per_iteration: float | None
    findings: tuple[Finding, ...] = ()
    sites: tuple[Site, ...] = ()
    holders: tuple[Holder, ...] = ()
    arms: tuple[ArmSummary, ...] = ()
    advice: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    command_line: str | None = None
    reproduce: str | None = None
    interrupted: bool = False
    limit: dict[str, Any] | None = None
    fit: dict[str, Any] | None = None
    processes: tuple[dict[str, Any], ...] | None = None
    shared_memory: tuple[dict[str, Any], ...] | None = None
    total_pss_bytes: int | None = None
    total_reclaimable_bytes: int | None = None
    total_unreclaimable_bytes: int | None = None
    ranks: tuple[dict[str, Any], ...] | None = None
    nodes: tuple[dict[str, Any], ...] | None = None

    # How it shows itself is render's to know: `hfmemdebug.render.notebook`, which the public names import.
    to_markdown: ClassVar[Callable[[Result], str]]
    _repr_html_: ClassVar[Callable[[Result], str]]

    def to_dict(self) -> dict[str, Any]:
        """The result document, ready for `json.dumps`; what is about processes and ranks only where there are any."""
        document = {"schema": SCHEMA, **asdict(self)}
        document["holders"] = [holder.to_dict() for holder in self.holders]
        if self.processes is None:
            for name in _OF_PROCESSES:
                del document[name]
        if self.ranks is None:
            for name in _OF_RANKS:
                del document[name]
        return document

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Result:
        """Reads what `to_dict` wrote; fields that this version does not know are left out.

        Raises:
            ValueError: The document is not a result of this schema.
        """
        if document.get("schema") != SCHEMA:
            raise ValueError(f"not a result document: its schema is {document.get('schema')!r}")
        known = {name: document[name] for name in cls.__dataclass_fields__ if name in document}
        known["findings"] = tuple(
            Finding(**{**f, "interval": tuple(f["interval"]) if f.get("interval") else None})
            for f in document.get("findings", ())
        )
        known["arms"] = tuple(ArmSummary(**arm) for arm in document.get("arms", ()))
        known["sites"] = tuple(decode(Site, site) for site in document.get("sites", ()))
        known["holders"] = tuple(decode(Holder, holder) for holder in document.get("holders", ()))
        for name in ("advice", "warnings"):
            known[name] = tuple(document.get(name, ()))
        for name in ("processes", "shared_memory", *_OF_RANKS):
            known[name] = tuple(document[name]) if document.get(name) is not None else None
        return cls(**known)


def without_verdict(command: str, summary: str, **fields: Any) -> Result:
    """The result of a command that answers another question than whether something leaks."""
    return Result(
        command=command,
        summary=summary,
        verdict=None,
        cause=None,
        origin=None,
        iteration="second",
        rate_bytes_per_iteration=None,
        rate_bytes_per_row=None,
        rate_bytes_per_second=None,
        smallest_detectable_bytes_per_iteration=None,
        **fields,
    )


@dataclass(frozen=True)
class Difference:
    """One figure of an arm in both runs, in bytes.

    Attributes:
        figure: ``stays_per_iteration``, ``rss_growth``, ``file_growth``, ``anon_growth``, ``peak_rss``,
            ``peak_unreclaimable``.
        before: In the first run, or None.
        after: In the second one, or None.
        uncertainty: Half the width of the interval of `after` - `before`; None where a figure was read once.
    """

    figure: str
    before: float | None
    after: float | None
    uncertainty: float | None = None

    @property
    def change(self) -> float | None:
        """`after` - `before`."""
        return None if self.before is None or self.after is None else self.after - self.before

    @property
    def told(self) -> bool | None:
        """True where the change can be told from the noise; None where the noise is not known."""
        if self.change is None or self.uncertainty is None:
            return None
        return abs(self.change) > self.uncertainty


@dataclass(frozen=True)
class Comparison:
    """Two runs.

    Attributes:
        before: The first one's verdict in a sentence.
        after: The second one's.
        iteration: What rates refer to.
        arms: For each arm that both have, its figures.
    """

    before: str
    after: str
    iteration: str
    arms: dict[str, tuple[Difference, ...]]

    def to_dict(self) -> dict[str, Any]:
        """The document of `--json`."""
        arms = {
            name: [{**asdict(d), "change": d.change, "told": d.told} for d in figures]
            for name, figures in self.arms.items()
        }
        return {"schema": COMPARISON_SCHEMA, **asdict(self), "arms": arms}
