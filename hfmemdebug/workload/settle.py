"""Settles between epochs: what could be given back is, step by step, and a reading follows each step.

What a step gives back is the classification: cyclic garbage, an Arrow pool's retention, malloc's
retention, mapped pages. Done in our own arms alone, never in a program that we were given.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

from hfmemdebug.inject._hfmemdebug_common import collector_runs
from hfmemdebug.probes.maps import mappings_of, read_mappings
from hfmemdebug.probes.pages import MADV_DONTNEED, advise
from hfmemdebug.probes.process import ProcessProbe


def settle(
    probe: ProcessProbe,
    files: frozenset[str],
    emit: Callable[[str, dict[str, Any]], None],
    *,
    drop: bool = True,
) -> None:
    """Runs the steps in their order: ``before``, ``collect``, ``release_pools``, ``trim``, ``drop_pages``.

    A collector that the program has turned off stays off: the garbage that piles up then is its own.

    Args:
        probe: Reads this process.
        files: Paths of the dataset's mapped files.
        emit: Takes the name of a step and the reading after it.
        drop: Drop the pages of those files.
    """
    emit("before", probe.read_settled(files))
    if collector_runs():
        gc.collect()
        emit("collect", probe.read())
    if probe.arrow is not None:
        probe.arrow.release_unused()
        emit("release_pools", probe.read())
    probe.trim()
    emit("trim", probe.read_settled(files))
    if files and drop:
        advise(mappings_of(read_mappings(), files), MADV_DONTNEED)
        emit("drop_pages", probe.read())


def settle_once(probe: ProcessProbe, files: frozenset[str] = frozenset()) -> None:
    """Settles before the first slice: what loading left behind is not the loop's.

    Twice, so that what settling itself sets up on its first time is not the first epoch's either.
    """
    for _ in range(2):
        settle(probe, files, lambda step, values: None)
