"""One rank of a run: its recording, judged alone."""

from __future__ import annotations

from dataclasses import dataclass

from hfmemdebug.recording.file import Recording
from hfmemdebug.recording.header import Launch
from hfmemdebug.result import ArmSummary, Finding, Result


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
        """What was measured of it."""
        return self.result.arms[0]

    @property
    def died(self) -> bool:
        """Whether its program failed or was killed."""
        return self.arm.outcome in ("failed", "killed")


def rank_from(recording: Recording, result: Result) -> Rank:
    """A rank from its recording and what that was judged to be."""
    launch = recording.header.launch
    assert launch is not None
    last = recording.samples[-1].seconds if recording.samples else 0.0
    return Rank(launch, result, recording.end.seconds or last)


def leaks(rank: Rank) -> list[Finding]:
    """What leaks in it."""
    return [finding for finding in rank.result.findings if finding.role == "leak"]


def grown(rank: Rank) -> int:
    """Bytes by which that has grown."""
    return sum(finding.growth_bytes for finding in leaks(rank))
