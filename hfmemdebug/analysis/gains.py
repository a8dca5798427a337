"""What each process of a watched program has gained of a counter: what forks have inherited is their parents'."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from hfmemdebug.analysis.series import value
from hfmemdebug.analysis.ticks import Tick
from hfmemdebug.recording.sample import Sample

_COUNTERS = ("anon_swap", "shmem", "blocks", "malloc", "arrow", "reserved", "mapped")

# By process and counter.
Bases = dict[int, dict[str, float]]


def read_bases(ticks: Sequence[Tick]) -> Bases:
    """What each fork had of each counter when that was first read."""
    bases: Bases = {}
    # Between fork and exec every process is a copy: what it came to be counts.
    copies = {p.pid: p.forked for tick in ticks for p in tick.processes}
    for tick in ticks:
        for process in tick.processes:
            if process.pid is None or not copies[process.pid]:
                continue
            base = bases.setdefault(process.pid, {})
            for name in _COUNTERS:
                if name not in base and (found := value(process, name)) is not None:
                    base[name] = found
    return bases


def gain(sample: Sample, bases: Bases, name: str) -> float | None:
    """What a process has gained since it was first seen, or since it began where it is no copy."""
    now = value(sample, name)
    return None if now is None else now - bases.get(sample.pid or 0, {}).get(name, 0.0)


@dataclass(frozen=True)
class Gains:
    """The gains of one counter.

    Attributes:
        looks: At each look the gain of each process of which the counter was known, by PID.
    """

    looks: tuple[dict[int, float], ...]

    def total(self) -> list[float | None]:
        """Over all processes; None where the counter was known of none."""
        return [sum(look.values()) if look else None for look in self.looks]

    def of(self, pid: int) -> list[float | None]:
        """Of one process; None where it was not known."""
        return [look.get(pid) for look in self.looks]

    def without(self, pids: Collection[int | None]) -> Gains:
        """Those of the other processes."""
        return Gains(tuple({pid: g for pid, g in look.items() if pid not in pids} for look in self.looks))


def read_gains(ticks: Sequence[Tick], bases: Bases, name: str, weight: float = 1.0) -> Gains:
    """The gains of one counter at each look.

    What a fork gives back of what it has inherited is in use all the same: its parent has it.

    Args:
        ticks: The looks.
        bases: What forks have inherited.
        name: The counter.
        weight: By which it is multiplied.
    """
    looks: list[dict[int, float]] = []
    freed: dict[int, float] = {}
    for tick in ticks:
        look: dict[int, float] = {}
        for process in tick.processes:
            gained = gain(process, bases, name)
            if process.pid is None or gained is None:
                continue
            if process.pid in bases:
                freed[process.pid] = min(gained, freed.get(process.pid, 0.0))
            look[process.pid] = weight * (gained - freed.get(process.pid, 0.0))
        looks.append(look)
    return Gains(tuple(looks))


def read_owned(ticks: Sequence[Tick], bases: Bases, name: str, weight: float) -> Gains:
    """The same of an owner of memory, in bytes: Python's objects are counted by their blocks.

    Args:
        ticks: The looks.
        bases: What forks have inherited.
        name: ``python``, or a counter.
        weight: Bytes of a block.
    """
    return read_gains(ticks, bases, "blocks", weight) if name == "python" else read_gains(ticks, bases, name)
