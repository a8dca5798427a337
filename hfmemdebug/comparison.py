"""Two runs side by side: all that passes from comparing to showing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

SCHEMA = "hfmemdebug.comparison.v1"


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
        """Whether the change can be told from the noise; None where the noise is not known."""
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
        return {"schema": SCHEMA, **asdict(self), "arms": arms}
