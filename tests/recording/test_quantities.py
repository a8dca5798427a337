from __future__ import annotations

from dataclasses import fields

from hfmemdebug.recording.quantities import QUANTITIES, SHOWN
from hfmemdebug.recording.sample import ArmSample, ProcessSample, TreeSample

# When, which process, and how far the work was: no quantities.
PLACES = {
    "kind", "epoch", "slice", "seconds", "step", "warmup", "start_row", "rows", "pid", "ppid", "role", "forked",
    "ending", "processes",
}  # fmt: skip


def test_each_counter_of_a_sample_is_a_quantity_and_each_quantity_is_sampled() -> None:
    sampled = {field.name for kind in (ArmSample, ProcessSample, TreeSample) for field in fields(kind)}
    assert sampled - PLACES == QUANTITIES.keys()


def test_what_is_shown_has_a_label() -> None:
    assert all(QUANTITIES[name].label for name in SHOWN)
