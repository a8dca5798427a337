"""What one reading of a process tree says, as a result: no verdict, since one reading shows no growth."""

from __future__ import annotations

from typing import Any

from hfmemdebug.result import ArmSummary, Result, without_verdict
from hfmemdebug.supervise.tree import TreeReading
from hfmemdebug.units import format_bytes


def answer(
    tree: TreeReading,
    *,
    command_line: str | None = None,
    environment: dict[str, str] | None = None,
    reclaimed: dict[str, Any] | None = None,
) -> Result:
    """The result of `attach --once`.

    Args:
        tree: What was read.
        command_line: As it was typed.
        environment: Of this machine.
        reclaimed: What `reclaim` reported, or None.
    """
    arms: tuple[ArmSummary, ...] = ()
    if reclaimed is not None:
        arms = (
            ArmSummary(
                name="program",
                mode="program",
                consumer=False,
                iterations=0,
                rows=0,
                outcome="completed",
                reclaim=reclaimed,
            ),
        )
    return without_verdict(
        "attach",
        summary(tree),
        arms=arms,
        advice=advice(tree),
        environment=environment or {},
        warnings=tree.notes,
        command_line=command_line,
        **tree.to_dict(),
    )


def summary(tree: TreeReading) -> str:
    """One sentence: how much, how much of it can be taken back, and what holds it."""
    first = tree.processes[0]
    children = len(tree.processes) - 1
    who = f"Process {tree.root}"
    if children:
        who += f" and its {children} child process{'es' if children > 1 else ''}"
    verb = "have" if children else "has"
    files = [file for file in tree.files if not file.memory_backed]
    data = sum(file.pss_bytes or 0 for file in files)
    of_files = ""
    if data >= 1 << 20:
        count = f"{len(files)} data files" if len(files) > 1 else "a data file"
        of_files = f" ({format_bytes(data)} of it are mapped pages of {count})"
    kind = "in memory" if first.memory is not None else "in memory, shared pages counted in each"
    return (
        f"{who} {verb} {format_bytes(tree.pss)} {kind}: {format_bytes(tree.reclaimable)} can be taken back by the "
        f"kernel when memory is short{of_files}, {format_bytes(tree.unreclaimable)} cannot."
    )


def advice(tree: TreeReading) -> tuple[str, ...]:
    """What the reading alone suggests."""
    lines = []
    if any(file.memory_backed and file.resident_bytes >= 1 << 20 for file in tree.files):
        lines.append(
            "Data files on tmpfs are memory: move them to a disk, where their pages can be taken back."
        )
    lines.append("To see whether it grows, watch it: leave out --once, or give --duration SECONDS.")
    return tuple(lines)
