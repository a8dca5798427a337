"""Which counter the tracing pass follows, on recordings that are scripted."""

from __future__ import annotations

from collections.abc import Callable

from analysis.test_verdict import leak, record

from hfmemdebug.analysis.confirm import counter_to_trace
from hfmemdebug.analysis.verdict import assess_all


def followed(**counters: Callable[[int], float]) -> tuple[str, float, int | None] | None:
    guilty = assess_all([record(), record(consumer=True, **counters)])[-1]
    assert guilty.growing
    return counter_to_trace(guilty)


def test_what_pythons_objects_make_has_their_lines() -> None:
    assert followed(python=leak(700.0)) is None
    assert followed(python=leak(5000.0), malloc=leak(3000.0)) is None


def test_small_objects_around_a_native_leak_do_not_hide_it() -> None:
    """A view of Arrow's is an object of a few bytes, which pins a table of half a megabyte."""
    found = followed(python=leak(700.0), arrow=leak(600_000.0))
    assert found is not None
    assert (found[0], round(found[1], -3), found[2]) == ("arrow", 600_000, None)
    found = followed(malloc=leak(10_000.0))
    assert found is not None
    assert found[0] == "malloc"
